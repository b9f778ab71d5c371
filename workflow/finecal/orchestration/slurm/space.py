"""Whether there is room on the disks that jobs write to: on a full one all tries would be spent within a minute.

A quota is seen by nothing but an attempt to write, so that is what is made: a small file, which is removed at once.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Hashable, Iterable
from contextlib import suppress
from pathlib import Path

from finecal.orchestration.slurm.reasons import last_lines

LEAST = 2**20  # bytes that must be free before a job is submitted
MOST_WRITTEN = 2**26  # of more bytes only the file system is asked
GROWS = 8  # a job found no room though there was: so many times more is looked for
REPEATS = 5  # how often a job that found no room is submitted again without a try
KNOWN_SECONDS = 5.0  # an answer holds for so long
NO_ROOM = "no space left to write this file"  # what finecal's jobs say (finecal.io.atomic)
# What belongs to every job, beside its outputs.
COMMON = (Path(".snakemake"), Path("state"), Path("logs"))


class Space:
    """What is known of the room on disks in one main process."""

    def __init__(self) -> None:
        self._needed = LEAST
        self._answers: dict[int, tuple[float, str]] = {}  # device → when it was tried, what was wrong
        self._failed: Counter[Hashable] = Counter()

    def find_full(self, files: Iterable[str | Path] = ()) -> str:
        """Return where there is no room and why, for files that are to be written; empty if there is."""
        places: dict[int, Path] = {}
        for folder in (*COMMON, *(Path(file).parent for file in files)):
            present = next(one for one in (folder, *folder.absolute().parents) if one.is_dir())
            places.setdefault(present.stat().st_dev, present)
        return next((why for device, folder in places.items() if (why := self._try(device, folder))), "")

    def is_lacking(self, job: Hashable, logs: Iterable[str | Path]) -> bool:
        """Return whether a job has failed for lack of room, and may be tried again when there is more."""
        if not any(NO_ROOM in line for log in logs for line in last_lines(Path(log))):
            return False
        if self._failed[job] >= REPEATS:
            return False
        self._failed[job] += 1
        self._answers.clear()
        if not self.find_full():
            self._needed *= GROWS
        return True

    def _try(self, device: int, folder: Path) -> str:
        when, why = self._answers.get(device, (float("-inf"), ""))
        if time.monotonic() - when > KNOWN_SECONDS:
            why = why_full(folder, self._needed)
            self._answers[device] = time.monotonic(), why
        return why


def why_full(folder: Path, needed: int) -> str:
    """Return why so many bytes cannot be written in a folder; empty if they can, or if another thing is wrong."""
    with suppress(OSError):
        if (free := shutil.disk_usage(folder).free) < needed:
            return f"{folder.absolute()}: {free / 2**20:,.1f} MiB are free, {needed / 2**20:,.0f} are needed"
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".room.", buffering=0) as file:
            block = os.urandom(LEAST)  # since some file systems compress
            for _ in range(min(needed, MOST_WRITTEN) // LEAST):
                file.write(block)
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{folder.absolute()}: {error.strerror}"
    return ""
