"""The lines of progress of a training: when they come, what they say, and that `finecal status` reads them."""

from __future__ import annotations

import errno
import io
import re
import sys
from pathlib import Path

import pytest
import torch

from finecal.training import progress as module
from finecal.training.progress import EVERY, Progress, ProgressLog, read_progress

LOSSES = torch.tensor([4.0, 2.0, 0.0, 0.0])


class Clock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_within_an_epoch_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    teller = ProgressLog(3, 4, 100)
    clock.now += EVERY - 1
    teller.step(1, LOSSES, 1000.0)
    assert capsys.readouterr().err == ""
    clock.now = 1040.0
    teller.step(6, LOSSES, 1000.0)  # the second step of the second epoch; six are left
    assert capsys.readouterr().err == "epoch 2/3  step 2/4  loss 3.0000  5 images/s  120 s left\n"
    clock.now += 1
    teller.step(7, LOSSES, 1000.0)
    assert capsys.readouterr().err == ""
    clock.now += EVERY
    teller.step(8, LOSSES, 1000.0)  # the end of an epoch has a line of its own
    assert capsys.readouterr().err == ""
    teller.epoch({"epoch": 2, "loss": 1.5, "seconds": 80.0})
    assert capsys.readouterr().err == "epoch 2/3  loss 1.5000  5 images/s  80 s left\n"


class Full(io.StringIO):
    """A log on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("clock")
def test_a_full_disk_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    with ProgressLog(3, 4, 100) as teller:
        teller.epoch({"epoch": 1, "loss": 1.5, "seconds": 80.0})


class NeverLooked(torch.Tensor):
    """Losses at which nobody may look: on a GPU that would be a wait."""

    def __getitem__(self, _: object) -> torch.Tensor:
        raise AssertionError


def test_losses_are_looked_at_for_a_line_only(clock: Clock) -> None:
    teller = ProgressLog(1, 1000, 10)
    losses = torch.zeros(1000).as_subclass(NeverLooked)
    for step in range(1, 1000):
        clock.now += (EVERY - 1) / 1000
        teller.step(step, losses, 1000.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_line_takes_the_place_of_the_last(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with ProgressLog(3, 4, 100) as teller:
        for step in (1, 2):
            clock.now += EVERY
            teller.step(step, LOSSES, 1000.0)
        teller.epoch({"epoch": 1, "loss": 1.5, "seconds": 80.0})
        clock.now += EVERY
        teller.step(5, LOSSES, 1080.0)
    lines = screen.getvalue().split("\n")
    assert [line.count("\r\x1b[K") for line in lines] == [2, 0, 0]
    assert re.fullmatch(
        r"epoch 1/3  step 1/4 .* left\r\x1b\[Kepoch 1/3  step 2/4 .*\r\x1b\[Kepoch 1/3  loss .*", lines[0]
    )
    assert lines[1].startswith("epoch 2/3  step 1/4")  # what follows, such as an error, begins on a line of its own
    assert lines[2] == ""


def test_status_reads_the_last_line(clock: Clock, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert read_progress(log) is None
    log.write_text("resuming at step 3 of 9\n")
    assert read_progress(log) is None
    teller = ProgressLog(3, 4, 100)
    teller.epoch({"epoch": 1, "loss": 1.5, "seconds": 80.0})
    clock.now += EVERY + 10
    teller.step(6, LOSSES, 1000.0)
    log.write_text(capsys.readouterr().err)
    assert read_progress(log) == Progress("epoch 2/3, step 2/4, loss 3.0000, 5 images/s, 120 s left", 120.0)
    log.write_text("pseudo-split 2 of 3\n" + log.read_text())
    assert read_progress(log) == Progress(
        "pseudo-split 2 of 3, epoch 2/3, step 2/4, loss 3.0000, 5 images/s, 120 s left", None
    )
