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
    status = 1
    try:
        _take_over(request, files)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        status = _run()
    except BaseException:
        traceback.print_exc()
    finally:
        if status == INTERRUPTED:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        if os.getppid() != server:
            with suppress(OSError):
                connection.send(b"exit %d" % status)
        os._exit(status)


def _take_over(request: bytes, files: Sequence[int]) -> None:
    folder, umask, arguments, environment = decode(request)
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


def _run() -> int:
    """Run the command of sys.argv and what Python does at its end; the exit status."""
    try:
        importlib.import_module("finecal.cli").main()
        status = 0
    except SystemExit as end:
        status = _status(end.code)
    except BaseException as error:
        traceback.print_exc()
        status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    try:
        finish()
    except BaseException:  # of a signal that comes a second time: as with Python, the status stays
        traceback.print_exc()
    return status


def _status(code: object) -> int:
    if isinstance(code, int):
        return code & 0xFF
    if code is not None:
        print(code, file=sys.stderr)
    return int(code is not None)
