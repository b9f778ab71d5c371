#!/usr/bin/env bash
# torch-uncertainty: for a model that is sure by a factor of 8 or more, the fitted temperature is about 0, or below it.
#
# The guess: temperature scaling is a convex problem in 1/T with one unknown. Whatever the factor between the logits and
# the calibrated ones, the fit ends within a few digits of it, and the order of the classes stays.
#
# Seen with torch-uncertainty 0.13.0: 4,000 samples are drawn from the softmax of 10 logits, which are then multiplied by a
# factor. `TemperatureScaler` finds factors of 0.1 to 6 to three digits. With 8, 12, 20 and 60 the temperature is 1e-5 at most
# and the likelihood of the very samples it was fitted to is millions of times worse than before; where it is negative
# the most probable class becomes the least. No warning is given. A line search on 1/T finds all of them.
#
# Source: the unknown is T itself, in which the loss is not convex, and it starts at 1 with LBFGS at a learning rate of 0.1,
# without line search: where the gradient is large the first steps go past 0. Fine-tuned models whose logits have grown by
# such a factor are what one calibrates.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python torch-uncertainty==0.13.0 torch==2.13.0 torchvision==0.28.0 \
    lightning==2.6.6 "jsonargparse[signatures]==4.53.0" tensorboard==2.21.0 einops==0.8.2 rich==15.0.0 \
    seaborn==0.13.2 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6

cat >temperature.py <<'PYTHON'
import logging
import sys
import warnings

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
logging.disable()
from torch_uncertainty.post_processing import TemperatureScaler


def loss(logits, labels, temperature):
    return -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean()


rng = np.random.default_rng(0)
calibrated = rng.normal(0, 2, (4000, 10))
labels = np.array([rng.choice(10, p=p) for p in softmax(calibrated, axis=1)])
found = {}
for factor in (0.1, 1, 4, 6, 8, 12, 20, 60):
    logits = calibrated * factor
    best = np.exp(minimize_scalar(lambda t: loss(logits, labels, np.exp(t)), bounds=(-9, 9), method="bounded").x)
    samples = TensorDataset(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels))
    scaler = TemperatureScaler()
    scaler.fit(DataLoader(samples, batch_size=4000), progress=False)
    found[factor] = found_here = float(scaler.temperature[0])
    losses = [loss(logits, labels, t) for t in (best, 1, found_here)]
    print("logits times {}: best {:.3f}, found {:.3g}; loss {:.3f}, before {:.3f}, after {:.3g}".format(factor, best, found_here, *losses))
near = all(abs(found[factor] / factor - 1) < 0.03 for factor in (0.1, 1, 4, 6))
sys.exit(not (near and all(found[factor] < 1e-4 for factor in (8, 12, 20, 60))))
PYTHON

venv/bin/python temperature.py || {
    echo "this has changed" >&2
    exit 1
}
