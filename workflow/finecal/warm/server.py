"""The warm process: imports what jobs need, then forks for each command: `python -P -m finecal.warm.server …`.

It has one thread, has computed nothing and has not touched a GPU, so that forks can: threads do not survive a fork, and
neither does a GPU's context. It ends with its standard input, a pipe that whoever has started it holds, however that
ends. Forks that run go on, as jobs do whose Snakemake is killed.
"""

from __future__ import annotations

import gc
import os
import selectors
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from finecal.warm import fork
from finecal.warm.client import LARGEST, decode
from finecal.warm.freshness import changed_code, changed_settings, read_code
from finecal.warm.libraries import Libraries

# What ends or warns all processes of a SLURM job: this one stays to tell clients how their forks end.
LEFT_TO_FORKS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
PATIENCE = 10.0  # seconds for a client to say what it wants once it is connected


class Server:
    """Forks for each command that is asked for on a socket.

    Parameters
    ----------
    listener
        A socket that listens.
    stages
        The names of the stages whose jobs are expected.
    """

    def __init__(self, listener: socket.socket, stages: list[str]) -> None:
        self._listener = listener
        self._code = read_code()  # before it is imported: a change while it is counts
        self._environment = dict(os.environb)
        self._running: dict[int, socket.socket] = {}  # process → the connection to its client
        # Not ignored, since a fork would ignore them until it has put them back.
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_FORKS)
        self._libraries = Libraries(stages)

    def serve(self) -> None:
        """Serve until the standard input ends."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        with selectors.DefaultSelector() as selector:
            for file in (sys.stdin, woken, self._listener):
                selector.register(file, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select(None if self._libraries.complete else 0)}
                if sys.stdin in ready:
                    return
                if not ready:
                    self._libraries.import_next()
                if woken in ready:
                    os.read(woken, 4096)
                    self._report_ended()
                if self._listener in ready:
                    self._accept()

    def _accept(self) -> None:
        """Fork for a client, or close the connection, which tells it to run the command itself."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        files: list[int] = []
        try:
            request, files, _, _ = socket.recv_fds(connection, LARGEST, 3)
            connection.settimeout(None)
            if request and len(files) == 3 and self._prepare(request) and not self._is_gone(connection):
                self._fork(connection, request, files)
        except OSError as error:
            _print(f"a job starts by itself, since the warm process cannot fork: {error}")
        finally:
            for file in files:
                os.close(file)
            if connection not in self._running.values():
                connection.close()

    def _prepare(self, request: bytes) -> bool:
        """Import what a command needs; return whether a fork would do what a new process does."""
        _, _, arguments, environment = decode(request)
        if changed_settings(self._environment, environment):
            return False
        for verb in arguments[:1]:
            self._libraries.import_for(os.fsdecode(verb).replace("-", "_"))
        return not changed_code(self._code)

    @staticmethod
    def _is_gone(connection: socket.socket) -> bool:
        try:
            return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False

    def _fork(self, connection: socket.socket, request: bytes, files: list[int]) -> None:
        server = os.getpid()
        # What has been imported is never garbage. A fork whose collector looked at it would get a copy of its pages.
        gc.freeze()
        pid = os.fork()
        if not pid:
            # A client that waits for another fork would never be told of its end while this one held the connection.
            for other in (self._listener, *self._running.values()):
                other.close()
            fork.become(connection, request, files, server, self._mask)
        self._running[pid] = connection
        with suppress(OSError):  # the client has just ended; so does the fork then
            connection.send(b"%d" % pid)

    def _report_ended(self) -> None:
        """Tell the clients of forks that have ended how."""
        while self._running:
            pid, waited = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            code = os.waitstatus_to_exitcode(waited)
            with self._running.pop(pid) as connection, suppress(OSError):  # the client may be gone
                connection.send(b"exit %d" % code if code >= 0 else b"signal %d" % -code)


def main() -> None:
    """Serve on the socket with the number of the first argument, in the folder of the second, for the stages named."""
    number, folder, *stages = sys.argv[1:]
    try:
        Server(socket.socket(fileno=int(number)), stages).serve()
    except Exception as error:
        _print(f"there is no warm process, each job starts by itself: {error}")
    finally:
        shutil.rmtree(Path(folder), ignore_errors=True)


def _print(message: str) -> None:
    print(f"finecal: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
