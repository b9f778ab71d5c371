"""The program `finecal` where there is a warm process: `python -IS client.py SOCKET PROGRAM [ARGUMENT …]`.

It hands over its arguments, folder, environment, open files and what else it has inherited, passes on the signals that
it receives, and ends as the fork does: with its exit status, or by the same signal. If it is killed, so is the fork
(fork.py). Where no process answers, or it will not run the command, it becomes PROGRAM, the ordinary `finecal`.

It imports nothing of finecal and little else, since it starts once per job: of `signal` and `socket` only what is in C,
without the enumerations of all names, which take as long to make as Python takes to start.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from types import FrameType
else:
    import _signal as signal
    import _socket as socket

# What a terminal, a user or SLURM sends to a job. SIGTSTP is passed on as SIGSTOP, since a fork of a process that is
# not in the terminal's foreground would ignore it.
PASSED_ON = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGURG, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGCONT,
)  # fmt: skip
LARGEST = 2**20  # bytes of a request
SEPARATOR = b"\0"  # neither arguments nor names of folders nor environments contain it
# Of /proc/self: what a process may take, and where; and the namespaces in which it is.
INHERITED, NAMESPACES = ("limits", "cgroup", "oom_score_adj"), ("ipc", "mnt", "net", "pid", "user", "uts")


def surroundings() -> bytes:
    """What a process inherits beside its environment: who it is, where it runs, and how much it may take.

    `ulimit`, `nice`, `taskset`, `chrt`, `choom`, `newgrp`, `unshare`, `systemd-run` and the like set it for a command.
    """
    place = os.readlink("/proc/self/root"), *(os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES)  # noqa: PTH115 - starts fast
    users = os.getresuid(), os.getresgid(), sorted(os.getgroups())
    priority = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))
    files = []
    for name in INHERITED:
        with open(f"/proc/self/{name}", "rb") as file:  # noqa: PTH123 - starts fast
            files.append(file.read())
    return b"\n".join([repr((place, users, priority)).encode(), *files])


def has_other_files() -> bool:
    """Whether more is open than input, output and errors, as with `finecal diagnose <(zcat …)`: a fork has no more."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - starts fast
        try:
            if int(name) > 2:
                os.fstat(int(name))
                return True
        except OSError:  # that of the list itself
            continue
    return False


def encode(
    folder: bytes, umask: int, inherited: bytes, arguments: list[bytes], environment: dict[bytes, bytes]
) -> bytes:
    """The request for a command, as bytes; `inherited` is what `surroundings` says."""
    variables = [name + b"=" + value for name, value in environment.items()]
    return SEPARATOR.join([folder, b"%o" % umask, inherited, b"%d" % len(arguments), *arguments, *variables])


def decode(request: bytes) -> tuple[bytes, int, bytes, list[bytes], dict[bytes, bytes]]:
    """What `encode` was given."""
    folder, umask, inherited, number, *rest = request.split(SEPARATOR)
    arguments, variables = rest[: int(number)], rest[int(number) :]
    return folder, int(umask, 8), inherited, arguments, dict(one.split(b"=", 1) for one in variables)


def ask(address: str, arguments: list[str]) -> tuple[socket.socket, bytes] | None:
    """Hand a command over; the connection and the number of the process that runs it, None if none will.

    In place of the number it may be told how the process has ended: if that was killed at its very beginning.
    """
    if has_other_files():
        return None
    umask = os.umask(0)
    os.umask(umask)
    folder = os.fsencode(os.getcwd())  # noqa: PTH109 - starts fast
    words = [os.fsencode(one) for one in arguments]
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        request = encode(folder, umask, surroundings(), words, dict(os.environb))
        connection.connect(address)
        files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))  # as C's int
        connection.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        answer = connection.recv(32)
    except OSError:  # it has ended, or the request is too large, or there is no /proc
        answer = b""
    if not answer:
        connection.close()
        return None
    return connection, answer


def pass_signals_on(pid: int) -> None:
    """Send the signals that this process receives to another, but for those that are ignored here."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return  # it has ended; the answer is on its way

    def stop(_number: int, _frame: FrameType | None) -> None:
        os.kill(pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)

    for number in PASSED_ON:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, pass_on)
    signal.signal(signal.SIGTSTP, stop)


def end_as(answer: bytes) -> int:
    """End as the fork did: by the same signal, or return its exit status.

    The answer is `exit STATUS` or `signal NUMBER`. It is empty if nobody was left to say, which happens only if the
    fork and the warm process were both killed.
    """
    how, _, number = answer.decode().partition(" ")
    if how == "exit":
        return int(number)
    ended_by = int(number) if number else signal.SIGKILL
    if ended_by not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(ended_by, signal.SIG_DFL)
    os.kill(os.getpid(), ended_by)
    return 128 + ended_by


def main() -> int:
    """Run the command; the exit status."""
    address, program, *arguments = sys.argv[1:]
    # What arrives before it can be passed on waits: the fork may be at work, and is to hear of it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED_ON, signal.SIGTSTP))
    running = ask(address, arguments)
    if running is None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.execv(program, [program, *arguments])
    connection, answer = running
    if answer.isdigit():
        pass_signals_on(int(answer))
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        answer = connection.recv(32)
    return end_as(answer)


if __name__ == "__main__":
    sys.exit(main())
