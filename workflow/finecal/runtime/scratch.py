"""A folder, on the node's own disk if possible, for the tens of thousands of files that a job unpacks."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from finecal.io.atomic import make_in_folder, remove_empty_parents
from finecal.io.parts import part_of, remove_left_parts, remove_part
from finecal.runtime.filesystem import IN_MEMORY, filesystem_type
from finecal.runtime.signals import WARNINGS


@contextmanager
def scratch_folder(otherwise: Path, needed: int) -> Iterator[Path]:
    """Create an empty folder; remove it after the block, also if a signal ends the job.

    It lies in the folder for temporary files (TMPDIR, which Snakemake sets from the resource `tmpdir`), unless that is
    in memory or has less than `needed` bytes free. Then it is beside `otherwise`, a relative path, and what killed jobs
    have left there is removed first.
    """
    temporary = Path(tempfile.gettempdir())
    on_node = filesystem_type(temporary) not in IN_MEMORY and shutil.disk_usage(temporary).free > needed
    if on_node:
        folder = Path(tempfile.mkdtemp(prefix="finecal-"))
    else:
        # A name of its own: the same job may go on whose Snakemake was killed.
        folder = part_of(otherwise)
        remove_part(folder)  # of a killed job that had this one's number, as in a container
        make_in_folder(folder, folder.mkdir)
        remove_left_parts(otherwise)
    before = {number: signal.signal(number, _exit) for number in WARNINGS}
    try:
        yield folder
    finally:
        for number in before:  # a job may be told twice, by SLURM and by its client (finecal.warm)
            signal.signal(number, signal.SIG_IGN)
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        if not on_node:
            remove_empty_parents(folder)
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
