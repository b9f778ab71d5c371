"""`finecal init`: a folder in which studies run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from finecal.cli import new_folder
from finecal.cli.parser import main
from finecal.errors import how_to_install
from finecal.paths import PROJECT


def test_it_has_all_that_studies_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "studies"
    main(["init", str(folder)])
    assert f"cd {folder} && snakemake" in capsys.readouterr().out
    assert sorted(file.name for file in folder.iterdir()) == sorted(new_folder.NAMES)
    for name in ("config.yaml", "profiles/default/profile.yaml", "profiles/slurm/profile.yaml"):
        assert (folder / name).read_bytes() == (PROJECT / name).read_bytes()


@pytest.mark.slow
def test_its_workflow_is_that_of_the_package(tmp_path: Path) -> None:
    """The same jobs as in a checkout, from a folder that is not one, and without an activated environment."""
    new_folder.make(tmp_path)
    snakemake = Path(sys.executable).with_name("snakemake")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [snakemake, "--dry-run", "table1", "everything"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "rule everything:" in done.stdout
    assert "output: results/report.html" in done.stdout


@pytest.mark.parametrize("name", new_folder.NAMES)
def test_what_is_there_stays(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main(["init", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"finecal: {tmp_path}: has {name} already. Nothing was written.\n"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "mine")]


def test_a_folder_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main(["init", str(tmp_path / "file" / "below")])
    assert ended.value.code == 2
    assert "file/below: not writable (Not a directory)" in capsys.readouterr().err


def test_what_is_next_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_folder.make(Path("my studies")).endswith("Next: cd 'my studies' && snakemake")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = new_folder.make(Path()).splitlines()
    assert said[1:] == [f"Snakemake is not installed yet: {how_to_install('pipeline')}", "Next: snakemake"]
