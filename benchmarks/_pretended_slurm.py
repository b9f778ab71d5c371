"""The programs of a pretended SLURM, for traffic.py: `python _pretended_slurm.py PROGRAM ARGUMENT …`.

`sbatch`, a few lines of shell in traffic.py, takes every job; the controller starts its real launcher when one of the
slots is free. What the launcher runs is pretended, too: after some seconds the outputs of each member are there, empty.
`squeue` tells of the jobs, `sinfo` and `scontrol` as much as finecal asks of them. Every submission and every member's
begin and end are noted with the time.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["PRETENDED_SLURM"])
JOBS, EVENTS = FOLDER / "jobs", FOLDER / "events"
TRAINING = re.compile(r"finecal (pretrain|finetune|pseudo-splits)\b")
LIGHT_SECONDS = 0.5


def note(*what: object) -> None:
    """Write an event with its time."""
    note_at(time.time(), *what)


def note_at(when: float, *what: object) -> None:
    """Write an event of a time."""
    with EVENTS.open("a") as events:
        events.write(json.dumps([when, *what]) + "\n")


def queue() -> dict[int, dict[str, str]]:
    """Return all jobs by number."""
    return {int(file.stem): json.loads(file.read_text()) for file in sorted(JOBS.glob("*.json"))}


def put(number: int, job: dict[str, str]) -> None:
    """Write what is known of a job, whole."""
    file = JOBS / f"{number}.json"
    file.with_suffix(".part").write_text(json.dumps(job))
    file.with_suffix(".part").replace(file)


def controller(words: list[str]) -> None:
    """Take what `sbatch` has left, and run so many jobs at a time, each with its real launcher."""
    running: dict[int, subprocess.Popen[bytes]] = {}
    waiting: list[int] = []
    while True:
        for file in sorted(JOBS.glob("*.new"), key=lambda file: int(file.stem)):
            number, call = int(file.stem), file.read_text()
            folder = re.search(r"slurm\.launcher (\S+)", call)
            name = re.search(r"--job-name[ =](\S+)", call)
            job = {"name": name[1] if name else "", "state": "PENDING", "folder": folder[1] if folder else ""}
            put(number, job)
            note_at(file.stat().st_mtime, "submitted", [job["folder"]])
            file.unlink()
            waiting.append(number)
        while waiting and len(running) < int(words[0]):
            number = waiting.pop(0)
            running[number] = _run(number)
        for number, process in list(running.items()):
            if process.poll() is not None:
                put(number, {**queue()[number], "state": "FAILED" if process.returncode else "COMPLETED"})
                del running[number]
        time.sleep(0.1)


def _run(number: int) -> subprocess.Popen[bytes]:
    job = queue()[number]
    put(number, {**job, "state": "RUNNING"})
    environment = {**os.environ, "PATH": f"{FOLDER / 'node'}:{os.environ['PATH']}", "SLURM_JOB_ID": str(number)}
    # Nodes are other machines: they leave the processor to Snakemake.
    launcher = ["nice", "-n", "19", sys.executable, "-m", "finecal.orchestration.slurm.launcher", job["folder"]]
    return subprocess.Popen([*launcher, "--at-a-time", "1"], env=environment, stdin=subprocess.DEVNULL)


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
    PROGRAMS = {"squeue": squeue, "sinfo": sinfo, "scontrol": scontrol, "controller": controller, "sh": sh}
    PROGRAMS[sys.argv[1]](sys.argv[2:])
