"""The warm process: imports what jobs need, then forks for each command: `python -P -m finecal.warm.server …`.

It has one thread, has computed nothing and has not touched a GPU, so that forks can: threads do not survive a fork, and
neither does a GPU's context. It ends with its standard input, a pipe that whoever has started it holds, however that
ends. Forks that run go on, as jobs do whose Snakemake is killed.

Where some jobs need torch and others do not, it is two processes. The second is a fork of the first from before either
has imported what jobs need, and the first hands commands that need torch over to it. For what a fork costs grows with
the memory of the process: with torch it takes four times as long. Torch takes longest to import, and trainings wait for
it, so the first imports what no command has asked for yet only afterwards, and while no job of its own needs the core.
"""

from __future__ import annotations

import gc
import os
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from finecal.warm import fork
from finecal.warm.client import decode, surroundings
from finecal.warm.freshness import Code, changed_code, changed_settings, read_code, searches_elsewhere
from finecal.warm.libraries import Libraries, with_torch
from finecal.warm.requests import Request, from_client, from_first

# What ends or warns all processes of a SLURM job: this one stays to tell clients how their forks end.
LEFT_TO_FORKS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
# pyarrow's own allocators take pages of their own, in each fork that reads a small table 8 to 24 MiB more than the
# system's, which has room left from the imports. They are chosen when pyarrow is loaded.
OF_ALLOCATOR = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
COMPLETE = b"complete"  # what the second process says to the first once it has imported all


class Begun(NamedTuple):
    """What was so before anything was imported: code, environment, what else is inherited, blocked signals."""

    code: Code
    environment: dict[bytes, bytes]
    inherited: bytes
    mask: AbstractSet[int]


class Server:
    """Forks for each command that is asked for.

    Parameters
    ----------
    source
        A socket from which commands come.
    receive
        Takes one from it; None when no more will come.
    stages
        The names of the stages whose jobs are expected.
    begun
        What was so before anything was imported.
    second
        To the process for jobs that need torch, if this one is not for them.
    """

    def __init__(
        self, source: socket.socket, receive: Callable[[socket.socket], Request | None], stages: list[str],
        begun: Begun, second: socket.socket | None = None,
    ) -> None:  # fmt: skip
        self._source = source
        self._receive = receive
        self._second = second
        self._begun = begun
        self._running: dict[int, socket.socket] = {}  # process → the connection to its client
        self._libraries = Libraries(stages)
        self._second_imports = second is not None
        self._is_second_gone = False
        self._is_second = receive is from_first
        self._has_told = False

    def serve(self) -> None:
        """Serve until the standard input ends."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        with selectors.DefaultSelector() as selector:
            for file in (sys.stdin, woken, self._source, *([] if self._second is None else [self._second])):
                selector.register(file, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select(0 if self._has_time() else None)}
                if sys.stdin in ready:
                    return
                if not ready and self._has_time():
                    self._libraries.import_next()
                if self._second in ready:
                    selector.unregister(self._second)
                    self._second_imports = False
                if woken in ready:
                    os.read(woken, 4096)
                    self._report_ended()
                if self._source in ready:
                    request = self._receive(self._source)
                    if request is None:  # and Snakemake is there: the end of both is the end of the input
                        _print("there is no warm process any more, each job starts by itself: it was ended")
                        return
                    self._answer(request)
                self._tell_first()

    def _has_time(self) -> bool:
        """Whether it is time to import what later commands will need."""
        if self._libraries.complete or self._is_second:
            return not self._libraries.complete
        return not self._second_imports and len(self._running) < len(os.sched_getaffinity(0))

    def _tell_first(self) -> None:
        """Say once, in the second process, that it has imported all."""
        if self._is_second and self._libraries.complete and not self._has_told:
            self._has_told = True
            with suppress(OSError):  # the first has ended
                self._source.send(COMPLETE)

    def _answer(self, request: Request) -> None:
        """Fork for a client, or close the connection, which tells it to run the command itself."""
        asked, connection, files = request
        try:
            if asked and len(files) == 3:
                stage = _stage(asked)
                if self._second is not None and stage in with_torch([stage]):
                    self._hand_over(request)
                elif self._prepare(asked, stage) and not self._is_gone(connection):
                    self._fork(connection, asked, files)
        except OSError as error:
            _print(f"a job starts by itself, since the warm process cannot fork: {error}")
        finally:
            for file in files:
                os.close(file)
            if connection not in self._running.values():
                connection.close()

    def _hand_over(self, request: Request) -> None:
        """Let the second process answer; once that is gone, close the connection."""
        assert self._second is not None
        try:
            socket.send_fds(self._second, [request.asked], [request.connection.fileno(), *request.files])
        except OSError as error:
            if not self._is_second_gone:
                _print(f"jobs with torch start by themselves from now on: the process that has it is gone ({error})")
            self._is_second_gone = True

    def _prepare(self, asked: bytes, stage: str) -> bool:
        """Import what a command needs; return whether a fork would do what a new process does."""
        folder, _, inherited, _, environment = decode(asked)
        if inherited != self._begun.inherited or changed_settings(self._begun.environment, environment):
            return False
        if searches_elsewhere(folder, environment):
            return False
        self._libraries.import_for(stage)
        return not changed_code(self._begun.code)

    @staticmethod
    def _is_gone(connection: socket.socket) -> bool:
        try:
            return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False

    def _fork(self, connection: socket.socket, request: bytes, files: Sequence[int]) -> None:
        server = os.getpid()
        # What has been imported is never garbage. A fork whose collector looked at it would get a copy of its pages.
        gc.freeze()
        pid = os.fork()
        if not pid:
            # A client that waits for another fork would never be told of its end while this one held the connection.
            for other in (self._source, self._second, *self._running.values()):
                if other is not None:
                    other.close()
            fork.become(connection, request, files, server, self._begun.mask)
        self._running[pid] = connection

    def _report_ended(self) -> None:
        """Tell the clients of forks that have ended how."""
        while self._running:
            pid, waited = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            code = os.waitstatus_to_exitcode(waited)
            if pid not in self._running:  # the second process
                continue
            with self._running.pop(pid) as connection, suppress(OSError):  # the client may be gone
                connection.send(b"exit %d" % code if code >= 0 else b"signal %d" % -code)


def _stage(asked: bytes) -> str:
    """The stage of a command, or what is in its place."""
    arguments = decode(asked)[3]
    return os.fsdecode(arguments[0]).replace("-", "_") if arguments else ""


def serve(listener: socket.socket, stages: list[str]) -> None:
    """Serve the clients on a socket that listens, with a second process if jobs of some stages need torch."""
    # Signals are not ignored, since a fork would ignore them until it has put them back.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_FORKS)
    begun = Begun(read_code(), dict(os.environb), surroundings(), before)
    os.environ.update({name: value for name, value in OF_ALLOCATOR.items() if name not in os.environ})
    torch = with_torch(stages)
    others = [stage for stage in stages if stage not in torch]
    if not (torch and others):
        Server(listener, from_client, stages, begun).serve()
        return
    way, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child:
        second.close()
        Server(listener, from_client, others, begun, way).serve()
        way.close()
        with suppress(ChildProcessError):  # it has been killed before
            os.waitpid(child, 0)
    else:
        for other in (listener, way):
            other.close()
        Server(second, from_first, torch, begun).serve()
        os._exit(0)


def main() -> None:
    """Serve on the socket with the number of the first argument, in the folder of the second, for the stages named."""
    number, folder, *stages = sys.argv[1:]
    first = os.getpid()
    try:
        serve(socket.socket(fileno=int(number)), stages)
    except Exception as error:
        _print(f"there is no warm process, each job starts by itself: {error}")
    finally:
        if os.getpid() == first:
            shutil.rmtree(Path(folder), ignore_errors=True)
        os._exit(0)  # there is nothing to tear down


def _print(message: str) -> None:
    print(f"finecal: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
