"""Which processes of this host are alive."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def is_alive(number: int, tick: int | None = None) -> bool:
    """Whether a process is at work: a zombie, which has ended and was not waited for, is not.

    Parameters
    ----------
    number
        Of the process. The system gives it to another one some time after the process has ended.
    tick
        What `start_tick` said of the process, to tell it from a later one; None where that is not known.
    """
    try:
        ended = psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        ended = not _is_hidden(number)
    except psutil.AccessDenied:  # somebody else's
        ended = False
    if ended:
        return False
    now = start_tick(number)
    return tick is None or now is None or tick == now


def _is_hidden(number: int) -> bool:
    """Whether there is a process of another user that /proc does not show (its option `hidepid`)."""
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True  # it has just begun


def start_tick(number: int) -> int | None:
    """When a process started, in the system's ticks since its boot; None where that is not to be known.

    psutil only has it as a time of day, which changes when the clock is set.
    """
    try:
        return int(Path(f"/proc/{number}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[19])
    except OSError:
        return None
