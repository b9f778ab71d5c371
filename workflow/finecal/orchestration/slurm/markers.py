"""What is said of the members of a SLURM job in files beside their scripts, between its launcher and Snakemake.

| file | says |
|---|---|
| `NAME.sh` | what the member does |
| `NAME.needs` | of a follower: the scripts that must have ended with 0 before, one in each line |
| `NAME.started` | of a follower: who has taken it, a SLURM job or Snakemake; a link that leads nowhere, made once |
| `NAME.status` | how it has ended: its exit status, negative for a signal |
| `NAME.job` | what the member makes, until a main process learns of its end (adoption.py) |
| `NAME.why` | what the member was to make, and why it has failed, as SLURM says |
| `NAME.log` | what it has printed |
| `closed` | the launcher starts nothing more here |
| `left` | it has ended early, and only SLURM can say why: the sign to ask |

A member that is started with the SLURM job has no `.needs`. The `.started` of a follower decides who runs it: several
launchers may find at the same time that all it needs is there, and Snakemake may want to submit it by itself. Making a
link is the one thing that of several machines on a network file system only one can do, and that leaves its contents
whole.

The launcher imports this module, so it must import nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SCRIPT, NOTE, WHY = ".sh", ".job", ".why"


def status_file(script: Path) -> Path:
    """Return where the exit status of a member is written."""
    return script.with_suffix(".status")


def read_status(script: Path) -> int | None:
    """Return the exit status of a member, negative for a signal; None while there is none, or none is to be seen."""
    try:
        return int(status_file(script).read_text())
    except (OSError, ValueError):
        return None


def write_status(script: Path, status: int) -> None:
    """Write how a member has ended, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = status_file(script)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(str(status))
    temporary.replace(path)


def write_needs(script: Path, needs: Iterable[Path]) -> None:
    """Write what a follower needs. Its script must be written later: without this it would be started at once."""
    script.with_suffix(".needs").write_text("".join(f"{need}\n" for need in needs))


def read_needs(script: Path) -> list[Path] | None:
    """Return the scripts that a follower needs; None of a member that needs none."""
    try:
        return [Path(line) for line in script.with_suffix(".needs").read_text().splitlines()]
    except FileNotFoundError:
        return None


def claim(script: Path, name: str) -> bool:
    """Take a follower in the name of a SLURM job or of Snakemake; return whether it is theirs now, or was before.

    Raises
    ------
    OSError
        If nothing can be written there.
    """
    try:
        script.with_suffix(".started").symlink_to(name)
    except FileExistsError:
        return taken_by(script) == name
    return True


def taken_by(script: Path) -> str | None:
    """Return who has taken a follower; None if nobody has."""
    try:
        return str(script.with_suffix(".started").readlink())
    except OSError:
        return None


def closed_file(folder: Path) -> Path:
    """Return the file that says that the launcher of a folder starts nothing more."""
    return folder / "closed"


def left_file(folder: Path) -> Path:
    """Return the file that says that the launcher of a folder has ended, though members have no status."""
    return folder / "left"


def look_into(folders: Iterable[Path]) -> None:
    """List folders: only then does a network file system look for files that were not there when it looked before."""
    for folder in set(folders):
        with suppress(OSError):
            os.listdir(folder)  # noqa: PTH208 - the names do not matter
