"""Warnings of packages are not shown where a user asked for something else; those of the user's own code are."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import numpy as np
import pytest

from finecal.io import outside_warnings
from finecal.io.outside_warnings import unseen
from finecal.runtime import process_end


def warn(category: type[Warning], filename: str) -> None:
    warnings.warn_explicit(f"said by {Path(filename).name}", category, filename, 1)


def test_packages_are_not_heard_and_the_users_code_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.warnoptions", [])
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.showwarning = lambda message, *_rest, **_more: said.append(str(message))
        with unseen():
            warn(FutureWarning, np.__file__)
            warn(UserWarning, outside_warnings.__file__)
            warn(UserWarning, "/home/somebody/own_model.py")
            warn(RuntimeWarning, np.linalg.__file__)
        warn(UserWarning, "/home/somebody/later.py")
        warn(FutureWarning, np.random.__file__)
    assert said == ["said by own_model.py", "said by __init__.py", "said by later.py", "said by __init__.py"]


def test_whoever_asks_for_warnings_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.warnoptions", ["default"])
    with unseen(), pytest.warns(FutureWarning):
        warn(FutureWarning, np.__file__)


class Deprecated:
    """As objects of torch that warn whoever looks at them."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        warnings.warn("deprecated", FutureWarning, stacklevel=2)
        return Deprecated


def test_the_end_of_a_process_asks_no_object_for_its_class(tmp_path: Path) -> None:
    there = [Deprecated()]
    gc.collect()
    with warnings.catch_warnings(), (tmp_path / "open").open("w") as file:
        warnings.simplefilter("error")
        assert file in process_end._files()
    assert there
