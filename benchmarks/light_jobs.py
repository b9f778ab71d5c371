"""What does a light job in a SLURM job of several cost besides its computation?

    uv run python benchmarks/light_jobs.py [--runs 12] [--repeats 3]

Fits the calibrators of runs of a small study, and scores these. Needs no SLURM: the launcher runs on this machine, with
the scripts that are written for SLURM jobs. CPU seconds of a job:

* in one process: the same commands one after the other in a Python that has imported everything, the first left out;
* member of a SLURM job: what one more member costs, all processes together: launcher, shells, client, fork;
* a process of its own: `finecal VERB …` in a shell, as where there is no warm process.

The ways take turns, and medians are compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/slurm"))
from groups import prepared
from projects import STUDY, TASK, Project

from finecal.orchestration.slurm.launcher import AT_A_TIME, STAGES
from finecal.orchestration.slurm.member_script import SCRIPT

IN_ONE_PROCESS = """\
import resource, sys, time
import finecal.cli
taken = []
for line in sys.stdin:
    before = time.process_time()
    sys.argv = ["finecal", *line.split()]
    finecal.cli.main()
    taken.append(time.process_time() - before)
print(sum(taken[1:]) / len(taken[1:]), file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time of a light job.")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    ways = ("in one process", "member of a SLURM job", "a process of its own")
    print(f"{args.runs} runs; CPU seconds of a job, median of {args.repeats} interleaved repeats.\n")
    print(f"|  | {' | '.join(ways)} | beyond the computation: member | process |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as temporary:
        project = prepared(Path(temporary), args.runs)
        for verb, file in (("calibrate", "calibration"), ("evaluate", "metrics")):
            files = [f"{TASK}/short/half/seed{seed}/{file}.parquet" for seed in range(args.runs)]
            commands = [[verb, file, "--study", STUDY] for file in files]
            taken: dict[str, list[float]] = {way: [] for way in ways}
            for repeat in range(args.repeats):
                for way, measured in zip(ways, (in_one_process, as_member, by_itself), strict=True):
                    taken[way].append(measured(project, commands, str(repeat)))
            one, member, process = (median(taken[way]) for way in ways)
            print(f"| {verb} | {one:.3f} | {member:.3f} | {process:.3f} | {member - one:.3f} | {process - one:.3f} |")


def in_one_process(project: Project, commands: Sequence[Sequence[str]], _: str) -> float:
    """Return the CPU seconds of a command after the first."""
    lines = "".join(f"{' '.join(command)}\n" for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS], input=lines, cwd=project.folder, env=environment(project), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True,
    )  # fmt: skip
    return float(done.stderr.splitlines()[-1])


def as_member(project: Project, commands: Sequence[Sequence[str]], repeat: str) -> float:
    """Return the CPU seconds of one more member."""
    all_of_them, one = (launched(project, some, repeat) for some in (commands, commands[:1]))
    return (all_of_them - one) / (len(commands) - 1)


def launched(project: Project, commands: Sequence[Sequence[str]], repeat: str) -> float:
    """Return the CPU seconds of a launcher and all that it starts."""
    folder = project.path(f"shared_{commands[0][0]}_{len(commands)}_{repeat}")
    folder.mkdir()
    for place, (verb, file, *rest) in enumerate(commands):
        log = f"logs/{verb}/{place}.log"
        command = f"set -euo pipefail; exec finecal {shlex.join([verb, file, *rest])} > {log} 2>&1"
        script = SCRIPT.format(
            folder=shlex.quote(str(project.folder)), environment="FINECAL_MEMORY=4000 OMP_NUM_THREADS=1", outputs=file,
            log=log, logs=log, folders=f"{Path(file).parent} {Path(log).parent}", inputs=STUDY, patience=60,
            command=f"bash -c {shlex.quote(command)}",
        )  # fmt: skip
        (folder / f"{place:04}.sh").write_text(script)
    launcher = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(folder), AT_A_TIME, "1", STAGES]
    before = children()
    subprocess.run([*launcher, commands[0][0]], env=environment(project), check=True)
    spent = children() - before
    failed = [file.name for file in folder.glob("*.status") if file.read_text() != "0"]
    if failed:
        sys.exit(f"members failed: {', '.join(failed)}")
    return spent


def by_itself(project: Project, commands: Sequence[Sequence[str]], _: str) -> float:
    """Return the CPU seconds of a command in a process of its own."""
    before = children()
    for command in commands[:3]:
        subprocess.run(
            ["finecal", *command], cwd=project.folder, env=environment(project), check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return (children() - before) / 3


def children() -> float:
    """Return the CPU seconds of all processes that this one has started and waited for, and those of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def environment(project: Project) -> Mapping[str, str]:
    return {**os.environ, **project.environment(), "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
