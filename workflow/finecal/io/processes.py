"""Find out which processes of this host are alive."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def is_alive(number: int, tick: int | None = None) -> bool:
    """Return whether a process is alive; a zombie, which has ended but was not waited for, is not.

    Parameters
    ----------
    number
        Process number (PID). The system reuses it some time after the process has ended.
    tick
        What `start_tick` returned for the process, to tell it from a later one; None where that is not known.
    """
    try:
        ended = psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        ended = not _is_hidden(number)
    except psutil.AccessDenied:  # of another user
        ended = False
    if ended:
        return False
    now = start_tick(number)
    return tick is None or now is None or tick == now


def _is_hidden(number: int) -> bool:
    """Return whether there is a process that /proc does not show, as with its mount option `hidepid`."""
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True  # it has just started


def start_tick(number: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None where /proc does not say.

    psutil has it only as a time of day, which changes when the clock is set.
    """
    try:
        return int(Path(f"/proc/{number}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()[19])
    except OSError:
        return None
