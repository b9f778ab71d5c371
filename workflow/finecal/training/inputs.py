"""What each step of a training computes its loss with: augmented images for the model, or features for its head."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from finecal.data.augmentation import augment, resize_and_normalise
from finecal.models.build import head, normaliser
from finecal.models.extraction import extract
from finecal.runtime.device import to_device
from finecal.seeds import seed_of
from finecal.training.batches import Batches, BatchLoader
from finecal.training.task import TrainingTask


class StepInput(NamedTuple):
    """What the loss of one step is computed with.

    Attributes
    ----------
    learner
        The model, or its head.
    inputs
        For the model (n, channels, size, size) float32, normalised; for the head (n, D) float32.
    labels
        (n,) int64.
    """

    learner: nn.Module
    inputs: Tensor
    labels: Tensor


class StepInputs:
    """The inputs of all steps, to be asked for in order; images of the next step are prefetched where that helps.

    Parameters
    ----------
    task
        What is trained.
    batches
        Which samples each step takes, before the recipe has its say.
    steps
        Number of steps of the whole training.
    compute_features
        Returns the training samples' features by θ⁰, (N, D) float32, if a step trains on them. By default they are
        extracted with `precision`.
    precision
        "float32", "bfloat16" or "auto".
    """

    def __init__(
        self,
        task: TrainingTask,
        batches: Batches,
        steps: int,
        compute_features: Callable[[], np.ndarray] | None,
        precision: str,
    ) -> None:
        self._task, self.batches, self._steps, self._precision = task, batches, steps, precision
        self._compute_features = compute_features or self._extract
        self._device = task.data.labels.device
        self._normalisation = normaliser(task.description, self._device)
        self._augmentation = task.training.augmentation.model_dump()
        self._loader = BatchLoader(task.data.pixels, self._augment)
        self._features: Tensor | None = None  # only while steps train on them
        self._following: np.ndarray | None = None  # positions of the next step's samples, once it is prefetched

    def load(self, step: int) -> StepInput:
        """Return the inputs of a step."""
        task = self._task
        positions = self._positions(step) if self._following is None else self._following
        self._following = None
        chosen = to_device(torch.from_numpy(positions), self._device)
        labels = task.data.labels[chosen]
        if task.recipe.on_features(step):
            if self._features is None:
                self._features = torch.from_numpy(self._compute_features()).to(self._device)
            return StepInput(head(task.model), self._features[chosen], labels)
        self._features = None
        images = self._loader(step, positions)
        following = step + 1
        if self._loader.prefetches and following < self._steps and not task.recipe.on_features(following):
            self._following = self._positions(following)
            self._loader.prefetch(following, self._following)
        return StepInput(task.model, images, labels)

    def plain_images(self, positions: np.ndarray) -> Tensor:
        """Return the images at (n,) positions, not augmented: (n, channels, size, size) float32, normalised."""
        task = self._task
        return resize_and_normalise(task.data.pixels[positions], task.description.image_size, self._normalisation)

    def sample_ids(self, step: int) -> list[int]:
        """Return the numbers, in the data set, of a step's samples, ascending."""
        ids: list[int] = sorted(self._task.data.samples[self._positions(step)].tolist())
        return ids

    def _positions(self, step: int) -> np.ndarray:
        return self._task.recipe.batch(step, self.batches[step])

    def _augment(self, pixels: Tensor, step: int) -> Tensor:
        """Return a step's images, (n, channels, H, W) uint8, as (n, channels, size, size) float32, normalised."""
        task = self._task
        random = torch.Generator().manual_seed(seed_of(*task.coordinates, "augment", step))
        return augment(pixels, task.description.image_size, self._augmentation, random, self._normalisation)

    def _extract(self) -> np.ndarray:
        task = self._task
        return extract(task.model, task.description, task.data.pixels, self._device, self._precision)[0]
