"""A verb in any terminal: without Greek letters, into a pipe that closes, started by a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from logits_cases import arrays

FINECAL = [sys.executable, "-m", "finecal.cli"]


def test_a_notebooks_backend_and_a_terminal_of_ascii(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays())
    environment = {
        **os.environ,
        "MPLBACKEND": "module://none_of_that_name",
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "0",
    }
    command = [*FINECAL, "diagnose", "x.npz", "--fine-tuning", "0,1,2", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "Add gamma = " in done.stdout
    assert "gamma* " in done.stdout
    assert done.stdout.isascii()
    assert (tmp_path / "out/seen_unseen_curve.png").is_file()


def test_a_reader_that_goes_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*FINECAL, "list", "calibrators"], stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


def test_a_figure_is_drawn_whatever_backend_the_environment_names() -> None:
    code = "import finecal.figures._style, matplotlib, os; print(os.environ['MPLBACKEND'])"
    for name in ("module://none_of_that_name", "svg"):
        environment = {**os.environ, "MPLBACKEND": name}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == name
