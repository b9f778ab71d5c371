"""What a fork of the warm process does: become the command that a client has asked for, and end as it does.

Nothing of the warm process's own is left: the client's folder, environment, files and umask are taken over, and the
process ends when the client is gone, as it would if it were the client.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from finecal.runtime.process_end import finish
from finecal.warm.client import decode

INTERRUPTED = -int(signal.SIGINT)  # Python then ends by this signal
NAME = Path("/proc/self/comm")  # what `top` and `ps -o comm` show


def become(
    connection: socket.socket, request: bytes, files: Sequence[int], server: int, mask: AbstractSet[int]
) -> NoReturn:
    """Run a command in place of a client, in a process that has just been forked for it.

    Parameters
    ----------
    connection
        To the client.
    request
        What it has asked for.
    files
        Its input, output and errors.
    server
        The process number of the warm process, which tells the client how this one has ended. If it is gone, this one
        tells its status itself.
    mask
        The signals that are to be blocked.
    """
    ended: list[BaseException] = []
    try:
        # Not the warm process says so: were it killed in between, the client would wait in vain.
        with suppress(OSError):  # the client has just ended; so does this process then
            connection.send(b"%d" % os.getpid())
        _take_over(request, files)
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        _run(ended, mask)
    except BaseException:
        if not ended:
            traceback.print_exc()
    finally:
        while True:
            try:
                _leave(connection, server, ended)
            except BaseException:  # it was told to end while it does
                continue


def _leave(connection: socket.socket, server: int, ended: Sequence[BaseException]) -> NoReturn:
    """End as the first of what has ended the command says."""
    status = _status(ended[0]) if ended else 1
    if status == INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    if os.getppid() != server:
        with suppress(OSError):
            connection.send(b"exit %d" % status)
    os._exit(status)


def _take_over(request: bytes, files: Sequence[int]) -> None:
    folder, umask, _, arguments, environment = decode(request)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    # As Python opens them at its start: whether lines are written at once depends on the file.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)  # noqa: SIM115
    os.chdir(folder)
    os.umask(umask)
    os.environb.clear()
    os.environb.update(environment)
    tempfile.tempdir = None  # chosen anew, from the environment
    sys.argv = ["finecal", *map(os.fsdecode, arguments)]
    with suppress(OSError):  # where there is no /proc
        NAME.write_text(" ".join(sys.argv[:2]))


def _end_with(connection: socket.socket) -> None:
    """Wait until the client is gone, which sends nothing more, and end at once: by what has ended it, SIGKILL."""
    with suppress(OSError):
        connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def _run(ended: list[BaseException], mask: AbstractSet[int]) -> None:
    """Run the command of sys.argv and what Python does at its end, and note first of all what has ended the command.

    It may be told to end several times, by SLURM and by its client, also while it ends: then the first one counts, as
    with Python.
    """
    try:
        try:
            _listen(mask)
            importlib.import_module("finecal.cli").main()
            ended.append(SystemExit(0))
        except BaseException as error:
            ended.append(error)
            _tell(error)
    finally:
        try:
            finish()
        except BaseException:
            traceback.print_exc()


def _listen(mask: AbstractSet[int]) -> None:
    """Let the signals come that were blocked until now; Ctrl-C before the work ends it as `finecal.cli.main` does."""
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell(error: BaseException) -> None:
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif not isinstance(error.code, int | None):
        print(error.code, file=sys.stderr)


def _status(error: BaseException) -> int:
    if not isinstance(error, SystemExit):
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)
