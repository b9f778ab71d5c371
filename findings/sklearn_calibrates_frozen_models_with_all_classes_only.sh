#!/usr/bin/env bash
# scikit-learn: a frozen classifier cannot be calibrated with samples of some of its classes only.
#
# The guess: `CalibratedClassifierCV(FrozenEstimator(model))` is documented as the way to calibrate a model that is
# trained. The model has its classes; calibration samples of half of them, as after a fine-tuning on half of the classes,
# give one temperature, or scales for the classes that are there, and probabilities for all ten.
#
# Seen with scikit-learn 1.9.1: with samples of all ten classes it works. With samples of five, `fit` ends with an
# IndexError for `temperature`, `sigmoid` and `isotonic`, whichever five they are. The table that the scores are written to has a
# column for each class of the labels in `fit`, and the model's scores have one for each of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cat >some_classes.py <<'PYTHON'
import sys
import warnings

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore")
x, y = load_digits(return_X_y=True)
model = LogisticRegression(max_iter=50).fit(x[::2], y[::2])
x, y = x[1::2], y[1::2]
outcomes = {}
for name, kept in {"all": range(10), "0 to 4": range(5), "5 to 9": range(5, 10), "even": range(0, 10, 2)}.items():
    rows = np.isin(y, kept)
    for method in ("temperature", "sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(FrozenEstimator(model), method=method)
        try:
            outcomes[name, method] = str(calibrated.fit(x[rows], y[rows]).predict_proba(x).shape)
        except IndexError as error:
            outcomes[name, method] = f"IndexError: {error}"
        print(f"classes {name}, {method}: {outcomes[name, method]}")
sys.exit(not all(outcome.startswith("IndexError") == (name != "all") for (name, _), outcome in outcomes.items()))
PYTHON

venv/bin/python some_classes.py || {
    echo "this has changed" >&2
    exit 1
}
