"""What does it cost and save to put light jobs together into one SLURM job?

    uv run python benchmarks/groups.py [--runs 10] [--repeats 3] [--partition NAME] [--quick]

Scores runs of the smallest study (calibrate and evaluate, two light jobs for each run) with
`--profile profiles/slurm`, each time with another number of jobs of a rule in a SLURM job. Where this machine belongs
to no cluster, it is the one of tests/slurm, on two nodes of this machine (needs SLURM, munge and root).

* SLURM jobs: how many were submitted;
* node seconds: how long they ran, together; what the cluster counts;
* until the end: from Snakemake's start to its end, with the waiting between its questions about jobs.

The settings take turns in every repeat, and medians are compared: a busy moment of the machine hits all of them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/slurm"))
from background import repeat
from mini_cluster import CONFIGURATION, Cluster, slurm
from projects import SETTINGS, STUDY, TASK, TINY, Forks, Project, copy_sources, in_partition


class Taken(NamedTuple):
    """SLURM jobs, seconds that they ran together, seconds until Snakemake's end."""

    jobs: float
    node: float
    wall: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of light jobs alone and together.")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--partition", help="of the cluster (default: its default one)")
    parser.add_argument("--quick", action="store_true", help="two runs once, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.runs, args.repeats = 2, 1
    settings = {"every job alone": options(0, args.partition)}
    for size in sorted({1, args.runs // 2, args.runs}):
        settings[f"up to {size}"] = options(size, args.partition)

    with tempfile.TemporaryDirectory() as temporary, a_cluster(Path(temporary) / "slurm"):
        project = prepared(Path(temporary), args.runs, fork="all" if args.quick else "none")
        taken: dict[str, list[Taken]] = {name: [] for name in settings}
        for _ in range(args.repeats):
            for name, chosen in settings.items():
                taken[name].append(score(project, args.runs, chosen))
    print(f"{args.runs} runs, {2 * args.runs} light jobs; median of {args.repeats} interleaved repeats.\n")
    print("| one SLURM job holds | SLURM jobs | node seconds | × alone | until the end (s) | × alone |")
    print("|---|---:|---:|---:|---:|---:|")
    first: Taken | None = None
    for name, results in taken.items():
        middle = Taken(*(median(column) for column in zip(*results, strict=True)))
        first = first or middle
        print(
            f"| {name} | {middle.jobs:.0f} | {middle.node:.0f} | {middle.node / first.node:.2f} "
            f"| {middle.wall:.0f} | {middle.wall / first.wall:.2f} |"
        )


def options(size: int, partition: str | None) -> tuple[str, ...]:
    """Return Snakemake's options for so many light jobs in a SLURM job; 0: submitted as Snakemake does."""
    place = in_partition(partition) if partition else ()
    return (*place, "--set-resources", f"calibrate:in_turn={size}", f"evaluate:in_turn={size}")


@contextmanager
def a_cluster(folder: Path) -> Iterator[None]:
    """Use the cluster of this machine, or start one."""
    if (CONFIGURATION / "slurm.conf").exists():
        yield
        return
    folder.mkdir()
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield
    finally:
        cluster.stop()


def prepared(folder: Path, runs: int, fork: Forks) -> Project:
    """Make a project with everything that is needed for scoring."""
    project = Project(folder / "project", copy_sources(folder / "source"), fork)
    project.folder.mkdir()
    study = {**TINY, "recipes": {"short": {"recipe": "full", "training": {"epochs": 1}}}, "seeds": list(range(runs))}
    for name, content in ((STUDY, study), ("config.yaml", SETTINGS)):
        (project.folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    pretrained = f"{TASK}/pretrained/logits.parquet"
    project.run_here("extracted", pretrained, "results/digits/splits/half.parquet", cores=2)
    return project


def score(project: Project, runs: int, chosen: tuple[str, ...]) -> Taken:
    """Score all runs on the cluster, then remove the scores."""
    folders = [f"{TASK}/short/half/seed{seed}" for seed in range(runs)]
    with watched(project) as elapsed:
        start = time.perf_counter()
        project.run(*(f"{folder}/metrics.parquet" for folder in folders), *chosen)
        wall = time.perf_counter() - start
    for folder in folders:
        for name in ("calibration", "metrics", "curve"):
            project.path(folder, f"{name}.parquet").unlink()
    shutil.rmtree(project.path(".snakemake/slurm_logs"), ignore_errors=True)
    return Taken(len(elapsed), sum(elapsed.values()), wall)


@contextmanager
def watched(project: Project) -> Iterator[dict[str, int]]:
    """Collect the seconds that each of the project's jobs has run; complete after the block."""
    elapsed: dict[str, int] = {}
    before = set(seconds_of_jobs(project))

    def look() -> None:
        elapsed.update({job: spent for job, spent in seconds_of_jobs(project).items() if job not in before})

    with repeat(look, 2):
        yield elapsed


def seconds_of_jobs(project: Project) -> dict[str, int]:
    """Return the seconds that each job ran, of all jobs that SLURM still knows."""
    lines = slurm("squeue", "--me", "-h", "--states=all", "-O", "JobID:20,TimeUsed:20,STDOUT:1000").splitlines()
    found = {}
    for line in lines:
        job, spent, log = line[:20].strip(), line[20:40].strip(), line[40:].strip()
        if log.startswith(f"{project.folder}/"):
            parts = [int(part) for part in spent.replace("-", ":").split(":")]
            found[job] = sum(part * unit for part, unit in zip(reversed(parts), (1, 60, 3600, 86400), strict=False))
    return found


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        sys.exit(f"{error}: needs SLURM and munge (apt-get install slurm-wlm munge), as root where there is no cluster")
