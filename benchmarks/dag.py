"""What does Snakemake's planning of a large sweep cost, beside Snakefiles of as many jobs that have nothing in them?

    uv run python benchmarks/dag.py [--runs 100 1000 10000] [--repeats 3] [--trivial-only] \\
        [--snakefile Snakefile] [--quick]

A generated study of the digits has one split and as many seeds as runs: seven jobs for each run. Two others have the
same chain of rules with plain inputs, outputs and a command, without params, functions, resources, logs, benchmarks:

* trivial: one output per job, and as inputs the outputs of the jobs before it: 10 inputs and 7 outputs for each run;
* as many files: the inputs and outputs of our rules, 32 and 13 for each run: what a run's jobs really read and write.

* nothing built: `snakemake --dry-run --quiet` in an empty folder (`--quiet all` would print every job);
* all built: the same where all files are there, empty and equally old, with the notes that Snakemake keeps of finished
  jobs: as after a real run it compares times, params, code and sets of inputs, and finds nothing to do.

The Snakefiles take turns in every repeat, so that a busy moment of the machine hits all; the medians are compared,
of CPU seconds, which a busy machine changes less than wall seconds.
Memory is the peak of Snakemake's process, looked at fifty times a second. Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
# Rule → its inputs and outputs. What begins with / is not of the run, but of all.
Chain = dict[str, tuple[list[str], list[str]]]
TRIVIAL: Chain = {
    "finetune": ([], ["finetune"]),
    "pseudo": ([], ["pseudo"]),
    "extract": (["finetune"], ["extract"]),
    "calibrate": (["pseudo", "extract"], ["calibrate"]),
    "evaluate": (["extract", "calibrate"], ["evaluate"]),
    "similarity": (["finetune"], ["similarity"]),
    "gamma": (["pseudo", "extract"], ["gamma"]),
}
START = ["/model", "/images", "/split"]
FITTED = ["/split", "/pretrained", "logits", "pcv_logits"]
AS_MANY_FILES: Chain = {
    "finetune": (START, ["model", "head", "history"]),
    "pseudo": (START, ["pcv_logits", "pcv_history"]),
    "extract": (["model", "/images"], ["logits"]),
    "calibrate": (FITTED, ["calibration"]),
    "evaluate": (["/split", "/pretrained", "logits", "calibration"], ["metrics", "curve", "samples"]),
    "similarity": (["/split", "/head", "head"], ["similarity", "means"]),
    "gamma": (FITTED, ["draws"]),
}
# What the tables of all runs are made from, and the table of costs.
GATHERED = {
    "trivial": ["evaluate", "similarity", "gamma"],
    "as many files": [
        "metrics",
        "curve",
        "calibration",
        "history",
        "means",
        "draws",
        "logits",
        "pcv_history",
        "samples",
    ],
}  # fmt: skip


# Snakemake that makes its jobs' outputs by itself, empty and equally old, and notes the jobs as finished.
BUILD = """
import os, sys, time
from pathlib import Path
from snakemake.cli import main
from snakemake.scheduling.job_scheduler import JobScheduler

def build(scheduler):
    workflow = scheduler.workflow
    jobs, now = list(workflow.dag.needrun_jobs()), time.time()
    for file in (file for job in jobs for file in job.output):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
        os.utime(file, (now, now))
    for job in jobs:
        workflow.async_run(workflow.persistence.finished(job))
    return True

JobScheduler.schedule = build
main(sys.argv[1:])
"""


class Planned(NamedTuple):
    """Wall and CPU seconds, peak memory in MiB, and the output of a dry run."""

    seconds: float
    cpu: float
    memory: float
    output: str


class Sweep(NamedTuple):
    """A folder, and the Snakefile that is run in it."""

    folder: Path
    snakefile: Path

    def plan(self, *options: str) -> Planned:
        """A dry run: Snakemake's defaults on both sides, no profile."""
        command = [
            sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", "--workflow-profile", "none",
            "--snakefile", str(self.snakefile), *options,
        ]  # fmt: skip
        start = time.perf_counter()
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT)
            memory = ended = 0
            while not ended:
                with suppress(psutil.Error):  # it has just ended
                    memory = max(memory, psutil.Process(process.pid).memory_info().rss)
                time.sleep(0.02)
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.perf_counter() - start
            output.seek(0)
            text = output.read()
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed in {self.folder}:\n{text[-2000:]}")
        return Planned(seconds, usage.ru_utime + usage.ru_stime, memory / 2**20, text)

    def build(self) -> int:
        """Make all files of the plan, and Snakemake's notes of them; the number of jobs."""
        jobs = re.search(r"^total +(\d+)$", self.plan().output, re.MULTILINE)
        assert jobs, f"nothing to build in {self.folder}"
        options = ["--cores", "2", "--workflow-profile", "none", "--quiet", "all", "--snakefile", str(self.snakefile)]
        done = subprocess.run(
            [sys.executable, "-c", BUILD, *options], cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"building in {self.folder} failed:\n{done.stderr[-2000:]}")
        if "Nothing to be done" not in (left := self.plan().output):
            sys.exit(f"jobs are left although all files are there:\n{left[-2000:]}")
        return int(jobs[1])


def finecal(folder: Path, runs: int, snakefile: Path) -> Sweep:
    """Write the sweep of finecal: the digits study with one split and `runs` seeds."""
    study: dict[str, Any] = yaml.safe_load((REPOSITORY / "workflow/studies/digits.yaml").read_text("utf-8"))
    name, split = next(iter(study["splits"].items()))
    study |= {"seeds": list(range(runs)), "splits": {name: split}, "oracle_fine_tuning": False}
    folder.mkdir(parents=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    (folder / "config.yaml").write_text(yaml.safe_dump({"studies": ["sweep.yaml"], "device": "cpu"}))
    return Sweep(folder, snakefile)


def plain(folder: Path, runs: int, chain: Chain, gathered: list[str]) -> Sweep:
    """Write as many runs and rules per run, and a rule that reads all of them."""
    every = f'expand("r/{{seed}}/{{file}}", seed=range({runs}), file={gathered})'
    rules = [
        'rule all:\n    input: "r/all"\n',
        f'rule gather:\n    input: {every}\n    output: "r/all"\n    shell: "a"\n',
    ]
    folder.mkdir(parents=True)
    for rule, (inputs, outputs) in chain.items():
        read, written = (", ".join(f'"{_place(file)}"' for file in files) for files in (inputs, outputs))
        rules.append(f'rule {rule}:\n    input: {read}\n    output: {written}\n    shell: "a"\n')
        for file in (_place(file) for file in inputs if file.startswith("/")):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).touch()
    (folder / "Snakefile").write_text("\n".join(rules))
    return Sweep(folder, folder / "Snakefile")


def _place(file: str) -> str:
    return f"shared{file}" if file.startswith("/") else f"r/{{seed}}/{file}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of planning a sweep.")
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trivial-only", action="store_true", help="leave the Snakefile of as many files out")
    parser.add_argument("--snakefile", type=Path, default=REPOSITORY / "Snakefile")
    parser.add_argument("--quick", action="store_true", help="a small sweep once, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.runs, args.repeats = [5], 1

    others = {"trivial": TRIVIAL} if args.trivial_only else {"trivial": TRIVIAL, "as many files": AS_MANY_FILES}
    print(f"Median of {args.repeats} interleaved repeats; in brackets: {', '.join(others)}.\n")
    columns = ["jobs", "wall (s)", "CPU (s)", *(f"× {name}" for name in others), "CPU ms per job", "peak memory (MiB)"]
    print("| " + " | ".join(["runs", "files", *columns]) + " |")
    print("|---:|---|" + "---:|" * len(columns))
    with tempfile.TemporaryDirectory() as temporary:
        for runs in args.runs:
            folder = Path(temporary) / str(runs)
            sweeps = [finecal(folder / "finecal", runs, args.snakefile.resolve())]
            sweeps += [plain(folder / name, runs, chain, GATHERED[name]) for name, chain in others.items()]
            jobs = [len(TRIVIAL) * runs] * len(sweeps)
            for files in ("nothing built", "all built"):
                if files == "all built":
                    jobs = [sweep.build() for sweep in sweeps]
                taken: list[list[Planned]] = [[] for _ in sweeps]
                for _ in range(args.repeats):
                    for sweep, planned in zip(sweeps, taken, strict=True):
                        planned.append(sweep.plan("--quiet"))
                print(row(runs, jobs, files, taken), flush=True)


def row(runs: int, jobs: list[int], files: str, taken: list[list[Planned]]) -> str:
    """Format a line of the table: finecal, and the plain Snakefiles in brackets."""
    cpu, wall, memory = (
        [median(getattr(planned, name) for planned in part) for part in taken] for name in ("cpu", "seconds", "memory")
    )
    per_job = [1e3 * one / number for one, number in zip(cpu, jobs, strict=True)]
    cells = (
        f"{runs:,}", files, _together(jobs, ",d"), _together(wall, ".1f"), _together(cpu, ".1f"),
        *(f"{cpu[0] / one:.2f}" for one in cpu[1:]), _together(per_job, ".1f"), _together(memory, ".0f"),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _together(values: list[float] | list[int], form: str) -> str:
    return f"{values[0]:{form}} ({', '.join(f'{value:{form}}' for value in values[1:])})"


if __name__ == "__main__":
    main()
