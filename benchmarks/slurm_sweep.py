"""What does a sweep cost a cluster besides its trainings?

    uv run python benchmarks/slurm_sweep.py [--seeds 8] [--repeats 1] [--against FOLDER] [--partition NAME] [--quick]

Trains and scores runs of a small study with `--profile profiles/slurm`: two splits and all classes (the upper bound,
which the scores of the others need), each with so many seeds; and draws for each run how much data a calibrator needs.
Trainings ask for a GPU, as on a cluster, whether there is one or not, so that two of them run at a time on two nodes.
Where this machine belongs to no cluster, it is the one of tests/slurm, on two nodes of this machine (needs SLURM, munge
and root).

* SLURM jobs: how many were submitted, for each run;
* node seconds: how long they ran, together, for each run; of them those beyond the trainings' own, as the trainings
  noted them;
* until the end: from Snakemake's start to its end.

With `--against`, the checkout of another version of finecal in a folder does the same, in turns; medians are compared.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/slurm"))
import projects
from groups import a_cluster, watched
from projects import SETTINGS, STUDY, TASK, TINY, Project, copy_project, in_partition

REPOSITORY = Path(__file__).resolve().parents[1]
SPLITS = [f"results/digits/splits/{split}.parquet" for split in ("half0", "half1", "all")]
WITH_GPU = ("--set-resources", "finetune:gpu=1", "extract:gpu=1")


class Taken(NamedTuple):
    """For each run SLURM jobs, node seconds, those beyond training; and seconds until Snakemake's end."""

    jobs: float
    node: float
    beyond: float
    wall: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a sweep on a cluster.")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--against", type=Path, help="a checkout of another version")
    parser.add_argument("--partition", help="of the cluster (default: its default one)")
    parser.add_argument("--quick", action="store_true", help="one seed once, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.seeds, args.repeats = 1, 1
    versions = {"this version": REPOSITORY} | ({"that of --against": args.against} if args.against else {})
    options = (*(in_partition(args.partition) if args.partition else ()), *WITH_GPU)

    with tempfile.TemporaryDirectory() as temporary, a_cluster(Path(temporary) / "slurm"):
        ready = {name: prepared(Path(temporary) / str(place), args.seeds, version)
                 for place, (name, version) in enumerate(versions.items())}  # fmt: skip
        taken: dict[str, list[Taken]] = {name: [] for name in versions}
        for repeat in range(args.repeats):
            for name, project in ready.items():
                one = copy_project(project, project.folder.with_name(f"{repeat}"))
                taken[name].append(sweep(one, args.seeds, options))
                print(f"{name}: {taken[name][-1]}", file=sys.stderr, flush=True)
                shutil.rmtree(one.folder)
    print(f"{3 * args.seeds} runs; median of {args.repeats} interleaved repeats.\n")
    print("|  | SLURM jobs per run | node seconds per run | beyond the training | until the end (s) |")
    print("|---|---:|---:|---:|---:|")
    for name, results in taken.items():
        middle = Taken(*(median(column) for column in zip(*results, strict=True)))
        print(f"| {name} | {middle.jobs:.2f} | {middle.node:.1f} | {middle.beyond:.1f} | {middle.wall:.0f} |")


def study(seeds: int, **training: int) -> dict[str, Any]:
    """Return the study: two halves of the classes, and all of them."""
    splits = {f"half{seed}": {"kind": "random", "fraction": 0.5, "seed": seed} for seed in (0, 1)}
    recipes = {"full": {"recipe": "full", "training": training}}
    return {**TINY, "recipes": recipes, "splits": splits, "seeds": list(range(seeds)), "oracle_fine_tuning": True}


def scores(seeds: int) -> list[str]:
    """Return the files that are made of all runs."""
    runs = [f"{TASK}/full/half{split}/seed{seed}" for split in (0, 1) for seed in range(seeds)]
    return [f"{run}/{name}.parquet" for run in runs for name in ("metrics", "curve", "gamma_draws")]


def prepared(folder: Path, seeds: int, version: Path) -> Project:
    """Make a project with everything that fine-tuning needs."""
    projects.REPOSITORY = version
    project = Project(folder / "project", projects.copy_sources(folder / "source"))
    project.folder.mkdir()
    for name, content in ((STUDY, study(seeds, epochs=2, steps_per_epoch=40)), ("config.yaml", SETTINGS)):
        (project.folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    project.run_here(f"{TASK}/pretrained/logits.parquet", *SPLITS, cores=2)
    return project


def sweep(project: Project, seeds: int, options: tuple[str, ...]) -> Taken:
    """Train and score all runs on the cluster, with these options of Snakemake's."""
    with watched(project) as elapsed:
        start = time.perf_counter()
        project.run(*scores(seeds), *options, seconds=7200)
        wall = time.perf_counter() - start
    training = 0.0
    for note in project.path("benchmarks/data/finetune").rglob("*.tsv"):
        with note.open() as file:
            training += sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
    runs, node = 3 * seeds, sum(elapsed.values())
    return Taken(len(elapsed) / runs, node / runs, (node - training) / runs, wall)


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        sys.exit(f"{error}: needs SLURM and munge (apt-get install slurm-wlm munge), as root where there is no cluster")
