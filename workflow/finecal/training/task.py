"""What a training is made of, and how its model is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from finecal.config import Training
from finecal.models.build import Architecture
from finecal.recipes import BaseRecipe
from finecal.training.batches import TrainingData


@dataclass(frozen=True)
class TrainingTask:
    """What is trained, on which data, and how.

    Attributes
    ----------
    model
        θ⁰, on the data's device; it is trained in place.
    description
        The model's architecture, with the size and the normalisation of its input.
    data
        The training samples.
    recipe
        Which parameters train, the loss, and changes of the weights on the way.
    training
        Epochs, batch size, optimiser, augmentation.
    fine_tuning
        (C,) bool: the classes of S.
    coordinates
        What makes this run's randomness its own.
    """

    model: nn.Module
    description: Architecture
    data: TrainingData
    recipe: BaseRecipe[Any]
    training: Training
    fine_tuning: np.ndarray
    coordinates: tuple[str | int, ...]


@dataclass(frozen=True)
class Execution:
    """How the model is computed.

    Attributes
    ----------
    precision
        "float32", "bfloat16", or "auto": see `finecal.runtime.device.resolve_precision`.
    compiled
        Whether torch compiles the model.
    """

    precision: str = "auto"
    compiled: bool = False
