"""What does Snakemake's planning of a large sweep cost, beside a Snakefile of as many jobs that has nothing in it?

    uv run python benchmarks/dag.py [--runs 100 1000 10000] [--repeats 3] [--snakefile Snakefile] [--quick]

A generated study of the digits has one split and as many seeds as runs: seven jobs for each run. The other one has
the same chain of rules with plain inputs, outputs and a command: no params, functions, resources, logs, benchmarks.

* nothing built: `snakemake --dry-run --quiet` in an empty folder (`--quiet all` would print every job);
* all built: the same where all files are there, empty and equally old, but without the notes that Snakemake keeps of
  finished jobs, so that it compares times and not params.

Both Snakefiles take turns in every repeat, so that a busy moment of the machine hits both; the medians are compared,
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
STAGES = ("finetune", "pseudo", "extract", "calibrate", "evaluate", "similarity", "gamma")
GATHERED = ("evaluate", "similarity", "gamma")
NEEDS = {"finetune": [], "pseudo": [], "extract": ["finetune"], "calibrate": ["pseudo", "extract"]}
NEEDS |= {"evaluate": ["extract", "calibrate"], "similarity": ["finetune"], "gamma": ["pseudo", "extract"]}


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
        """Make all files that the plan names, equally old; the number of jobs."""
        text = self.plan().output
        files = [file for line in re.findall(r"^    output: (.*)$", text, re.MULTILINE) for file in line.split(", ")]
        now = time.time()
        for file in files:
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (now, now))
        if "Nothing to be done" not in (left := self.plan().output):
            sys.exit(f"jobs are left although all files are there:\n{left[-2000:]}")
        jobs = re.search(r"^total +(\d+)$", text, re.MULTILINE)
        assert jobs, text[-2000:]
        return int(jobs[1])


def finecal(folder: Path, runs: int, snakefile: Path) -> Sweep:
    """The sweep of finecal: the digits study with one split and `runs` seeds."""
    study: dict[str, Any] = yaml.safe_load((REPOSITORY / "workflow/studies/digits.yaml").read_text("utf-8"))
    name, split = next(iter(study["splits"].items()))
    study |= {"seeds": list(range(runs)), "splits": {name: split}, "oracle_fine_tuning": False}
    folder.mkdir(parents=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    (folder / "config.yaml").write_text(yaml.safe_dump({"studies": ["sweep.yaml"], "device": "cpu"}))
    return Sweep(folder, snakefile)


def trivial(folder: Path, runs: int) -> Sweep:
    """As many runs and rules per run, and one that reads all of them."""
    every = f'expand("r/{{seed}}/{{stage}}", seed=range({runs}), stage={GATHERED})'
    rules = [
        'rule all:\n    input: "r/all"\n',
        f'rule gather:\n    input: {every}\n    output: "r/all"\n    shell: "a"\n',
    ]
    for stage in STAGES:
        inputs = "".join(f'"r/{{seed}}/{need}", ' for need in NEEDS[stage])
        rules.append(f'rule {stage}:\n    input: {inputs}\n    output: "r/{{seed}}/{stage}"\n    shell: "a"\n')
    folder.mkdir(parents=True)
    (folder / "Snakefile").write_text("\n".join(rules))
    return Sweep(folder, folder / "Snakefile")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of planning a sweep.")
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--snakefile", type=Path, default=REPOSITORY / "Snakefile")
    parser.add_argument("--quick", action="store_true", help="a small sweep once, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.runs, args.repeats = [5], 1

    print(f"Median of {args.repeats} interleaved repeats; the trivial Snakefile in brackets.\n")
    print("| runs | jobs | files | wall (s) | CPU (s) | × trivial (CPU) | CPU ms per job | peak memory (MiB) |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as temporary:
        for runs in args.runs:
            sweeps = (
                finecal(Path(temporary) / f"finecal{runs}", runs, args.snakefile.resolve()),
                trivial(Path(temporary) / f"trivial{runs}", runs),
            )
            jobs: list[int] = []
            for files in ("nothing built", "all built"):
                if files == "all built":
                    jobs = [sweep.build() for sweep in sweeps]
                taken: list[list[Planned]] = [[], []]
                for _ in range(args.repeats):
                    for sweep, planned in zip(sweeps, taken, strict=True):
                        planned.append(sweep.plan("--quiet"))
                print(row(runs, jobs or [len(STAGES) * runs] * 2, files, taken), flush=True)


def row(runs: int, jobs: list[int], files: str, taken: list[list[Planned]]) -> str:
    """One line of the table: ours, and the trivial one in brackets."""
    ours, other = (median(planned.cpu for planned in part) for part in taken)
    wall = [median(planned.seconds for planned in part) for part in taken]
    memory = [median(planned.memory for planned in part) for part in taken]
    cells = (
        f"{runs:,}", f"{jobs[0]:,} ({jobs[1]:,})", files, f"{wall[0]:.1f} ({wall[1]:.1f})",
        f"{ours:.1f} ({other:.1f})", f"{ours / other:.2f}",
        f"{1e3 * ours / jobs[0]:.1f} ({1e3 * other / jobs[1]:.1f})", f"{memory[0]:.0f} ({memory[1]:.0f})",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
