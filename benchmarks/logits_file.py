"""Diagnose a file of ImageNet's size, 1,000 logits and 2,048 features for each of 1.28 million rows: time and memory.

uv run python benchmarks/logits_file.py [--quick] [--rows N …]

Arrays above 256 MiB lie in files without a name ($TMPDIR), whose pages the system drops when it needs the memory. What
cannot be dropped is the anonymous memory, and it must not grow with the file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _measure import MIB, table

CLASSES, WIDTH = 1000, 2048
AT_ONCE = 5_000  # rows of a row group
TEST = 25  # one row in so many is a test row, at the end of the file
LOOK = 0.02  # seconds between two looks at a process's memory
CODE = """
import sys, finecal
r = finecal.diagnose(sys.argv[1], None, range(500))
print(r.gamma)
"""


def main() -> None:
    """Write files, diagnose each, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small files")
    parser.add_argument("--rows", type=int, nargs="+", default=[40_000, 1_280_000])
    given = parser.parse_args()
    lines = []
    for rows in [500, 1_000] if given.quick else given.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "logits.parquet"
            write(path, rows)
            seconds, peaks = diagnose(path)
        arrays = rows * (CLASSES + WIDTH) * 4 / MIB
        lines.append([f"{rows:,}", *(f"{value:,.0f}" for value in (arrays, seconds, peaks["RssAnon"], peaks["VmRSS"]))])
    print(table(["rows", "MiB of arrays", "seconds", "MiB of anonymous memory", "MiB with file pages"], lines, words=0))


def diagnose(path: Path) -> tuple[float, dict[str, float]]:
    """Run finecal in a process of its own; seconds, and the peaks of its memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", CODE, path])
    peaks = {"RssAnon": 0.0, "VmRSS": 0.0}
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in peaks:
                peaks[name] = max(peaks[name], int(value.split()[0]) / 1024)
        time.sleep(LOOK)
    if process.returncode:
        sys.exit(f"{path} could not be diagnosed")
    return time.perf_counter() - start, peaks


def write(path: Path, rows: int) -> None:
    """Write half-precision logits and features, a row group at a time; the numbers repeat, shifted."""
    random = np.random.default_rng(0)
    noise = [random.standard_normal((AT_ONCE, width)).astype(np.float16) for width in (CLASSES, WIDTH)]
    kind = pa.list_(pa.float16())
    schema = pa.schema([("label", pa.int64()), ("subset", pa.string()), ("logits", kind), ("features", kind)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=["subset"]) as writer:
        for start in range(0, rows, AT_ONCE):
            numbers = np.arange(start, min(start + AT_ONCE, rows))
            labels, subset = numbers % CLASSES, np.where(numbers < rows - rows // TEST, "train", "test")
            logits, features = (np.roll(one, start // AT_ONCE, axis=1)[: len(numbers)] for one in noise)
            logits[np.arange(len(labels)), labels] += 5
            logits[:, : CLASSES // 2] += 3
            columns = [pa.array(labels), pa.array(subset), lists(logits), lists(features)]
            writer.write_table(pa.table(columns, schema=schema))


def lists(values: np.ndarray) -> pa.ListArray:
    """Return a matrix as a column of lists."""
    ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))


if __name__ == "__main__":
    main()
