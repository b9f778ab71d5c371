"""Reading and writing logits.parquet, beside raw arrays in `np.save` and `np.load`: time and bytes.

    uv run python benchmarks/tables.py [--samples 10000 --classes 1000 --features 512] [--repeats 9] [--quick]

Random logits and features, which do not compress, and the other columns of logits.parquet. The raw way has a file for
each array. Both write to a temporary name, wait for the disk and rename. What is read back is compared. The candidates
take turns in every repeat and the medians are compared; files are read from the system's cache. Nothing here fails for
being slow.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import _measure
import numpy as np
import pyarrow as pa

from finecal.calibration.inputs import read_predictions
from finecal.io.atomic import whole_file
from finecal.io.list_columns import list_array
from finecal.io.parquet import read_table, with_columns, write_table
from finecal.io.provenance import provenance
from finecal.paths import RunKey

Arrays = dict[str, np.ndarray]
RUN = RunKey("digits", "printed-handwritten", "test_resnet", "full", "half0", 0)


def problem(samples: int, classes: int, features: int) -> Arrays:
    """Draw the columns of a logits.parquet as arrays."""
    rng = np.random.default_rng(0)
    return {
        "sample": np.arange(samples, dtype=np.int32),
        "label": rng.integers(0, classes, samples, dtype=np.int32),
        "subset": np.where(rng.random(samples) < 0.8, "train", "test"),
        "logits": rng.standard_normal((samples, classes), dtype=np.float32),
        "features": rng.standard_normal((samples, features), dtype=np.float32),
    }


def write_raw(folder: Path, arrays: Arrays) -> None:
    for name, values in arrays.items():
        with whole_file(folder / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)


def write_parquet(folder: Path, arrays: Arrays) -> None:
    """Write arrays as the stage `extract` does, with the run's coordinates and provenance."""
    columns = {name: list_array(values) if values.ndim == 2 else pa.array(values) for name, values in arrays.items()}
    table = with_columns(pa.table(columns), RUN.columns())
    write_table(folder / "logits.parquet", table, provenance=provenance({"options": {}}))


def read_raw(folder: Path, *names: str) -> Arrays:
    return {name: np.load(folder / f"{name}.npy") for name in names}


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="logits.parquet against raw arrays.")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.samples, args.classes, args.features, args.repeats = 200, 20, 30, 2

    arrays = problem(args.samples, args.classes, args.features)
    few = ("sample", "label", "subset", "logits")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parquet = folder / "logits.parquet"
        write_raw(folder, arrays)
        write_parquet(folder, arrays)
        check_equal(parquet, arrays)
        raw_bytes = sum(file.stat().st_size for file in folder.glob("*.npy"))
        raw_few = sum((folder / f"{name}.npy").stat().st_size for name in few)
        size = parquet.stat().st_size
        # What is done; by which way; the call; the bytes of the file or of the arrays read.
        candidates: list[tuple[str, str, Callable[[], object], int]] = [
            ("write", "`np.save`", lambda: write_raw(folder, arrays), raw_bytes),
            ("write", "logits.parquet", lambda: write_parquet(folder, arrays), size),
            ("read all", "`np.load`", lambda: read_raw(folder, *arrays), raw_bytes),
            ("read all", "logits.parquet, as a table", lambda: read_table(parquet), size),
            ("read all", "logits.parquet, as arrays, checked",
             lambda: read_predictions(parquet, num_classes=args.classes, features=True), size),
            ("read without features", "`np.load`", lambda: read_raw(folder, *few), raw_few),
            ("read without features", "logits.parquet, as arrays, checked",
             lambda: read_predictions(parquet, num_classes=args.classes), size),
        ]  # fmt: skip
        times: list[list[float]] = [[] for _ in candidates]
        for _ in range(args.repeats):
            for taken, (_, _, call, _) in zip(times, candidates, strict=True):
                taken.append(seconds(call))

    units: dict[str, tuple[float, int]] = {}
    rows = []
    for (what, way, _, number), taken in zip(candidates, times, strict=True):
        unit_time, unit_bytes = units.setdefault(what, (median(taken), number))
        ratios = (f"{median(taken) / unit_time:.2f}", f"{number / unit_bytes:.3f}")
        rows.append([what, way, f"{1e3 * median(taken):,.1f}", ratios[0], f"{number / _measure.MIB:,.1f}", ratios[1]])
    print(f"{args.samples:,} samples × ({args.classes:,} classes + {args.features:,} features), float32; ", end="")
    print(f"median of {args.repeats} interleaved repeats.\n")
    print(_measure.table(["", "way", "time (ms)", "× raw", "MiB of files", "× raw "], rows, words=2))


def check_equal(parquet: Path, arrays: Arrays) -> None:
    """Check that what is read equals what was written."""
    read = read_predictions(parquet, num_classes=arrays["logits"].shape[1], features=True)
    found = {"sample": read.samples, "label": read.labels, "subset": read.subset, "logits": read.logits}
    assert read.features is not None
    for name, values in {**found, "features": read.features}.items():
        np.testing.assert_array_equal(values, arrays[name])


if __name__ == "__main__":
    main()
