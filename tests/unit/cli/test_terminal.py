"""A verb in any terminal: without Greek letters, into a pipe that closes, started by a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from logits_cases import arrays

from finecal.cli import main
from finecal.plan.stages import STAGES

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


OF_PEOPLE = ("check", "status", "why", "compare", "prefetch", "init", "list", "diagnose")
VERBS = (*OF_PEOPLE, *(stage.verb for stage in STAGES.values()))
PRINTING = [
    ["--help"], ["--version"], *([verb, "--help"] for verb in VERBS),
    *(["list", kind] for kind in ("datasets", "recipes", "calibrators", "studies")),
    ["check", "toy"], ["status", "toy"],
]  # fmt: skip


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_no_verb_minds_a_reader_that_has_gone(
    stream: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As `finecal VERB … | head -1`; what is printed at the end of the process is looked at, too."""
    monkeypatch.chdir(tmp_path)
    for words in PRINTING if stream == "stdout" else [["no verb"], ["status", "no study"]]:
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as file:
            monkeypatch.setattr(sys, stream, file)
            code = _ended(words)
            file.flush()  # as Python does at its end
        assert "Traceback" not in capfd.readouterr().err, words
        assert code == 141, words


def _ended(words: list[str]) -> object:
    try:
        main(words)
    except SystemExit as end:
        return end.code
    return 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_cannot_be_written() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*FINECAL, "list", "studies"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert re.fullmatch(r"finecal: .*no space left on device.*\n", done.stderr, re.IGNORECASE)


def test_without_an_output() -> None:
    code = 'exec >&- 2>&-; exec "$@"'
    assert subprocess.run(["sh", "-c", code, "sh", *FINECAL, "list", "studies"], check=False).returncode == 0
