"""Run the members of a SLURM job, each on its own: `python -m finecal.orchestration.slurm.launcher FOLDER [--in-turn]`.

The folder holds one shell script per member. They run side by side or, `--in-turn`, one after the other. A member's
output goes to `NAME.log` beside it, its exit status to `NAME.status` as soon as it ends; one that fails does not stop
the others. The launcher passes on no signals, since SLURM's go to all processes of the job. A member that SIGTERM has
ended leaves no status: whether that was a time limit, an scancel or a preemption, SLURM says of the job as a whole.
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
    """Run the members that have no status yet, and wait for them; return whether all have one then.

    They may be left without one by a SIGTERM, or since a full disk or quota takes no file: then the others go on. A
    job that SLURM has started again finds the statuses of its first start, which Snakemake has seen.
    """
    received: set[int] = set()
    for number in WARNINGS:
        signal.signal(number, lambda number, _frame: received.add(number))
    scripts = [file for file in sorted(folder.iterdir()) if file.suffix == ".sh"]  # fails where there is no folder
    waiting = [script for script in scripts if not status_file(script).exists()]
    # With the object, since subprocess itself waits for the processes of objects that are gone.
    running: dict[int, tuple[Path, subprocess.Popen[bytes]]] = {}
    incomplete = False
    while running or waiting:
        while waiting and not (in_turn and running) and signal.SIGTERM not in received:
            script = waiting.pop(0)
            try:
                with script.with_suffix(".log").open("ab") as log:
                    process = subprocess.Popen(["sh", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                _print(f"{script.name} was not started: {error}")
                incomplete = True
                continue
            running[process.pid] = script, process
        if not running:
            return not (incomplete or waiting)
        pid, waited = os.wait()
        script, _ = running.pop(pid)
        code = os.waitstatus_to_exitcode(waited)
        if code and signal.SIGTERM in received:
            incomplete = True
        else:
            try:
                _write(status_file(script), str(code))
            except OSError as error:
                _print(f"{script.name} ended with {code}, which could not be noted: {error}")
                incomplete = True
    return not incomplete


def status_file(script: Path) -> Path:
    """Return where the exit status of a member is written."""
    return script.with_suffix(".status")


def read_status(script: Path) -> int | None:
    """Return the exit status of a member, negative for a signal; None while there is none, or none is to be seen."""
    try:
        return int(status_file(script).read_text())
    except (OSError, ValueError):
        return None


def _print(message: str) -> None:
    with suppress(OSError):  # the disk may be full for this, too
        print(message, file=sys.stderr, flush=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(0 if launch(Path(sys.argv[1]), in_turn=IN_TURN in sys.argv[2:]) else 128 + signal.SIGTERM)
