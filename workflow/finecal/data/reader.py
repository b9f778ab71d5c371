"""Read the pixels that a job needs, one row group after another, into the memory that has room for them.

That is the GPU's memory, else the machine's, else a temporary file on the scratch disk. Batches are the same to the bit
wherever the pixels are.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from finecal import schemas
from finecal.data.packed import Samples, check_samples, pixels_of, read_format
from finecal.io.arrow_values import numbers, words
from finecal.io.parquet import read_row_groups, read_table
from finecal.runtime.device import to_device
from finecal.runtime.lookahead import prefetch
from finecal.runtime.memory import Room, file_in_scratch


class Source(Protocol):
    """Images that can be read in their order, batch by batch."""

    def __len__(self) -> int: ...

    def batches(self, size: int, device: torch.device) -> Iterator[Tensor]:
        """Yield (size, channels, H, W) uint8 on the device; the last batch may be smaller."""
        ...


@dataclass(frozen=True)
class PackedFile(Samples):
    """An images.parquet: its samples, and how to read their pixels.

    Attributes
    ----------
    path
        The file.
    shape
        (H, W, channels) of every image.
    """

    path: Path
    shape: tuple[int, int, int]
    labels: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    validation: np.ndarray | None
    complete: bool

    @classmethod
    def open(cls, path: str | Path) -> PackedFile:
        """Read everything but the pixels.

        Raises
        ------
        UserError
            If the file is missing, corrupt, or not a file of packed images.
        """
        table = read_table(path, schemas.select(schemas.IMAGES, "sample", "class", "subset"))
        described = read_format(path)
        height, width, channels = described["shape"]
        subset = words(table["subset"])
        validation = subset == "validation"
        found = cls(
            path=Path(path),
            shape=(height, width, channels),
            labels=numbers(table["class"]),
            test=subset == "test",
            classes=tuple(described["classes"]),
            validation=validation if validation.any() else None,
            complete=described["complete"],
        )
        check_samples(found, str(path))
        return found

    def load(self, chosen: np.ndarray, device: torch.device, room: Room) -> Pixels:
        """Read the pixels of the chosen samples, (N,) bool, in the order of the file.

        Raises
        ------
        UserError
            If the file is corrupt, or the pixels fit neither into memory nor onto the disk.
        """
        height, width, channels = self.shape
        shape = (int(chosen.sum()), height, width, channels)
        size = int(np.prod(shape))
        place, file = room.place(size, device), None
        if place == "file":
            file = file_in_scratch(size)
            stored = torch.frombuffer(file, dtype=torch.uint8).reshape(shape)
        else:
            stored = torch.empty(shape, dtype=torch.uint8, device=device if place == "device" else "cpu")
        end = 0
        for part in self._parts(chosen):
            start, end = end, end + len(part)
            stored[start:end] = torch.from_numpy(part.copy())  # Arrow's memory is not writable
        return Pixels(stored, device, file=file)

    def batches(self, size: int, device: torch.device) -> Iterator[Tensor]:
        """Yield all samples. The next batch is prefetched; at most a row group and two batches are in memory."""
        for batch in prefetch(_cut_batches(self._parts(np.ones(len(self), dtype=bool)), size)):
            yield to_device(torch.from_numpy(batch), device).permute(0, 3, 1, 2)

    def _parts(self, chosen: np.ndarray) -> Iterator[np.ndarray]:
        """Yield (n, H, W, channels) uint8 of the chosen samples of each row group that has any."""
        for start, table in read_row_groups(self.path, ["pixels"], chosen):
            wanted = chosen[start : start + len(table)]
            pixels = pixels_of(table["pixels"], self.shape, str(self.path))
            yield pixels if wanted.all() else pixels[wanted]


class Pixels:
    """Images (N, channels, H, W) uint8, from which batches are taken in any order.

    In memory they are channels last, as in the file: torch resizes such images fastest.

    Parameters
    ----------
    stored
        The images (N, H, W, channels), on the device or on the CPU.
    device
        The device of the batches.
    rows
        (N,) int64: indices of the stored images that are used; by default all.
    file
        The memory-mapped file that has `stored`, if one has.
    """

    def __init__(
        self, stored: Tensor, device: torch.device, rows: np.ndarray | None = None, file: mmap.mmap | None = None
    ) -> None:
        self._stored, self.device, self._file = stored, device, file
        self._rows = np.arange(len(stored)) if rows is None else rows

    @classmethod
    def of(cls, images: np.ndarray, device: torch.device) -> Pixels:
        """Copy (N, H, W, channels) uint8 images to a device."""
        return cls(torch.from_numpy(images.copy()).to(device), device)

    def __len__(self) -> int:
        return len(self._rows)

    def some(self, rows: np.ndarray) -> Pixels:
        """Select the images at the positions `rows`, (n,) int64; the pixels are shared."""
        return Pixels(self._stored, self.device, self._rows[rows], self._file)

    @property
    def on_device(self) -> bool:
        """Whether the images are in the memory of the device, so that a batch needs no reading and no transfer."""
        return self._file is None and self._stored.device.type == self.device.type

    def __getitem__(self, positions: np.ndarray) -> Tensor:
        """Return the images at (n,) positions: (n, channels, H, W) uint8 on the device."""
        return self.to_device(self.read(positions))

    def batches(self, size: int, device: torch.device) -> Iterator[Tensor]:
        """Yield all images in their order."""
        for start in range(0, len(self), size):
            batch = self.read(np.arange(start, min(start + size, len(self))))
            yield batch.to(device, non_blocking=True).permute(0, 3, 1, 2)

    def read(self, positions: np.ndarray) -> Tensor:
        """Read the images at (n,) positions: (n, H, W, channels) uint8 where they are stored, pinned for a GPU."""
        rows = self._rows[positions]
        if self._file is not None:
            self._advise(rows)
        batch = self._stored.index_select(0, to_device(torch.from_numpy(rows), self._stored.device))
        return batch.pin_memory() if batch.device.type == "cpu" and self.device.type == "cuda" else batch

    def to_device(self, batch: Tensor) -> Tensor:
        """Transfer a batch from `read` to the device: (n, channels, H, W) uint8."""
        return batch.to(self.device, non_blocking=True).permute(0, 3, 1, 2)

    def _advise(self, rows: np.ndarray) -> None:
        """Ask the system to read all images of a batch at once, not page by page as they are used."""
        assert self._file is not None
        size = self._stored[0].numel()
        for row in rows.tolist():
            start = row * size // mmap.PAGESIZE * mmap.PAGESIZE
            self._file.madvise(mmap.MADV_WILLNEED, start, (row + 1) * size - start)


def _cut_batches(parts: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Cut parts (n, H, W, channels) of any length into batches of `size` images; the last batch may be smaller."""
    batch, filled = None, 0
    for images in parts:
        while len(images):
            if batch is None:
                batch, filled = np.empty((size, *images.shape[1:]), np.uint8), 0
            taken = images[: size - filled]
            batch[filled : filled + len(taken)] = taken
            images, filled = images[len(taken) :], filled + len(taken)
            if filled == size:
                yield batch
                batch = None
    if batch is not None:
        yield batch[:filled]
