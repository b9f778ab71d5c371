#!/usr/bin/env bash
# torchmetrics and scikit-learn: macro accuracy counts classes that have no test samples, as soon as one is predicted.
#
# The guess: a class without samples has no recall, so the mean over classes leaves it out. On test samples of five of ten
# classes, which were predicted among all ten, torchmetrics' macro accuracy, torcheval's, and scikit-learn's macro recall
# are the balanced accuracy: the mean over the five.
#
# Seen with torchmetrics 1.9.0, torcheval 0.0.7 and scikit-learn 1.9.1: so it is while no sample is predicted as one of
# the other five. Two samples of 449 that are take macro accuracy and macro recall from 97.8 to 69.6 %, thirteen to 48.0 %, since each class
# that is predicted counts as one more with a recall of 0. torcheval's macro accuracy and `balanced_accuracy_score` are
# 97.4 and 96.1 %. Accuracies over some of the classes, before and after a bias, differ by that rather than by the mistakes.
#
# Source: torchmetrics gives a class the weight 0 where true positives, false positives and false negatives are all 0;
# scikit-learn takes as labels what is in the truth or in the predictions (a warning says that recall is ill-defined).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python \
    torchmetrics==1.9.0 torcheval==0.0.7 torch==2.13.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cat >some_classes.py <<'PYTHON'
import sys
import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from torcheval.metrics.functional import multiclass_accuracy
from torchmetrics.classification import MulticlassAccuracy

warnings.simplefilter("ignore")
x, y = load_digits(return_X_y=True)
model = LogisticRegression(max_iter=200, C=0.001).fit(x[::2], y[::2])
rows = y[1::2] < 5
logits, labels = model.decision_function(x[1::2][rows]), y[1::2][rows]
as_guessed = []
for gamma in (-2.0, -1.0, 0.0):
    predicted = (logits + gamma * (np.arange(10) >= 5)).argmax(1)
    pair = torch.tensor(predicted), torch.tensor(labels)
    balanced = balanced_accuracy_score(labels, predicted)
    found = {
        "torchmetrics": MulticlassAccuracy(num_classes=10, average="macro")(*pair).item(),
        "torcheval": multiclass_accuracy(*pair, average="macro", num_classes=10).item(),
        "macro recall": recall_score(labels, predicted, average="macro"),
    }
    others = (predicted >= 5).sum()
    said = ", ".join(f"{name} {100 * value:.1f}" for name, value in found.items())
    print(f"{len(labels)} samples, {others} predicted elsewhere: balanced accuracy {100 * balanced:.1f}, {said}")
    as_guessed.append({name: abs(value - balanced) < 1e-6 for name, value in found.items()})
counts = {"torchmetrics": False, "torcheval": True, "macro recall": False}
sys.exit(as_guessed != [dict.fromkeys(counts, True), counts, counts])
PYTHON

venv/bin/python some_classes.py || {
    echo "this has changed" >&2
    exit 1
}
