"""The state of an unfinished training: saved whole, locked against a second process, resumed by fingerprint."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any, ClassVar

import torch

from finecal.errors import UserError
from finecal.io.atomic import remove_empty_parents, whole_file
from finecal.runtime.signals import WARNINGS

# So many times as long as saving took, the next one waits at least.
SAVING = 30


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """A signal asked the job to end; its state is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}; the state is saved, a rerun goes on from it")
        self.number = number


class Signals:
    """Notes a cluster's warnings instead of dying; the loop looks when it can save."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> Signals:
        # The handler only sets a flag: signals may arrive together, and a handler that logs is not re-entrant.
        self._before = {s: signal.signal(s, self._note) for s in WARNINGS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = number


def fingerprint(belongs_to: dict[str, Any]) -> str:
    """A hash of plain values that a state must match to be resumed."""
    return hashlib.sha256(json.dumps(belongs_to, sort_keys=True).encode()).hexdigest()


_STARTED = time.monotonic()


def spent() -> dict[str, float]:
    """What this process took so far, as Snakemake measures a job: seconds and MiB."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = {
        "wall_seconds": time.monotonic() - _STARTED,
        "cpu_seconds": sum(part.ru_utime + part.ru_stime for part in (own, children)),
        "peak_memory_mib": own.ru_maxrss / (1024 if sys.platform == "linux" else 2**20),
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        taken["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return taken


def together(tries: Iterable[dict[str, float]]) -> dict[str, float]:
    """What several tries of a job took: seconds are added up, of memory the most counts."""
    total: dict[str, float] = {}
    for taken in tries:
        for name, value in taken.items():
            before = total.get(name, 0.0)
            total[name] = before + value if name.endswith("_seconds") else max(before, value)
    return total


class StateFile:
    """One training's state on disk.

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

    # What the earlier tries of this job took that the process goes on from: it is one try of one job, even if it has
    # several trainings, each with a file.
    earlier: ClassVar[dict[str, float]] = {}

    def __init__(self, path: Path, belongs_to: dict[str, Any], interval: float) -> None:
        self.path, self.fingerprint, self.interval = path, fingerprint(belongs_to), interval
        self._saved, self._took = time.monotonic(), 0.0

    def load(self) -> dict[str, Any] | None:
        """The saved state if there is one of this training, tensors on the CPU."""
        try:
            state: dict[str, Any] = dict(torch.load(self.path, map_location="cpu", weights_only=True))
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file can raise anything: KeyError, IndexError, UnicodeDecodeError, ...
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"{self.path} is not readable ({reason}); starting from the beginning", file=sys.stderr)
            return None
        if state.get("fingerprint") != self.fingerprint:
            print(f"{self.path} belongs to other options, inputs or code; starting from the beginning", file=sys.stderr)
            return None
        # The file that was saved last knows most.
        if state.get("spent", {}).get("wall_seconds", 0.0) > StateFile.earlier.get("wall_seconds", 0.0):
            StateFile.earlier = state["spent"]
        return state

    def is_due(self) -> bool:
        """Whether the interval is over. Where saving takes long it is longer: a thirtieth of the time may go there."""
        longest = max(self.interval, SAVING * self._took) if self.interval else 0
        return time.monotonic() - self._saved >= longest

    def save(self, state: dict[str, Any]) -> None:
        """Write the state, whole or not at all."""
        start = time.monotonic()
        content = io.BytesIO()  # torch tells of a full disk by a RuntimeError about positions
        taken = together([StateFile.earlier, spent()])
        torch.save({**state, "fingerprint": self.fingerprint, "spent": taken}, content)
        with whole_file(self.path) as temporary:
            temporary.write_bytes(content.getbuffer())
        self._saved = time.monotonic()
        self._took = self._saved - start


def earlier_tries() -> dict[str, Any]:
    """For provenance: what earlier tries took up to the state that this one went on from; nothing of an only try."""
    return {"earlier_tries": StateFile.earlier} if StateFile.earlier else {}


@contextmanager
def state_of_one_process(folder: Path) -> Iterator[Path]:
    """Hold the folder of a training's state; another process that wants it waits until this one ends.

    After the block has succeeded the folder is removed; after an error or a signal it stays. The lock is the
    operating system's (flock): it ends with the process, however that ends.

    Notes
    -----
    Not by the package `filelock`, since the lock's file is removed together with the folder. To learn whether the file
    that it has locked was removed meanwhile, filelock asks for its number of links. On NFS a removed file that a
    process has open lives on under another name, so two processes would hold the lock. `_locked` asks whether the name
    still leads to the file.
    """
    lock = folder.with_name(f"{folder.name}.lock")
    with _locked(lock, f"the training whose state is {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        shutil.rmtree(folder)
        lock.unlink()
    remove_empty_parents(folder)


@contextmanager
def _locked(lock: Path, what: str) -> Iterator[None]:
    while True:
        with _opened(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                print(f"waiting: {file.read().strip() or 'another process'} is at work on {what}", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                raise UserError(
                    f"cannot be locked ({os.strerror(error.errno or 0)})", where=str(lock),
                    why="The file system of the folder `state` must support flock",
                ) from error  # fmt: skip
            # Whoever held the lock may have removed the file. Then others lock a new one, so try that.
            if not _is_file(lock, os.fstat(file.fileno()).st_ino):
                continue
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield
            return


def _opened(lock: Path) -> IO[str]:
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):  # another job has just removed the folder, which was empty
            lock.parent.mkdir(parents=True, exist_ok=True)
            return lock.open("a+")
    return lock.open("a+")


def _is_file(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False
