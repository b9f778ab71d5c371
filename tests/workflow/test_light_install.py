"""finecal as a package without extras: what logits need, and nothing of what studies need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY
from test_examples import commands

LARGEST = 700 * 2**20  # bytes of all files that it brings

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment into which a wheel of these sources was installed, with the versions that are pinned."""
    folder = tmp_path_factory.mktemp("light")
    pins = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["constraint-dependencies"]
    (folder / "pins.txt").write_text("\n".join(pins))
    uv = ["uv", "--quiet"]
    subprocess.run([*uv, "build", "--wheel", "--out-dir", folder, REPOSITORY], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*uv, "venv", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    subprocess.run([*uv, "pip", "install", "-p", python, "-c", folder / "pins.txt", wheel], check=True)
    return folder / "venv"


@pytest.fixture
def run(light: Path, tmp_path: Path) -> Run:
    """Runs a command in an empty folder, with this environment and no other."""
    environment = {"PATH": f"{light / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path), "VIRTUAL_ENV": str(light)}

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.mark.slow
def test_it_is_small(light: Path) -> None:
    files = [Path(folder) / name for folder, _, names in os.walk(light) for name in names]
    assert sum(file.stat().st_size for file in files if not file.is_symlink()) < LARGEST
    assert not list(light.glob("lib/python*/site-packages/torch"))


@pytest.mark.slow
def test_the_example_of_logits(run: Run, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "docs/examples", tmp_path / "docs/examples")
    script = commands(REPOSITORY / "docs/examples/logits/README.md")
    # The first command stands for the user's own training, which has a Python of its own.
    done = run("bash", "-euxc", script.replace("python ", f"{sys.executable} ", 1))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "my_logits/diagnosis/seen_unseen_curve.svg").stat().st_size > 0


@pytest.mark.slow
def test_studies_say_what_they_need(run: Run, tmp_path: Path) -> None:
    assert run("finecal", "init", "studies").returncode == 0
    assert (tmp_path / "studies/Snakefile").is_file()
    for command in (["check"], ["list", "studies"]):
        done = run("finecal", *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "pip install 'finecal[pipeline]'" in done.stderr
        assert "Traceback" not in done.stderr
