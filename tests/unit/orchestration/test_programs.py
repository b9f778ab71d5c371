"""Jobs call `finecal`, and find that of the Python that runs Snakemake."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from finecal.orchestration.rules import find_own_programs

OWN = Path(sys.executable).parent


@pytest.mark.parametrize("others", ["", "of another Python"])
def test_without_an_activated_environment(others: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if others:
        (tmp_path / "finecal").write_text("#!/opt/other/bin/python\n")
        (tmp_path / "finecal").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    find_own_programs()
    assert shutil.which("finecal") == str(OWN / "finecal")
    assert os.environ["PATH"] == f"{OWN}:{tmp_path}:/usr/bin:/bin"


@pytest.mark.parametrize("line", ["#!{own}/python", "#!/bin/sh\nexec {own}/python -IS client.py"])
def test_one_of_this_python_stays_the_first(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "finecal").write_text(line.format(own=OWN) + "\n")
    (tmp_path / "finecal").chmod(0o755)
    path = f"{tmp_path}:{OWN}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", path)
    find_own_programs()
    assert os.environ["PATH"] == path


def test_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    find_own_programs()
    assert os.environ["PATH"] == f"{OWN}:{os.defpath}"
