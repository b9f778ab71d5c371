"""Folders that a group shares: what is made in them may be written by the group, whatever umask somebody has."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path


def share_with_group(folder: str | Path = ".") -> None:
    """Let the group write what this process makes, if it may write in the working folder itself.

    People who work in one folder take over each other's trainings. With the usual umask of 022 the first of them makes
    locks and folders that the others cannot write.
    """
    try:
        found = Path(folder).stat()
    except OSError:
        return
    mask = os.umask(0o077)
    if found.st_mode & stat.S_IWGRP and found.st_gid in {*os.getgroups(), os.getegid()}:
        mask &= ~(found.st_mode & stat.S_IRWXG)
    os.umask(mask)


def owner(path: str | Path) -> str:
    """Return the name of a file's owner, or the number where it has no name; empty if it cannot be said."""
    try:
        number = Path(path).stat().st_uid
        return pwd.getpwuid(number).pw_name
    except OSError:
        return ""
    except KeyError:
        return str(number)
