"""How much memory does each stage take, beside what its data needs?

    uv run python benchmarks/memory.py [--per-class 50 2000] [--target all] [--quick]

The embedded study the other way round, from handwritten to printed digits, since as many of these can be rendered as
one likes: 500 and 20,000 samples. The jobs of both studies run one after another, each a process of its own whose peak
is looked at a hundred times a second. What both have in common (the interpreter, torch, matplotlib) cancels in the
difference, which is compared with how much more data there is in the larger one: the tables that the job reads and
writes, as they are in memory. A stage that held them once would have the ratio 1. Trainings take a few steps, since
memory does not grow with their number. Of several jobs of a rule the largest counts. Nothing here fails for taking
much.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import _measure
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
BLOCK = re.compile(
    r"^rule (?P<rule>\w+):\n(?:    input: (?P<input>.*)\n)?    output: (?P<output>.*)\n(?:    .*\n)*?"
    r"Shell command: exec (?P<command>finecal .*) > \S+ 2>&1$",
    re.MULTILINE,
)


class Job(NamedTuple):
    """A job of the plan."""

    rule: str
    command: list[str]
    files: list[str]


class Taken(NamedTuple):
    """MiB: the peak of a job, and its data."""

    peak: float
    data: float


def write_folder(folder: Path, per_class: int) -> Path:
    """Make a working directory whose configuration selects the study at one size."""
    study: dict[str, Any] = yaml.safe_load((REPOSITORY / "workflow/studies/digits.yaml").read_text("utf-8"))
    steps = {"epochs": 1, "steps_per_epoch": 5}
    study |= {
        "datasets": {"digits": {"options": {"per_class": per_class}, "validation_fraction": 0.1}},
        "tasks": {"digits": ["handwritten-printed"]},
        "splits": {"half0": {"kind": "random", "fraction": 0.5, "seed": 0}},
        "seeds": [0],
        "pseudo_splits": {"folds": 1},
        "oracle_fine_tuning": False,
        "training": {**study["training"], **steps},
    }
    study["pretraining"]["training"] |= steps
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    (folder / "config.yaml").write_text(yaml.safe_dump({"studies": ["study.yaml"], "device": "cpu"}))
    return folder


def jobs(folder: Path, target: str) -> Iterator[Job]:
    """List the jobs in the order of the plan; every input of a job is made by one before it."""
    plan = [*SNAKEMAKE, "--dry-run", "--printshellcmds", "--cores", "1", target]
    for found in BLOCK.finditer(_measure.measure(plan, folder).output):
        files = [file for part in (found["input"], found["output"]) if part for file in part.split(", ")]
        yield Job(found["rule"], shlex.split(found["command"]), files)


@cache
def in_memory(file: Path) -> int:
    """Return the bytes of a table in memory, of another file those on the disk."""
    if file.suffix != ".parquet":
        return file.stat().st_size
    import pyarrow.parquet as pq

    return int(pq.read_table(file).nbytes)


def run(folder: Path, target: str) -> dict[str, Taken]:
    """Return the largest job of each rule."""
    taken: dict[str, Taken] = {}
    for job in jobs(folder, target):
        command = [sys.executable, "-m", "finecal.cli", *job.command[1:]]
        peak = _measure.measure(command, folder).memory
        data = sum(in_memory(folder / file) for file in job.files) / _measure.MIB
        taken[job.rule] = max(Taken(peak, data), taken.get(job.rule, Taken(0, 0)))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of the stages.")
    parser.add_argument("--per-class", type=int, nargs=2, default=[50, 2_000], metavar=("SMALL", "LARGE"))
    parser.add_argument("--target", default="all")
    parser.add_argument("--quick", action="store_true", help="small sizes and one table, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.per_class, args.target = [30, 60], "table1"

    with tempfile.TemporaryDirectory() as temporary:
        folders = [write_folder(Path(temporary) / str(size), size) for size in args.per_class]
        small, large = (run(folder, args.target) for folder in folders)
    rows = []
    for rule, (peak, data) in large.items():
        more_memory, more_data = peak - small[rule].peak, data - small[rule].data
        ratio = f"{more_memory / more_data:.1f}" if more_data >= 1 else "–"  # below a MiB it is noise
        rows.append([rule, f"{small[rule].peak:.0f}", f"{peak:.0f}", f"{small[rule].data:.1f}", f"{data:.1f}", ratio])
    print(f"{' and '.join(f'{10 * size:,}' for size in args.per_class)} samples.\n")
    columns = [
        "rule",
        "peak, small (MiB)",
        "peak, large",
        "data, small (MiB)",
        "data, large",
        "more memory ÷ more data",
    ]
    print(_measure.table(columns, rows))


if __name__ == "__main__":
    main()
