"""Run the members of a SLURM job, each on its own: `python -m finecal.orchestration.slurm.launcher FOLDER [--in-turn]`.

The folder holds one shell script per member. They run side by side or, `--in-turn`, one after the other. A member's
output goes to `NAME.log` beside it, its exit status to `NAME.status` as soon as it ends; whether it fails is nobody
else's business. SLURM's signals reach the members without us, since they go to all processes of the job. Whoever was
ended by SIGTERM leaves no status: whether that was a time limit, somebody's scancel or a preemption, and what is to be
done then, SLURM says of the job as a whole.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from finecal.runtime.signals import WARNINGS

IN_TURN = "--in-turn"


def launch(folder: Path, *, in_turn: bool = False) -> bool:
    """Run the members that have no status yet, and wait for them; False if some are left without one.

    By a SIGTERM, or since a full disk or quota takes no file: then the others go on all the same.

    A job that SLURM has started again finds the statuses of its first start: Snakemake has seen them.
    """
    received: set[int] = set()
    for number in WARNINGS:
        signal.signal(number, lambda number, _frame: received.add(number))
    scripts = [file for file in sorted(folder.iterdir()) if file.suffix == ".sh"]  # fails where there is no folder
    waiting = [script for script in scripts if not status_file(script).exists()]
    # With the object, since subprocess itself waits for the processes of objects that are gone.
    running: dict[int, tuple[Path, subprocess.Popen[bytes]]] = {}
    unknown = False
    while running or waiting:
        while waiting and not (in_turn and running) and signal.SIGTERM not in received:
            script = waiting.pop(0)
            try:
                with script.with_suffix(".log").open("ab") as log:
                    process = subprocess.Popen(["sh", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                _say(f"{script.name} was not started: {error}")
                unknown = True
                continue
            running[process.pid] = script, process
        if not running:
            return not (unknown or waiting)
        pid, waited = os.wait()
        script, _ = running.pop(pid)
        code = os.waitstatus_to_exitcode(waited)
        if code and signal.SIGTERM in received:
            unknown = True
        else:
            try:
                _write(status_file(script), str(code))
            except OSError as error:
                _say(f"{script.name} ended with {code}, which could not be noted: {error}")
                unknown = True
    return not unknown


def status_file(script: Path) -> Path:
    return script.with_suffix(".status")


def read_status(script: Path) -> int | None:
    """The exit status of a member, negative for a signal; None as long as there is none, or the network shows none."""
    try:
        return int(status_file(script).read_text())
    except (OSError, ValueError):
        return None


def _say(message: str) -> None:
    with suppress(OSError):  # the disk may be full for this, too
        print(message, file=sys.stderr, flush=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(0 if launch(Path(sys.argv[1]), in_turn=IN_TURN in sys.argv[2:]) else 128 + signal.SIGTERM)
