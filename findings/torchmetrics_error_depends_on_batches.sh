#!/usr/bin/env bash
# torchmetrics: the calibration error of the same logits is another one when they come in other batches.
#
# The guess: `update` may be called with one batch or with many; `compute` gives the same, up to the order of sums. That
# logits are told from probabilities by a look at the values is documented, so logits outside of [0, 1] are safe.
#
# Seen with torchmetrics 1.9.0: each call of `update` decides for itself. 2,000 logits of 10 classes like the cosines
# that CLIP and other heads with unit vectors give, most within [0, 1] and some below 0: in one batch the error is that of
# their softmax, 0.007; in batches of 16 and of 1 those without a value below 0 are taken as probabilities that do not
# sum to 1, and the error is 0.22 and 0.27. The last, smaller batch of a loader is enough for another number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6

cat >batches.py <<'PYTHON'
import sys

import torch
from torchmetrics.classification import MulticlassCalibrationError

generator = torch.Generator().manual_seed(0)
logits = 0.25 + 0.08 * torch.randn(2000, 10, generator=generator)
labels = torch.randint(10, (2000,), generator=generator)
print(f"within [0, 1]: {((logits >= 0) & (logits <= 1)).float().mean():.4f} of the values")
errors = {}
for size in (2000, 1000, 16, 1):
    metric = MulticlassCalibrationError(num_classes=10)
    for first in range(0, 2000, size):
        metric.update(logits[first : first + size], labels[first : first + size])
    errors[size] = metric.compute().item()
    print(f"in batches of {size}: {errors[size]:.4f}")
alone = MulticlassCalibrationError(num_classes=10)(logits.softmax(1), labels).item()
print(f"their softmax: {alone:.4f}")
as_softmax = max(abs(errors[size] - alone) for size in (2000, 1000)) < 1e-4
sys.exit(not (as_softmax and errors[16] > alone + 0.1 and errors[1] > errors[16] + 0.02))
PYTHON

venv/bin/python batches.py || {
    echo "this has changed" >&2
    exit 1
}
