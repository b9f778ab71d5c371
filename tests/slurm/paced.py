"""Full fine-tuning in which every step sleeps for as long as $PACE says.

A recipe for these tests, put beside the others in the copy of the source tree. $PACE has the seconds of a step in the
first SLURM job that trains in a folder, the second and so on, and the last number holds for all that follow: "1,0" is
a training that is slow until it is interrupted. So a training lasts until it is interrupted, on a fast and on a slow
machine, and ends soon after.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from finecal.recipes import full

if TYPE_CHECKING:
    from torch import Tensor, nn

Options = full.Options
STARTS = Path("starts")  # in the working directory: a file for each SLURM job, and one for each time it was requeued


class Recipe(full.Recipe):
    """As `full`, to the last bit."""

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
        time.sleep(_pace())
        return super().loss(model, images, labels, label_smoothing=label_smoothing)


@cache
def _pace() -> float:
    """Return the seconds that a step sleeps in this SLURM job."""
    paces = [float(part) for part in os.environ["PACE"].split(",")]
    STARTS.mkdir(exist_ok=True)
    job, requeued = os.environ.get("SLURM_JOB_ID", "here"), os.environ.get("SLURM_RESTART_COUNT", "0")
    (STARTS / f"{job}.{requeued}").touch()  # trainings that share a job share its pace
    return paces[min(len(list(STARTS.iterdir())), len(paces)) - 1]
