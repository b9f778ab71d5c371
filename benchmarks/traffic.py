"""How often is SLURM asked, and how long does a job wait after what it needs has ended?

    uv run python benchmarks/traffic.py [--runs 24 200] [--seconds 30] [--slots 20] [--still 240]

Snakemake sends a study with so many runs to a pretended SLURM (_pretended_slurm.py) with the profile's settings.
Nothing is trained: a training lasts so many seconds, any other job half a second. So many SLURM jobs run at a time.
Each call of squeue, sacct, scontrol, sbatch, sinfo, scancel and sacctmgr is counted, whoever makes it.

* per minute, per run: all calls from Snakemake's start to its end;
* still: calls per minute while nothing changes, for trainings that all run at once and last `--still` seconds;
* wait: seconds from the end of the last job that a job needs to its begin where it follows in the same SLURM job, else
  to its submission (how long SLURM lets it wait is SLURM's); the mean of all jobs that need another one, and of those
  alone that were submitted after it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/slurm"))
from projects import SETTINGS, STUDY, TINY

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAM = Path(__file__).with_name("_pretended_slurm.py")
COUNTED = ("squeue", "sacct", "scontrol", "sbatch", "sinfo", "scancel", "sacctmgr")
ANSWERED = ("squeue", "scontrol", "sinfo")  # the others are not there, but for sbatch
# As cheap as the real one, which is a small program that speaks to another machine. Numbers begin with 1.
SBATCH = """\
case "$*" in *--test-only*|*--wrap*) echo 1; exit;; esac
set -C
number=1
until true > {slurm}/taken.$number; do number=$((number + 1)); done 2> /dev/null
{{ echo "$*"; cat; }} > {slurm}/jobs/$number.part
mv {slurm}/jobs/$number.part {slurm}/jobs/$number.new
echo $number"""
AT_REST = 5.0  # seconds after a change until nothing counts as changing


class Begun(NamedTuple):
    """A job that has begun; one that is no follower has the folder of its SLURM job."""

    when: float
    outputs: list[str]
    inputs: list[str]
    folder: str


class Seen(NamedTuple):
    """What was counted of one study."""

    calls: list[tuple[float, str]]
    submitted: dict[str, float]  # by folder
    begun: list[Begun]
    ended: list[tuple[float, list[str]]]  # when, outputs
    seconds: float
    jobs: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Calls of SLURM's commands, and seconds that jobs wait.")
    parser.add_argument("--runs", type=int, nargs="+", default=[24, 200])
    parser.add_argument("--seconds", type=float, default=30, help="of a training")
    parser.add_argument("--slots", type=int, default=20, help="SLURM jobs that run at a time")
    parser.add_argument("--still", type=float, default=240, help="seconds of a training while nothing changes; 0: none")
    parser.add_argument("--quick", action="store_true", help="two runs of a second, to see that it works")
    args = parser.parse_args()
    if args.quick:
        args.runs, args.seconds, args.still = [2], 1, 0
    print("| runs | SLURM jobs | calls | per minute | per run | wait, all (s) | wait, submitted (s) | scontrol |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|")
    for runs in args.runs:
        seen = study(runs, args.seconds, args.slots)
        names = Counter(name for _, name in seen.calls)
        listed = ", ".join(f"{names[name]} {name}" for name in COUNTED if names[name])
        every, submitted = waits(seen)
        print(
            f"| {runs} | {seen.jobs} | {listed} | {60 * len(seen.calls) / seen.seconds:.1f} | "
            f"{len(seen.calls) / runs:.2f} | {fmean(every):.1f} | {fmean(submitted):.1f} | {names['scontrol']} |",
            flush=True,
        )
    if args.still:
        print(f"\nStill: {still(study(args.runs[0], args.still, args.runs[0] + 1)):.2f} calls per minute.")


def study(runs: int, seconds: float, slots: int) -> Seen:
    """Let Snakemake make a study with so many runs on a pretended SLURM."""
    with tempfile.TemporaryDirectory() as temporary:
        slurm, folder = Path(temporary) / "slurm", Path(temporary) / "project"
        for made in (slurm / "jobs", slurm / "node", slurm / "bin", folder):
            made.mkdir(parents=True)
        for name in COUNTED:
            _write(slurm / "bin" / name, f'echo "$(date +%s.%N) {name}" >> {slurm}/calls\n' + (
                f'exec "{sys.executable}" -I -S "{PROGRAM}" {name} "$@"' if name in ANSWERED else
                SBATCH.format(slurm=slurm) if name == "sbatch" else "exit 1"
            ))  # fmt: skip
        _write(slurm / "node" / "sh", f'exec "{sys.executable}" "{PROGRAM}" sh "$@"')
        recipes = {"short": {"recipe": "full", "training": {"epochs": 1}}}
        for name, content in ((STUDY, {**TINY, "recipes": recipes, "seeds": list(range(runs))}),
                              ("config.yaml", SETTINGS)):  # fmt: skip
            (folder / name).write_text(yaml.safe_dump(content))
        environment = {
            **os.environ, "PATH": f"{slurm / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY / "workflow"), "PRETENDED_SLURM": str(slurm),
            "PRETENDED_SECONDS": str(seconds),
        }  # fmt: skip
        controller = subprocess.Popen([sys.executable, PROGRAM, "controller", str(slots)], cwd=folder, env=environment)
        command = ["snakemake", "--profile", "profiles/slurm", "--jobs", "1000", "--directory", str(folder)]
        start = time.time()
        try:
            done = subprocess.run(
                command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=7200
            )
        finally:
            controller.kill()
        if done.returncode:
            sys.exit(done.stdout[-3000:] + done.stderr[-6000:])
        elapsed = time.time() - start
        calls = [line.split() for line in (slurm / "calls").read_text().splitlines()]
        events: list[list[Any]] = [json.loads(line) for line in (slurm / "events").read_text().splitlines()]
        return Seen(
            [(float(when), name) for when, name in calls],
            {folder: when for when, what, folders, *_ in events if what == "submitted" for folder in folders},
            [Begun(when, outputs, *rest) for when, what, outputs, *rest in events if what == "begin"],
            [(when, outputs) for when, what, outputs, *_ in events if what == "end"],
            elapsed, len(list((slurm / "jobs").glob("*.json"))),
        )  # fmt: skip


def waits(seen: Seen) -> tuple[list[float], list[float]]:
    """Return the seconds that jobs have waited since what they need was there: of all, and of those submitted later."""
    ends = {output: when for when, outputs in seen.ended for output in outputs}
    every, submitted = [], []
    for begun in seen.begun:
        needed = [ends[name] for name in begun.inputs if name in ends]
        if not needed:
            continue
        start = seen.submitted[begun.folder] if begun.folder else begun.when
        every.append(max(0.0, start - max(needed)))
        if begun.folder:
            submitted.append(every[-1])
    return every or [0.0], submitted or [0.0]


def still(seen: Seen) -> float:
    """Return the calls per minute between the last training's begin and the first one's end."""
    end = min(when for when, outputs in seen.ended if any("/short/" in one for one in outputs))
    begun = [one.when for one in seen.begun if one.when < end and any("/short/" in name for name in one.outputs)]
    start = max(begun) + AT_REST
    return 60 * sum(start < when < end for when, _ in seen.calls) / (end - start)


def _write(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


if __name__ == "__main__":
    main()
