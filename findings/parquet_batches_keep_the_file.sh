#!/usr/bin/env bash
# pyarrow: iterating over the batches of a Parquet file ends with the whole column in memory.
#
# The guess: `ParquetFile.iter_batches` is there to read what does not fit into memory. A batch that nobody holds any
# more is freed, so the peak is that of a row group, however many there are.
#
# Seen: with 20 row groups of 4 MiB, each batch dropped at once, Arrow still holds more than 70 MiB when the last one
# has been read. With `pre_buffer=False` it never holds more than 20. `pre_buffer` is True unless said otherwise; its
# documentation speaks of coalescing reads and of speed, and not that what was read is kept until the file is closed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet pyarrow==26.0.1 numpy==2.4.6

cat >batches.py <<'PYTHON'
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MIB = 2**20
table = pa.table({"x": np.random.default_rng(0).random(20 * MIB // 2)})  # 80 MiB
pq.write_table(table, "x.parquet", row_group_size=MIB // 2, compression="none", use_dictionary=False)
del table
before, held = pa.total_allocated_bytes(), {}
for options in ({}, {"pre_buffer": False}):
    with pq.ParquetFile("x.parquet", **options) as file:
        most = 0
        for batch in file.iter_batches(batch_size=10_000):
            del batch
            most = max(most, pa.total_allocated_bytes() - before)
    held[str(options)] = most // MIB
    print(options, "most held:", most // MIB, "MiB")
if not (held["{}"] > 70 and held["{'pre_buffer': False}"] < 20):
    sys.exit("this has changed")
PYTHON
venv/bin/python batches.py
