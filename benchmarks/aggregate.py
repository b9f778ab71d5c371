"""What does it take to put the curves of all runs into one table: one run after another, or all in memory?

    uv run python benchmarks/aggregate.py [--runs 100 1000] [--samples 360] [--repeats 3] [--quick]

A study of the digits gets as many seeds as runs, and every run a copy of one curve.parquet of random logits with as
many test samples as said (the embedded study has 360). `finecal aggregate curve`'s function, and the short way with
`pyarrow.concat_tables`, take turns in processes of their own. Their files hold the same table: this is checked.
Memory is what a process holds at its peak above that of one which has only imported the same. Nothing here fails for
being slow.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import _measure
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
WAYS = {"imports": "imports alone", "in_memory": "all in memory", "streamed": "`finecal aggregate`"}


def write_study(folder: Path, runs: int) -> Path:
    """Return the digits study with one split and `runs` seeds."""
    study: dict[str, Any] = yaml.safe_load((REPOSITORY / "workflow/studies/digits.yaml").read_text("utf-8"))
    name, split = next(iter(study["splits"].items()))
    study |= {"seeds": list(range(runs)), "splits": {name: split}, "oracle_fine_tuning": False}
    folder.mkdir(parents=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder / "sweep.yaml"


def write_curves(folder: Path, samples: int) -> int:
    """Write a curve.parquet into the folder of every run; return its number of rows."""
    import numpy as np
    import pyarrow as pa

    from finecal import paths
    from finecal.io.parquet import with_columns, write_table
    from finecal.io.provenance import provenance
    from finecal.metrics.per_class import per_class_curve
    from finecal.plan.plan import Plan
    from finecal.stages.evaluate import curve_table

    rng = np.random.default_rng(0)
    labels, mask = rng.integers(0, 10, samples), np.arange(10) < 5
    curves = {
        name: per_class_curve(rng.standard_normal((samples, 10)), labels, mask) for name in ("pretrained", "fine_tuned")
    }
    runs = Plan([str(folder / "sweep.yaml")]).runs
    first = folder / runs[0].folder / paths.CURVE
    table = pa.concat_tables([curve_table(name, curve) for name, curve in curves.items()])
    write_table(first, with_columns(table, runs[0].columns()), provenance=provenance({"options": {}}))
    for run in runs[1:]:
        (folder / run.folder).mkdir(parents=True)
        shutil.copyfile(first, folder / run.folder / paths.CURVE)
    return len(table)


def child(way: str) -> None:
    """Run one way in the folder of the study."""
    import pyarrow as pa

    from finecal import paths
    from finecal.io.parquet import read_table, write_table
    from finecal.io.provenance import provenance
    from finecal.plan.plan import Plan
    from finecal.stages.aggregate import aggregate

    plan = Plan(["sweep.yaml"])
    if way == "streamed":
        aggregate(plan, "curve")
    elif way == "in_memory":
        files = [run.folder / paths.CURVE for run in plan.runs]
        merged = pa.concat_tables([read_table(file) for file in files]).replace_schema_metadata(None)
        write_table("in_memory.parquet", merged, provenance=provenance({"options": {}}, inputs=files))


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory and time of the table of all curves.")
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1_000])
    parser.add_argument("--samples", type=int, default=360, help="test samples of a run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few runs once, to see that it runs")
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    if args.quick:
        args.runs, args.samples, args.repeats = [5], 50, 1

    rows = []
    for runs in args.runs:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "sweep"
            write_study(folder, runs)
            height = write_curves(folder, args.samples) * runs
            found: dict[str, list[_measure.Measured]] = {way: [] for way in WAYS}
            for _ in range(args.repeats):
                for way, taken in found.items():
                    taken.append(_measure.measure([sys.executable, __file__, "--child", way], folder))
            check_equal(folder)
            size = (folder / "results/tables/curve.parquet").stat().st_size / _measure.MIB
        base, other, _ = (_cost(taken) for taken in found.values())
        for way in ("in_memory", "streamed"):
            memory, cpu = (a - b for a, b in zip(_cost(found[way]), base, strict=True))
            ratio = cpu / (other[1] - base[1])
            rows.append([f"{runs:,}", f"{height:,}", f"{size:.1f}", WAYS[way], f"{memory:.0f}", f"{cpu:.2f}",
                         f"{ratio:.2f}"])  # fmt: skip
    print(f"Median of {args.repeats} interleaved repeats; {WAYS['imports']} ({base[0]:.0f} MiB) taken off.\n")
    columns = ["runs", "rows", "file (MiB)", "way", "peak memory (MiB)", "CPU (s)", "× all in memory (CPU)"]
    print(_measure.table(columns, rows))


def check_equal(folder: Path) -> None:
    """Check that both ways write the same tables."""
    from finecal.io.parquet import read_table

    one, other = (read_table(folder / name) for name in ("results/tables/curve.parquet", "in_memory.parquet"))
    assert one.replace_schema_metadata(None) == other.replace_schema_metadata(None)


def _cost(taken: list[_measure.Measured]) -> tuple[float, float]:
    """Return memory in MiB and CPU seconds."""
    return median(one.memory for one in taken), median(one.cpu for one in taken)


if __name__ == "__main__":
    main()
