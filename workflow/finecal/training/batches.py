"""The samples that a training sees, which of them each step takes, and what the model is given of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finecal.data.reader import PackedFile, Pixels
from finecal.runtime.lookahead import can_work_ahead
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
        (N,) int32 on the CPU: the samples' numbers in the data set, for error messages.
    """

    pixels: Pixels
    labels: Tensor
    samples: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray, labels: np.ndarray, chosen: np.ndarray, device: torch.device) -> TrainingData:
        """The chosen (bool mask) of (N, H, W, channels) uint8 pixels and (N,) labels."""
        return cls(Pixels.of(pixels[chosen], device), _on(device, labels[chosen]), np.flatnonzero(chosen))

    @classmethod
    def of_file(cls, images: PackedFile, chosen: np.ndarray, device: torch.device, room: Room) -> TrainingData:
        """The chosen (bool mask) of a file's samples."""
        pixels = images.load(chosen, device, room)
        return cls(pixels, _on(device, images.labels[chosen]), np.flatnonzero(chosen))

    def some(self, chosen: np.ndarray) -> TrainingData:
        """Those of the samples that are in a mask of all samples of the data set; the pixels are shared."""
        rows = np.flatnonzero(chosen[self.samples])
        return TrainingData(
            self.pixels.some(rows), self.labels[torch.from_numpy(rows).to(self.labels.device)], self.samples[rows]
        )


class Batches:
    """Which samples step t takes: an endless row of permutations, cut into batches of equal size."""

    def __init__(self, n: int, size: int, coordinates: tuple[str | int, ...]) -> None:
        self.n, self.size, self.coordinates = n, min(size, n), coordinates
        self._passes: dict[int, np.ndarray] = {}

    def steps_per_pass(self) -> int:
        return math.ceil(self.n / self.size)

    def __getitem__(self, step: int) -> np.ndarray:
        """(batch size,) int64 positions among the N samples."""
        places = np.arange(step * self.size, (step + 1) * self.size)
        numbers, within = places // self.n, places % self.n
        return np.array([self._permutation(int(p))[w] for p, w in zip(numbers, within, strict=True)])

    def _permutation(self, number: int) -> np.ndarray:
        if number not in self._passes:
            order = np.random.default_rng(seed_of(*self.coordinates, "order", number)).permutation(self.n)
            self._passes = {k: v for k, v in self._passes.items() if k == number - 1} | {number: order}
        return self._passes[number]


class Preparation:
    """The images of each step of a training, changed as the step asks; those of the next step ahead where that helps.

    A thread changes them where the job has a core for it, else it reads them where they are not at hand: a GPU does the
    rest itself.

    Parameters
    ----------
    pixels
        All images.
    change
        What a batch of them, (n, channels, H, W) uint8, becomes in a step; it depends on the two alone.

    Attributes
    ----------
    looks_ahead
        Whether `ahead` makes anything faster.
    """

    def __init__(self, pixels: Pixels, change: Callable[[Tensor, int], Tensor]) -> None:
        self._pixels, self._change = pixels, change
        self._changes_ahead = can_work_ahead(pixels.device)
        self.looks_ahead = self._changes_ahead or not pixels.at_hand
        self._thread = ThreadPoolExecutor(1, "ahead") if self.looks_ahead else None
        self._following: tuple[int, Future[Tensor]] | None = None

    def __call__(self, step: int, positions: np.ndarray) -> Tensor:
        """What the model is given in a step, (n, channels, size, size) float: from the images at (n,) positions."""
        following, self._following = self._following, None
        if following is not None and following[0] == step:
            found = following[1].result()
        else:
            found = self._begun(step, positions)
        return found if self._changes_ahead else self._change(self._pixels.sent(found), step)

    def ahead(self, step: int, positions: np.ndarray) -> None:
        """Begin with a later step, which will ask for the same positions; nothing where it does not help."""
        if self._thread is not None:
            self._following = step, self._thread.submit(self._begun, step, positions)

    def _begun(self, step: int, positions: np.ndarray) -> Tensor:
        return self._change(self._pixels[positions], step) if self._changes_ahead else self._pixels.read(positions)


def _on(device: torch.device, labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64)).to(device)
