"""What does Snakemake add to the embedded study, beside the same computation in one plain Python process?

    uv run python benchmarks/study.py [--study digits] [--cores 2] [--repeats 3] [--target all] [--epochs N]
        [--earlier FOLDER] [--quick]

* Snakemake: `snakemake --cores 2` in an empty folder, jobs being forks of a warm process.
* Snakemake, 1 core: the same, one job at a time. Jobs that run side by side take more CPU seconds each where they share
  caches and memory; here they do not, so this is what Snakemake and processes add.
* each job by itself: the same with `warm: false`, so that each job imports what it needs.
* an earlier finecal: the same with the one in FOLDER, a clone at another commit after `uv sync`, if it knows the study.
* one process: the commands of those same jobs, in the order in which Snakemake plans them, called as functions of a
  single Python process; libraries are imported once, the study is read once, one core is used.

All but the earlier one write the same files: their numbers are compared. They take turns in every repeat, and the
medians are compared. CPU seconds are those of all processes together; wall seconds show what jobs that run side by side
save. The rows below say where the CPU seconds go: Snakemake's own process, and the jobs, with the warm process. What
each process costs to start does not depend on the study, so `--epochs` shows how the ratio falls where trainings are
longer. Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import _measure
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
PLAIN = "one process"
COMMAND = re.compile(r"^Shell command: exec finecal (.+) > \S+ 2>&1$", re.MULTILINE)
SMALL: dict[str, Any] = {
    "datasets": {"digits": {"options": {"per_class": 30}, "validation_fraction": 0.1}},
    "pretraining": {"weights": "random", "training": {"epochs": 1, "steps_per_epoch": 5, "lr": 0.1}},
    "training": {"epochs": 1, "steps_per_epoch": 5},
    "splits": {"half0": {"kind": "random", "fraction": 0.5, "seed": 0}},
    "seeds": [0],
    "pseudo_splits": {"folds": 1},
    "oracle_fine_tuning": False,
}


def child() -> None:
    """Run all commands (a JSON list of lists from standard input) in this process, in the current folder."""
    from functools import cache

    from finecal.cli import parser, stage_commands
    from finecal.plan.plan import Plan

    plan = cache(lambda *names: Plan(names))
    stage_commands.selected_plan = lambda given: plan(*given.study)
    for command in json.loads(Path("commands.json").read_text()):
        parser.main(command)


def snakemake(source: Path, *arguments: str, python: str | Path = sys.executable) -> list[str]:
    """The command line of Snakemake with the finecal of a folder."""
    return [str(python), "-m", "snakemake", "--snakefile", str(source / "Snakefile"), *arguments]


def write_folder(folder: Path, study: str | dict[str, Any], **settings: bool) -> Path:
    """Make a working directory whose configuration selects a study."""
    folder.mkdir(parents=True)
    name = study if isinstance(study, str) else "small.yaml"
    if not isinstance(study, str):
        (folder / name).write_text(yaml.safe_dump(study, sort_keys=False))
    (folder / "config.yaml").write_text(yaml.safe_dump({"studies": [name], "device": "cpu", **settings}))
    return folder


def commands(folder: Path, target: str) -> list[list[str]]:
    """List the commands of the jobs in the order of the plan."""
    plan = snakemake(REPOSITORY, "--dry-run", "--printshellcmds", "--cores", "1", target)
    return [shlex.split(line) for line in COMMAND.findall(_measure.measure(plan, folder).output)]


def check_equal(one: Path, other: Path) -> None:
    """Check that all tables have the same rows, without what depends on time."""
    from pandas.testing import assert_frame_equal

    from finecal.io.parquet import read_table

    names, others = ({p.relative_to(folder) for p in folder.glob("results/**/*.parquet")} for folder in (one, other))
    assert names == others, sorted(map(str, names ^ others))
    for name in sorted(names):
        if "cost" not in name.name:
            left, right = (read_table(folder / name).to_pandas() for folder in (one, other))
            columns = left.columns.drop("seconds", errors="ignore")
            assert_frame_equal(left[columns], right[columns], check_exact=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="What Snakemake adds to a study.")
    parser.add_argument("--study", default="digits")
    parser.add_argument("--target", default="all")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="of each fine-tuning, instead of those of the study")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--earlier", type=Path, metavar="FOLDER", help="a clone of finecal at another commit")
    parser.add_argument("--quick", action="store_true", help="a small study and one of its tables once")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child()
        return
    study: str | dict[str, Any] = args.study
    if args.epochs:
        study = {"extends": args.study, "description": "Longer.", "training": {"epochs": args.epochs}}
    if args.quick:
        given = yaml.safe_load((REPOSITORY / "workflow/studies/digits.yaml").read_text("utf-8"))
        study, args.target, args.repeats = {**given, **SMALL}, "table1", 1

    taken: dict[str, list[_measure.Measured]] = defaultdict(list)
    ways: dict[str, tuple[int, dict[str, bool]]] = {
        f"Snakemake, {args.cores} cores": (args.cores, {}),
        "Snakemake, 1 core": (1, {}),
        "each job by itself": (args.cores, {"warm": False}),
    }
    with tempfile.TemporaryDirectory() as temporary:
        for repeat in range(args.repeats):
            place = Path(temporary) / str(repeat)
            for number, (name, (cores, settings)) in enumerate(ways.items()):
                folder = write_folder(place / str(number), study, **settings)
                run = snakemake(REPOSITORY, "--cores", str(cores), args.target)
                taken[name].append(_measure.measure(run, folder))
            if args.earlier:
                python = args.earlier.resolve() / ".venv/bin/python"
                run = snakemake(args.earlier.resolve(), "--cores", str(args.cores), args.target, python=python)
                path = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
                taken["an earlier finecal"].append(_measure.measure(run, write_folder(place / "earlier", study), path))
            folder = write_folder(place / "plain", study)
            jobs = commands(folder, args.target)
            (folder / "commands.json").write_text(json.dumps(jobs))
            taken[PLAIN].append(_measure.measure([sys.executable, __file__, "--child"], folder))
            for number in range(len(ways)):
                check_equal(place / str(number), folder)

    print(f"{len(jobs)} jobs; median of {args.repeats} interleaved repeats.\n")
    print(_measure.table(["", "CPU (s)", "× one process (CPU)", "wall (s)", "× one process (wall)"], rows_of(taken)))


def rows_of(taken: dict[str, list[_measure.Measured]]) -> list[list[str]]:
    """The rows of the table: medians, and their ratios to those of one process."""
    unit = [median(getattr(one, name) for one in taken[PLAIN]) for name in ("cpu", "seconds")]
    rows = []
    for name, measured in taken.items():
        cpu, wall = (median(getattr(one, key) for one in measured) for key in ("cpu", "seconds"))
        rows.append([name, f"{cpu:.1f}", f"{cpu / unit[0]:.2f}", f"{wall:.1f}", f"{wall / unit[1]:.2f}"])
        if name != PLAIN:
            own = median(one.own for one in measured)
            rows.append(["· its own process", f"{own:.1f}", f"{own / unit[0]:.2f}", "", ""])
            rows.append(["· the jobs", f"{cpu - own:.1f}", f"{(cpu - own) / unit[0]:.2f}", "", ""])
    return rows


if __name__ == "__main__":
    main()
