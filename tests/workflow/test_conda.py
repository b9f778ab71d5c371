"""Conda is asked for only with `--sdm conda`; otherwise no note of a job tells of an environment."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Project


def test_conda_is_not_needed_without_it(empty: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    conda = tmp_path / "bin" / "conda"
    conda.parent.mkdir()
    conda.write_text(f"#!/bin/sh\necho $* >> {asked}\nexit 1\n")
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", f"{conda.parent}{os.pathsep}{os.environ['PATH']}")
    empty = replace(empty, forks=False)
    empty.run(*empty.snakemake_command("--dry-run", "--quiet"))
    assert not asked.exists()
    empty.run(*empty.snakemake_command("--dry-run", "--quiet", "--sdm", "conda"), status=None)
    assert asked.read_text().startswith("info")


@pytest.mark.slow
def test_notes_hold_no_environment_that_was_not_used(complete: Project) -> None:
    notes = [json.loads(note.read_text()) for note in complete.path(".snakemake/metadata").rglob("*") if note.is_file()]
    assert notes
    assert {note["conda_env"] for note in notes} == {None}
