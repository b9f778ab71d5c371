"""A folder for what a job unpacks: tens of thousands of files, better on a node's own disk than on a shared one."""

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

from finecal.io.atomic import remove_empty_parents
from finecal.runtime.filesystem import IN_MEMORY, filesystem_type
from finecal.runtime.signals import WARNINGS


@contextmanager
def scratch_folder(otherwise: Path, needed: int) -> Iterator[Path]:
    """An empty folder that is removed after the block, and if the job is ended by a signal.

    It lies where temporary files do (TMPDIR, which Snakemake sets from the resource `tmpdir`), unless that place is in
    memory or has less than `needed` bytes: then it is `otherwise`, a relative path, which is emptied first.
    """
    temporary = Path(tempfile.gettempdir())
    on_node = filesystem_type(temporary) not in IN_MEMORY and shutil.disk_usage(temporary).free > needed
    if on_node:
        folder = Path(tempfile.mkdtemp(prefix="finecal-"))
    else:
        folder = otherwise
        shutil.rmtree(folder, ignore_errors=True)  # left by a job that was killed
        folder.mkdir(parents=True)
    before = {number: signal.signal(number, _leave) for number in WARNINGS}
    try:
        yield folder
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        if not on_node:
            remove_empty_parents(folder)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
