"""How long does a job wait for its images, and how many files does it open for them?

    uv run python benchmarks/opening.py [--images 50000] [--side 64] [--repeats 3] [--quick]

A packed domain of random pixels, which do not compress, beside the same bytes in an `.npy` file:

* open: labels, subsets, class names; what a job reads that needs no pixels.
* load half: the pixels of every other sample, as a job that trains on S does.
* load all, and `np.load` of all.
* beside the model: all in batches of 256, read while the batch before is used (here: not used).

Medians of interleaved repeats, from the system's cache. Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import torch
from _measure import table
from _workload import in_turns

from finecal.data.packed import PackedImages, write_images
from finecal.data.reader import PackedFile
from finecal.runtime.memory import Room

CPU = torch.device("cpu")


def write(folder: Path, images: int, side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), dtype=np.uint8)
    labels = np.arange(images, dtype=np.int32) % 10
    content = PackedImages(pixels, labels, labels % 2 == 0, tuple("abcdefghij"), complete=False)
    write_images(folder / "images.parquet", content, columns={}, provenance={})
    np.save(folder / "pixels.npy", pixels)


def timed(action: Callable[[Path], object], folder: Path) -> float:
    start = time.perf_counter()
    action(folder)
    return time.perf_counter() - start


def load(folder: Path, *, every: int) -> int:
    """Load the pixels; return how many files are open then."""
    file = PackedFile.open(folder / "images.parquet")
    pixels = file.load(np.arange(len(file)) % every == 0, CPU, Room())
    return len(pixels) and len(psutil.Process().open_files())


def batches(folder: Path) -> None:
    for _ in PackedFile.open(folder / "images.parquet").batches(256, CPU):
        pass


WAYS: dict[str, Callable[[Path], object]] = {
    "`np.load` of all pixels": lambda folder: np.load(folder / "pixels.npy"),
    "open": lambda folder: PackedFile.open(folder / "images.parquet"),
    "load half": partial(load, every=2),
    "load all": partial(load, every=1),
    "in batches": batches,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to open packed images.")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=64, help="of an image, in pixels")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few images, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.images, args.side, args.repeats = 200, 16, 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, args.images, args.side)
        before = len(psutil.Process().open_files())
        opened = load(folder, every=1) - before
        times = in_turns({name: partial(timed, way, folder) for name, way in WAYS.items()}, args.repeats)
        mib = (folder / "pixels.npy").stat().st_size / 2**20
    first = median(times["`np.load` of all pixels"])
    print(f"{args.images:,} images of {args.side} × {args.side} pixels, {mib:,.0f} MiB; ", end="")
    print(f"{opened} files are open once they are loaded; median of {args.repeats} interleaved repeats\n")
    rows = [[name, f"{median(found):.2f}", f"{median(found) / first:.2f}"] for name, found in times.items()]
    print(table(("way", "time (s)", "× np.load"), rows))


if __name__ == "__main__":
    main()
