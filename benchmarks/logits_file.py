"""Read a column of features beside logits from Parquet: memory beyond the array, in parts and whole.

uv run python benchmarks/logits_file.py [--quick] [--rows N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _measure import MIB, measure

WIDTH = 2048
AT_ONCE = 10_000  # rows of a row group
IMPORTS = (
    "import sys; from finecal.library.given import bring; from pathlib import Path; import pyarrow.parquet as pq; "
)
WAYS = {
    "imports only": IMPORTS,
    "in parts (finecal)": IMPORTS + "bring(Path(sys.argv[1]))",
    "whole (pyarrow)": IMPORTS
    + "pq.read_table(sys.argv[1], columns=['features'])['features'].combine_chunks().flatten()"
    ".to_numpy()",
}


def main() -> None:
    """Write a file, read it in each way, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a small file")
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    rows = 2_000 if given.quick else given.rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logits.parquet"
        write(path, rows)
        found = {name: measure([sys.executable, "-c", code, path]) for name, code in WAYS.items()}
    base, array = found["imports only"].memory, rows * WIDTH * 4 / MIB
    print(f"{rows:,} rows, {WIDTH:,} features: the array has {array:,.0f} MiB.\n")
    print("| way | seconds | MiB beyond imports and the array |\n|---|---:|---:|")
    for name, one in list(found.items())[1:]:
        print(f"| {name} | {one.seconds:.1f} | {one.memory - base - array:,.0f} |")


def write(path: Path, rows: int) -> None:
    """Write logits of ten classes and features, a row group at a time."""
    random = np.random.default_rng(0)
    kind = pa.list_(pa.float32())
    schema = pa.schema([("label", pa.int64()), ("logits", kind), ("features", kind)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, AT_ONCE):
            labels = np.arange(start, min(start + AT_ONCE, rows)) % 10
            columns = [random.standard_normal((len(labels), width), dtype=np.float32) for width in (10, WIDTH)]
            writer.write_table(pa.table([pa.array(labels), *map(lists, columns)], schema=schema))


def lists(values: np.ndarray) -> pa.ListArray:
    """Return a matrix as a column of lists."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))


if __name__ == "__main__":
    main()
