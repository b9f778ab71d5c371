"""What a process is writing has a name of its own beside the final one, which tells what dead ones have left."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from finecal.io.processes import is_alive

# Whether a process on another host is alive cannot be known; its part is taken for left behind after a day unchanged.
SECONDS_UNTIL_LEFT = 86_400
NUMBERS = Path("/proc/self/ns/pid")  # stands for those who share one numbering of processes
OF_THE_MACHINE = 0xEFFFFFFC  # what it is outside of all containers (Linux's PROC_PID_INIT_INO)


def part_of(path: Path) -> Path:
    """Return where this process writes a file or a folder: a hidden name that no other process has."""
    return path.with_name(f".{path.name}.{numbering()}.{os.getpid()}.part")


def remove_left_parts(path: Path) -> None:
    """Remove parts of a path whose writers are dead on this host, or have written nothing elsewhere for a day."""
    start = f".{path.name}."
    with suppress(FileNotFoundError):  # the folder has just been removed with all that was in it
        for part in path.parent.iterdir():
            if part.name.startswith(start) and part.name.endswith(".part"):
                host, _, process = part.name.removeprefix(start).removesuffix(".part").rpartition(".")
                if process.isdecimal() and _is_left(part, host, int(process)):
                    remove_part(part)


def remove_part(part: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        with suppress(OSError):
            part.unlink()


def _is_left(part: Path, host: str, process: int) -> bool:
    if host == numbering():
        return not is_alive(process)
    try:
        return time.time() - part.stat().st_mtime > SECONDS_UNTIL_LEFT
    except OSError:  # its writer has just renamed it
        return False


def numbering() -> str:
    """The host and, in a container with its own numbering, that: others may share name and folder."""
    name = os.uname().nodename
    try:
        numbers = NUMBERS.stat().st_ino
    except OSError:  # not Linux
        return name
    return name if numbers == OF_THE_MACHINE else f"{name}-{numbers}"
