"""The programs of a pretended SLURM, for traffic.py: `python _pretended_slurm.py PROGRAM ARGUMENT …`.

`sbatch` takes every job and starts its real launcher when one of the slots is free; what the launcher runs is
pretended, too: after some seconds the outputs of each member are there, empty. `squeue` tells of the jobs, `sinfo` and
`scontrol` as much as finecal asks of them. Every submission and every member's begin and end are noted with the time.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(os.environ["PRETENDED_SLURM"])
JOBS, EVENTS = FOLDER / "jobs", FOLDER / "events"
TRAINING = re.compile(r"finecal (pretrain|finetune|pseudo-splits)\b")
LIGHT_SECONDS = 0.5


@contextmanager
def alone() -> Iterator[None]:
    """Let one process at a time change the queue."""
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def note(*what: object) -> None:
    """Write an event with its time."""
    with EVENTS.open("a") as events:
        events.write(json.dumps([time.time(), *what]) + "\n")


def queue() -> dict[int, dict[str, str]]:
    """Return all jobs by number."""
    return {int(file.stem): json.loads(file.read_text()) for file in sorted(JOBS.glob("*.json"))}


def put(number: int, job: dict[str, str]) -> None:
    """Write what is known of a job, whole."""
    file = JOBS / f"{number}.json"
    file.with_suffix(".part").write_text(json.dumps(job))
    file.with_suffix(".part").replace(file)


def sbatch(words: list[str]) -> None:
    """Take a job and let it wait for a slot in a process of its own."""
    if "--test-only" in words or "--wrap" in words:
        print(1)
        return
    script, call = sys.stdin.read(), " ".join(words)
    folder = re.search(r"slurm\.launcher (\S+)", script)
    name = re.search(r"--job-name[ =](\S+)", call)
    with alone():
        number = len(list(JOBS.glob("*.json"))) + 1
        put(number, {"name": name[1] if name else "", "state": "PENDING", "folder": folder[1] if folder else ""})
    note("submitted", [folder[1]] if folder else [])
    command = [sys.executable, __file__, "run", str(number)]
    nothing = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    print(number)


def run(words: list[str]) -> None:
    """Wait for a slot, run the launcher with a pretended shell, and note the end."""
    number = int(words[0])
    slots = os.open(FOLDER / "slots", os.O_RDWR)
    slot = os.read(slots, 1)  # which waits for one, and takes no processor time
    with alone():
        put(number, {**queue()[number], "state": "RUNNING"})
    job = queue()[number]
    environment = {**os.environ, "PATH": f"{FOLDER / 'node'}:{os.environ['PATH']}", "SLURM_JOB_ID": str(number)}
    launcher = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", job["folder"], "--at-a-time", "1"]
    done = subprocess.run(launcher, env=environment, check=False)
    with alone():
        put(number, {**job, "state": "FAILED" if done.returncode else "COMPLETED"})
    os.write(slots, slot)


def sh(words: list[str]) -> None:
    """Pretend to do what a member's script says: wait, and leave its outputs."""
    script = Path(words[0])
    known = json.loads(script.with_suffix(".job").read_text())
    follows = script.with_suffix(".needs").exists()
    note("begin", known["outputs"], known["inputs"], "" if follows else str(script.parent))
    time.sleep(float(os.environ["PRETENDED_SECONDS"]) if TRAINING.search(script.read_text()) else LIGHT_SECONDS)
    for output in known["outputs"]:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).touch()
    note("end", known["outputs"])


def squeue(words: list[str]) -> None:
    """Print all jobs with their states, or those that live with their logs."""
    by_width = next((word for word in words if word.startswith("--Format=")), "")
    for number, job in queue().items():
        if not by_width:
            print(f"{number}|{job['state']} None N/A")
        elif job["state"] in ("PENDING", "RUNNING"):
            known = {"JobID": str(number), "UserName": getpass.getuser(), "STDOUT": f"{job['folder']}/{number}.log"}
            columns = [column.split(":") for column in by_width.removeprefix("--Format=").split(",")]
            print("".join(f"{known.get(name, ''):<{width}}" for name, width in columns))


def sinfo(words: list[str]) -> None:
    """Print one partition without a limit, or its node."""
    print("n1|gpu*" if "--Node" in words else "gpu*|infinite")


def scontrol(_: list[str]) -> None:
    """Print as much of a configuration as is read."""
    print("AccountingStorageType   = accounting_storage/none\nMinJobAge               = 300 sec")


if __name__ == "__main__":
    PROGRAMS = {"sbatch": sbatch, "squeue": squeue, "sinfo": sinfo, "scontrol": scontrol, "run": run, "sh": sh}
    PROGRAMS[sys.argv[1]](sys.argv[2:])
