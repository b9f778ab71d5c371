#!/usr/bin/env bash
# pyarrow: reading one local Parquet file, and values of it as NumPy, imports pandas where pandas is installed.
#
# The guess: pandas is an optional package of pyarrow, so it is imported by what is named for it, `to_pandas` and
# `from_pandas`. A job that reads a table and takes a column as an array pays for pyarrow and NumPy alone.
#
# Seen with pyarrow 26.0.1, pandas 3.1.1 and NumPy 2.4.6: `pq.read_table` of a file imports pandas, and so do
# `to_numpy` of a column and `pa.array` of a list of strings, with or without a type, each alone in a new process.
# `ParquetFile(…).read()` and `np.from_dlpack` of an array give the same values without it.
#
# Source: read_table goes through pyarrow.dataset; the others look whether what they were given is of pandas.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6

head='import sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq'
tail='print("pandas" in sys.modules)'
say() { # expected, statements
    local found
    found=$(venv/bin/python -c "$head"$'\n'"$2"$'\n'"$tail")
    echo "$found: $2"
    [[ $found == "$1" ]] || {
        echo "this has changed" >&2
        exit 1
    }
}

venv/bin/python -c "$head"'; pq.write_table(pa.table({"a": pa.array([1, 2])}), "t.parquet")'
say True 'pq.read_table("t.parquet")'
say True 'pq.ParquetFile("t.parquet").read()["a"].to_numpy()'
say True 'pa.array(["a"])'
say True 'pa.array(["a"], pa.string())'
say False 'assert np.from_dlpack(pq.ParquetFile("t.parquet").read()["a"].chunk(0)).tolist() == [1, 2]'
