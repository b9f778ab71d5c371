"""Full fine-tuning that takes its time: every step sleeps for $PACE seconds.

A recipe for these tests, put beside the others in the copy of the source tree. So the length of a training is
in time and not in computing: a busy machine changes it little.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from finecal.recipes import full

if TYPE_CHECKING:
    from torch import Tensor, nn

Options = full.Options


class Recipe(full.Recipe):
    """As `full`, to the last bit."""

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        time.sleep(float(os.environ.get("PACE", "0")))
        return super().loss(model, images, labels, label_smoothing=label_smoothing)
