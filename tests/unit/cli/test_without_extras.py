"""What a finecal says that was installed for logits only, where the extra `pipeline` is needed."""

from __future__ import annotations

import importlib
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import finecal
from finecal.cli import parser, user_commands
from finecal.errors import UserError
from finecal.logits.files import open_file

PROJECT = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_modules_of_the_extra_are_known() -> None:
    brought = {canonicalize_name(Requirement(each).name) for each in PROJECT["optional-dependencies"]["pipeline"]}
    installed = metadata.packages_distributions()
    assert brought == {canonicalize_name(each) for name in parser.OF_PIPELINE for each in installed[name]}


@pytest.mark.parametrize("name", ["torch", "timm.models"])
def test_what_is_missing_and_how_to_get_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_given: Any) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(user_commands, "do_check", missing)
    with pytest.raises(SystemExit) as ended:
        parser.main(["check"])
    assert ended.value.code == 2
    package = name.partition(".")[0]
    assert capsys.readouterr().err == (
        f"finecal: this needs {package}, which is not installed: pip install 'finecal[pipeline]', or in a checkout uv "
        "sync --extra pipeline.\n"
    )


def test_another_module_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_commands, "do_check", lambda _given: importlib.import_module("finecal.no_such_module"))
    with pytest.raises(ModuleNotFoundError):
        parser.main(["check"])


def test_a_name_of_the_library_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("importlib.import_module", missing)
    monkeypatch.delitem(vars(finecal), "calibrate", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"finecal\.calibrate needs torch.*finecal\[pipeline\]"):
        finecal.calibrate  # noqa: B018


def test_a_file_of_tensors_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "a.pt").write_bytes(b"x")
    with pytest.raises(UserError, match=r"a\.pt: tensors need torch.*numpy\.savez"):
        open_file(tmp_path / "a.pt")
