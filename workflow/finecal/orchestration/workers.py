"""Who is at work in this directory: the Snakemakes of this host that live, and those of other hosts, which may.

Each signs the file of its host (lock.py), whose time is that of the last sign of life.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from finecal import display
from finecal.errors import UserError
from finecal.io.processes import is_alive, start_tick

STATE = Path(".snakemake")
SIGNED = re.compile(r"process (\d+)(?: started at tick (\d+))?(?: by (\S+))?")
ANSWER_SECONDS = 2.0  # in which another host must answer
SSH = 22


class Worker(NamedTuple):
    """A Snakemake that is at work in this directory, or of another host may be.

    Attributes
    ----------
    host
        Where it was started.
    process
        Its number there; empty where it is not known.
    user
        Whose it is; empty where it is not known.
    seen
        When it gave its last sign of life, in seconds since 1970.
    """

    host: str
    process: str
    user: str
    seen: float

    def __str__(self) -> str:
        """Say who and where, and when it was last alive."""
        who = f"{self.user or 'somebody'} on {self.host}{f', process {self.process}' * bool(self.process)}"
        return f"{who}, last sign of life {display.duration(max(0.0, time.time() - self.seen))} ago"


def signature() -> str:
    """Return the line with which this process signs."""
    tick = start_tick(os.getpid())
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    return f"process {os.getpid()}{f' started at tick {tick}' if tick else ''} by {user}"


def at_work() -> list[Worker]:
    """Return who is at work in this directory as far as files tell: living processes of this host, and other hosts."""
    own = own_file()
    return [worker for file in (own, *find_other_hosts(own)) for worker in _signed(file)]


def others() -> list[Worker]:
    """Return those at work here but for this process."""
    return [one for one in at_work() if (one.process, one.host) != (str(os.getpid()), this_host())]


def explain_lock_errors() -> None:
    """Let Snakemake name who makes the same files when it cannot lock this directory."""
    from snakemake.exceptions import LockException, WorkflowError  # which a light installation lacks

    def explain(self: Any) -> None:
        WorkflowError.__init__(self, f"finecal: {say_who_locks()}")

    LockException.__init__ = explain


def say_who_locks() -> str:
    """Return, in one sentence, who makes the same files in this directory, for when Snakemake cannot lock it."""
    found = others()
    if not found:
        return (
            f"another Snakemake makes the same files in {Path.cwd()}, or was killed on a file system without flock: "
            "`snakemake --unlock` removes its lock"
        )
    text = f"another Snakemake makes the same files in {Path.cwd()}: {' and '.join(map(str, found))}."
    elsewhere = sorted({worker.host for worker in found} - {this_host()})
    for host in elsewhere:
        if answers(host):
            text += f" {host} answers: look there with `ps`, or wait until it has ended."
        else:
            text += (
                f" {host} does not answer. If it is dead, delete {STATE}/at_work.{host}, run `snakemake --unlock` and "
                "start again."
            )
    return text if elsewhere else f"{text} Start again when it has ended."


def not_writable_error(folder: Path) -> UserError:
    """Return the error of a folder of somebody else, with what people who share one do."""
    present = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    what, owner, is_own = f"the folder {str(present)!r} cannot be written", "somebody else", False
    with suppress(OSError, KeyError):
        is_own = present.stat().st_uid == os.getuid()
        owner = present.owner()
    if is_own:  # as of a file system that is read-only
        return UserError(what, where=str(folder), hint="Use `snakemake --directory DIR`")
    return UserError(
        what, where=str(folder), why=f"It belongs to {owner}",
        hint=f"To share it, {owner} says `chmod -R g+rwX .` in {Path.cwd()}, and all say `umask 002` before "
        "they start. Or work in a folder of your own: `snakemake --directory DIR`",
    )  # fmt: skip


def answers(host: str) -> bool:
    """Return whether a host is there: whether its ssh answers, or at least refuses."""
    try:
        socket.create_connection((host, SSH), timeout=ANSWER_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def this_host() -> str:
    return socket.gethostname()


def own_file() -> Path:
    return STATE / f"at_work.{this_host()}"


def _signed(file: Path) -> list[Worker]:
    """Return those who have signed a file; of this host only those that live."""
    host = file.name.removeprefix("at_work.")
    try:
        lines, seen = file.read_text("utf-8").splitlines(), file.stat().st_mtime
    except OSError:  # no Snakemake was ever at work here, or it has just ended
        return []
    found: dict[str, Worker] = {}
    for match in filter(None, map(SIGNED.fullmatch, lines)):
        number, tick, user = match.groups()
        if host != this_host() or is_alive(int(number), int(tick) if tick else None):
            found[number] = Worker(host, number, user or "", seen)
    if not found and host != this_host():
        return [Worker(host, "", "", seen)]
    return [*found.values()]


def find_other_hosts(own: Path) -> list[Path]:
    """Return the files of other hosts on which a Snakemake is at work or did not end well."""
    return sorted(other for other in STATE.glob("at_work.*") if other != own and _is_signed(other))


def _is_signed(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:  # somebody has just deleted it, as they were told to
        return False
