"""The state of an unfinished training: saved atomically, matched by fingerprint."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import torch

from finecal.io.atomic import whole_file
from finecal.runtime.signals import OF_TERMINALS, WARNINGS
from finecal.runtime.usage import cpu_seconds, peak_memory_mib, wall_seconds

# The least time between two saves, in multiples of what a save takes.
SAVING = 30


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """A signal asked the job to end; its state has been saved."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"interrupted by {signal.Signals(number).name}; the state is saved, and a rerun resumes from it"
        )
        self.number = number


class Signals:
    """Records the signals that announce the end of a job; the training loop reads them where it can save.

    Attributes
    ----------
    received
        Number of the last signal; None before the first.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> Signals:
        # The handler only sets a flag: signals may arrive together, and a handler that logs is not re-entrant.
        heard = (s for s in OF_TERMINALS if signal.getsignal(s) is not signal.SIG_IGN)
        self._before = {s: signal.signal(s, self._record) for s in (*WARNINGS, *heard)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _record(self, number: int, _frame: FrameType | None) -> None:
        self.received = number


def fingerprint(belongs_to: dict[str, Any]) -> str:
    """Return the SHA-256 of plain values; a state is resumed only if its own is equal."""
    return hashlib.sha256(json.dumps(belongs_to, sort_keys=True).encode()).hexdigest()


def measure_usage() -> dict[str, float]:
    """Return the seconds and MiB that this process has used so far, as it notes them at its end (`runtime.usage`)."""
    usage = {
        "wall_seconds": wall_seconds(),
        "cpu_seconds": cpu_seconds(),
        "peak_memory_mib": peak_memory_mib(),
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        usage["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return usage


def combine_usage(tries: Iterable[dict[str, float]]) -> dict[str, float]:
    """Combine the usage of several tries of a job: the sum of seconds, the maximum of memory."""
    total: dict[str, float] = {}
    for usage in tries:
        for name, value in usage.items():
            before = total.get(name, 0.0)
            total[name] = before + value if name.endswith("_seconds") else max(before, value)
    return total


class StateFile:
    """The state of one training on disk.

    Parameters
    ----------
    path
        The file.
    belongs_to
        Plain values that determine the training (options, coordinates, hashes of the inputs, code). A state of
        anything else is ignored and overwritten.
    interval
        Seconds between two saves; 0 saves after every step.
    """

    # Usage of the earlier tries of this job, as saved in the state that is resumed. It belongs to the process, which is
    # one try of one job even if it runs several trainings with a file each.
    earlier: ClassVar[dict[str, float]] = {}

    def __init__(self, path: Path, belongs_to: dict[str, Any], interval: float) -> None:
        self.path, self.fingerprint, self.interval = path, fingerprint(belongs_to), interval
        self._saved, self._took = time.monotonic(), 0.0

    def load(self) -> dict[str, Any] | None:
        """Return the saved state with its tensors on the CPU; None if there is none of this training."""
        try:
            state: dict[str, Any] = dict(torch.load(self.path, map_location="cpu", weights_only=True))
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file can raise anything: KeyError, IndexError, UnicodeDecodeError, ...
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"{self.path} is not readable ({reason}); starting from the beginning", file=sys.stderr)
            return None
        if state.get("fingerprint") != self.fingerprint:
            print(
                f"{self.path} belongs to other options, inputs or code; starting from the beginning",
                file=sys.stderr,
            )
            return None
        # Of several files, the one saved last counts most time.
        if state.get("spent", {}).get("wall_seconds", 0.0) > StateFile.earlier.get("wall_seconds", 0.0):
            StateFile.earlier = state["spent"]
        return state

    def is_due(self) -> bool:
        """Return whether the interval has passed, which is longer where saving would take over 1/30 of the time."""
        wait = max(self.interval, SAVING * self._took) if self.interval else 0
        return time.monotonic() - self._saved >= wait

    def save(self, state: dict[str, Any]) -> None:
        """Write the state atomically."""
        start = time.monotonic()
        content = io.BytesIO()  # written to a full disk directly, torch raises a RuntimeError about positions
        usage = combine_usage([StateFile.earlier, measure_usage()])
        torch.save({**state, "fingerprint": self.fingerprint, "spent": usage}, content)
        with whole_file(self.path) as temporary:
            temporary.write_bytes(content.getbuffer())
        self._saved = time.monotonic()
        self._took = self._saved - start


def earlier_tries() -> dict[str, Any]:
    """Return, for provenance, the usage of earlier tries up to the state that was resumed; empty if none was."""
    return {"earlier_tries": StateFile.earlier} if StateFile.earlier else {}
