"""The training samples, the order in which steps take them, and loading the images of a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finecal.data.reader import PackedFile, Pixels
from finecal.runtime.lookahead import Lookahead, can_work_ahead
from finecal.runtime.memory import Room
from finecal.seeds import seed_of


@dataclass(frozen=True)
class TrainingData:
    """The training samples.

    Attributes
    ----------
    pixels
        (N, channels, H, W) uint8.
    labels
        (N,) int64, on the device.
    samples
        (N,) int64 on the CPU: the samples' numbers in the data set, for error messages.
    """

    pixels: Pixels
    labels: Tensor
    samples: np.ndarray

    @classmethod
    def from_arrays(
        cls, pixels: np.ndarray, labels: np.ndarray, chosen: np.ndarray, device: torch.device
    ) -> TrainingData:
        """Take the chosen (bool mask) of (N, H, W, channels) uint8 pixels and (N,) labels."""
        return cls(Pixels.of(pixels[chosen], device), _labels_on(device, labels[chosen]), np.flatnonzero(chosen))

    @classmethod
    def from_file(cls, images: PackedFile, chosen: np.ndarray, device: torch.device, room: Room) -> TrainingData:
        """Load the chosen (bool mask) of a file's samples."""
        pixels = images.load(chosen, device, room)
        return cls(pixels, _labels_on(device, images.labels[chosen]), np.flatnonzero(chosen))

    def select(self, chosen: np.ndarray) -> TrainingData:
        """Return those of the samples that are in a mask of all samples of the data set; the pixels are shared."""
        rows = np.flatnonzero(chosen[self.samples])
        return TrainingData(
            self.pixels.some(rows), self.labels[torch.from_numpy(rows).to(self.labels.device)], self.samples[rows]
        )


class Batches:
    """Which samples step t takes: an endless sequence of permutations, cut into batches of equal size.

    Parameters
    ----------
    n
        Number of samples.
    size
        Samples per batch; at most all.
    coordinates
        What makes the order this run's own.
    """

    def __init__(self, n: int, size: int, coordinates: tuple[str | int, ...]) -> None:
        self.n, self.size, self.coordinates = n, min(size, n), coordinates
        self._passes: dict[int, np.ndarray] = {}

    def steps_per_pass(self) -> int:
        """Return the number of steps after which every sample has been seen."""
        return math.ceil(self.n / self.size)

    def __getitem__(self, step: int) -> np.ndarray:
        """(batch size,) int64 positions among the N samples."""
        places = np.arange(step * self.size, (step + 1) * self.size)
        numbers, within = places // self.n, places % self.n
        return np.array([self._permutation(int(p))[w] for p, w in zip(numbers, within, strict=True)])

    def _permutation(self, number: int) -> np.ndarray:
        """Return the order of a pass; that of the pass before is kept, since a batch may hold samples of both."""
        if number not in self._passes:
            order = np.random.default_rng(seed_of(*self.coordinates, "order", number)).permutation(self.n)
            self._passes = {k: v for k, v in self._passes.items() if k == number - 1} | {number: order}
        return self._passes[number]


class BatchLoader:
    """Loads and transforms the images of each step, those of the next step in a background thread where that helps.

    Where the job has a CPU core to spare, the thread loads and transforms; else it only reads images that are not in
    memory, and the device transforms them.

    Parameters
    ----------
    pixels
        All images.
    transform
        Returns what a batch of them, (n, channels, H, W) uint8, becomes in a step; it must depend on the two alone.

    Attributes
    ----------
    prefetches
        Whether `prefetch` does anything.
    """

    def __init__(self, pixels: Pixels, transform: Callable[[Tensor, int], Tensor]) -> None:
        self._pixels, self._transform = pixels, transform
        self._transforms_ahead = can_work_ahead(pixels.device)
        self.prefetches = self._transforms_ahead or not pixels.on_device
        self._ahead = Lookahead[Tensor]()
        self._following: int | None = None

    def __call__(self, step: int, positions: np.ndarray) -> Tensor:
        """Return the images at (n,) positions as the model gets them in a step: (n, channels, size, size) float."""
        following, self._following = self._following, None
        loaded = self._ahead.result() if following == step else self._load(step, positions)
        return loaded if self._transforms_ahead else self._transform(self._pixels.to_device(loaded), step)

    def prefetch(self, step: int, positions: np.ndarray) -> None:
        """Begin to load a later step, which must be asked for with the same positions."""
        if self.prefetches:
            self._following = step
            self._ahead.begin(self._load, step, positions)

    def _load(self, step: int, positions: np.ndarray) -> Tensor:
        if self._transforms_ahead:
            return self._transform(self._pixels[positions], step)
        return self._pixels.read(positions)


def _labels_on(device: torch.device, labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64)).to(device)
