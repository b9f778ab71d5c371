"""Progress of a training: the lines in its log, and what `finecal status` reads from them."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

EVERY = 30.0  # seconds between two lines within an epoch
TAIL = 4096  # bytes of a log that are read
_LINE = re.compile(r"^(epoch \d+/\d+ .*?(\d+) s left)$", re.MULTILINE)
_FOLD = re.compile(r"^pseudo-split \d+ of \d+$", re.MULTILINE)


class Progress(NamedTuple):
    """The last progress line in a training's log, and the seconds left by it; None if it is of one fold of several."""

    text: str
    seconds_left: float | None


class ProgressLog:
    """Writes a line to stderr for each epoch, and within long epochs every `EVERY` seconds.

    On a terminal a line within an epoch overwrites the one before. Use it as a context manager, so that later output
    begins on a line of its own.

    Parameters
    ----------
    epochs, steps, batch
        Number of epochs, of steps in each, and of images in a step.
    """

    def __init__(self, epochs: int, steps: int, batch: int) -> None:
        self._epochs, self._steps, self._batch = epochs, steps, batch
        self._written, self._open = time.monotonic(), False

    def __enter__(self) -> ProgressLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            _print("")

    def step(self, done: int, losses: Tensor, start: float) -> None:
        """Write a line within an epoch, if the last one is old enough.

        Parameters
        ----------
        done
            Number of steps taken so far, of all epochs.
        losses
            (steps,) of the epoch; read only if a line is written, since that makes a GPU wait.
        start
            When the epoch began, on the monotonic clock.
        """
        now, within = time.monotonic(), done % self._steps
        if not within or now - self._written < EVERY:
            return
        seconds = max(now - start, 1e-9)
        left = (self._epochs * self._steps - done) * seconds / within
        loss = float(losses[:within].double().mean())
        place = f"epoch {done // self._steps + 1}/{self._epochs}  step {within}/{self._steps}"
        self._write(f"{place}  {_format_rates(loss, within * self._batch / seconds, left)}", passing=True)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Write the line of a finished epoch from its row of the history."""
        seconds = max(row["seconds"], 1e-9)
        left = (self._epochs - row["epoch"]) * row["seconds"]
        rates = _format_rates(row["loss"], self._steps * self._batch / seconds, left)
        self._write(f"epoch {row['epoch']}/{self._epochs}  {rates}")

    def _write(self, line: str, *, passing: bool = False) -> None:
        self._written = time.monotonic()
        on_terminal = sys.stderr.isatty()
        start = "\r\x1b[K" if self._open else ""  # return to the start of the line and clear it
        self._open = passing and on_terminal
        _print(f"{start}{line}", end="" if self._open else "\n")


def _print(text: str, end: str = "\n") -> None:
    """Print to the log. If that lies on a full disk, the line is lost and the training goes on."""
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def _format_rates(loss: float, rate: float, left: float) -> str:
    return f"loss {loss:.4f}  {rate:,.0f} images/s  {left:.0f} s left"


def read_progress(log: Path) -> Progress | None:
    """Read the last progress line of a training's log; None if it has none."""
    end = read_tail(log)
    lines, folds = _LINE.findall(end), _FOLD.findall(end)
    if not lines:
        return None
    text, left = lines[-1]
    text = ", ".join([*folds[-1:], *text.split("  ")])
    return Progress(text, None if folds else float(left))  # the line counts the epochs of its own fold alone


def read_tail(log: Path) -> str:
    """Read the last `TAIL` bytes of a log as text; empty if there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
