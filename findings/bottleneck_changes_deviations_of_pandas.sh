#!/usr/bin/env bash
# pandas and bottleneck: where bottleneck is installed, the standard deviation of a float32 column is wrong by per cents.
#
# The guess: bottleneck is pandas' recommended accelerator. Results with and without it agree to the digits of the type,
# six for float32, as sums and means of pandas do.
#
# Seen with pandas 3.1.1 and bottleneck 1.6.0: a column that says for each sample whether it was right (1, 1, 0, 1, 1, 0, …,
# float32). Without bottleneck `std()` is right to five digits, with 1 million rows and with 33. With it, it is 0.4 % too
# small with 1 million rows and 25 % with 33 million; the mean is right, and so is `std` of float64 and of `groupby`. Intervals
# from it are too narrow by as much.
#
# Source: bottleneck adds the squares one after the other in the column's own type; pandas hands sums and products to it
# no more for that reason, but deviations and variances still.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python pandas==3.1.1 bottleneck==1.6.0 numpy==2.4.6

cat >deviations.py <<'PYTHON'
import sys

import numpy as np
import pandas as pd

wrong = {}
for rows in (10**6, 2**25):
    right = pd.Series(np.resize(np.float32([1, 1, 0]), rows))
    truth = right.to_numpy(np.float64).std(ddof=1)
    for on in (True, False):
        pd.set_option("compute.use_bottleneck", on)
        wrong[rows, on] = abs(right.std() / truth - 1)
        print(f"{rows} rows, bottleneck {on}: std {right.std():.6f}, mean {right.mean():.6f}, truth {truth:.6f}")
    pd.set_option("compute.use_bottleneck", True)
    by_group = right.groupby(np.zeros(rows, np.int8)).std()[0]
    print(f"{rows} rows, as float64: std {right.astype('float64').std():.6f}; by groupby: {by_group:.6f}")
sys.exit(not (wrong[10**6, True] > 2e-3 and wrong[2**25, True] > 0.2 and max(wrong[n, False] for n in (10**6, 2**25)) < 1e-5))
PYTHON

venv/bin/python deviations.py || {
    echo "this has changed" >&2
    exit 1
}
