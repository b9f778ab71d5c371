"""How far a training is: the lines that it writes, and what `finecal status` reads from them."""

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
TAIL = 4096  # bytes of a log that are looked at
_LINE = re.compile(r"^(epoch \d+/\d+ .*?(\d+) s left)$", re.MULTILINE)
_FOLD = re.compile(r"^pseudo-split \d+ of \d+$", re.MULTILINE)


class Progress(NamedTuple):
    """The last line of progress in a training's log, and the seconds that it says are left (None: it does not say)."""

    text: str
    seconds_left: float | None


class Teller:
    """Writes to stderr a line for each epoch, and within long ones a line now and then.

    On a terminal the latter are written over one another. Leave it as a context manager, so that what follows begins on
    a line of its own.

    Parameters
    ----------
    epochs, steps, batch
        How many epochs there are, how many steps in each, how many images in a step.
    """

    def __init__(self, epochs: int, steps: int, batch: int) -> None:
        self._epochs, self._steps, self._batch = epochs, steps, batch
        self._told, self._open = time.monotonic(), False

    def __enter__(self) -> Teller:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            _print("")

    def step(self, done: int, losses: Tensor, start: float) -> None:
        """A line, if the last one is old enough.

        Parameters
        ----------
        done
            Steps of the whole training so far.
        losses
            (steps,) those of the epoch; they are looked at only for a line, which may make a GPU wait.
        start
            When the epoch began, on the monotonic clock.
        """
        now, within = time.monotonic(), done % self._steps
        if not within or now - self._told < EVERY:
            return
        seconds = max(now - start, 1e-9)
        left = (self._epochs * self._steps - done) * seconds / within
        loss = float(losses[:within].double().mean())
        place = f"epoch {done // self._steps + 1}/{self._epochs}  step {within}/{self._steps}"
        self._tell(f"{place}  {_measured(loss, within * self._batch / seconds, left)}", passing=True)

    def epoch(self, row: Mapping[str, float]) -> None:
        """The line of an epoch that is over, from its row of the history."""
        seconds = max(row["seconds"], 1e-9)
        left = (self._epochs - row["epoch"]) * row["seconds"]
        self._tell(
            f"epoch {row['epoch']}/{self._epochs}  {_measured(row['loss'], self._steps * self._batch / seconds, left)}"
        )

    def _tell(self, line: str, *, passing: bool = False) -> None:
        self._told = time.monotonic()
        on_terminal = sys.stderr.isatty()
        start = "\r\x1b[K" if self._open else ""  # to the start of the line, which is emptied
        self._open = passing and on_terminal
        _print(f"{start}{line}", end="" if self._open else "\n")


def _print(text: str, end: str = "\n") -> None:
    """Print to the log; where that lies on a full disk the line is lost, and the training goes on."""
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def _measured(loss: float, rate: float, left: float) -> str:
    return f"loss {loss:.4f}  {rate:,.0f} images/s  {left:.0f} s left"


def progress(log: Path) -> Progress | None:
    """How far a training is; None if its log does not say."""
    said = tail(log)
    lines, folds = _LINE.findall(said), _FOLD.findall(said)
    if not lines:
        return None
    text, left = lines[-1]
    text = ", ".join([*folds[-1:], *text.split("  ")])
    return Progress(text, None if folds else float(left))  # the line speaks of its own fold


def tail(log: Path) -> str:
    """The end of a log; nothing if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
