"""What the benchmarks of training and extraction share: images as JPEG files and packed, models, timing, options."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import nn

from finecal.data.packed import PackedImages, write_images
from finecal.data.reader import PackedFile, Pixels
from finecal.models.build import Architecture, architecture, build
from finecal.runtime.device import place_model
from finecal.runtime.memory import Room

FILE_SIDE = 256  # of the JPEG files, in pixels, unless a benchmark is told otherwise
CLASSES = tuple(f"class{number}" for number in range(10))


@dataclass(frozen=True)
class Workload:
    """A folder with train/CLASS/*.jpg and test/CLASS/*.jpg, and images.parquet with the same images.

    Attributes
    ----------
    folder
        The folder with the images.
    model, size, batch
        timm's name, the side of its input, samples per step.
    device
        Where the model runs.
    """

    folder: Path
    model: str
    size: int
    batch: int
    device: torch.device

    @cached_property
    def description(self) -> Architecture:
        return architecture({"model": self.model, "options": {}, "image_size": self.size}, CLASSES, 3)

    @cached_property
    def file(self) -> PackedFile:
        return PackedFile.open(self.folder / "images.parquet")

    def new_model(self) -> nn.Module:
        """Build the model, with the same random weights each time."""
        torch.manual_seed(0)
        return place_model(build(self.description, weights="random"), self.device)

    def load(self, chosen: np.ndarray) -> Pixels:
        return self.file.load(chosen, self.device, Room())


@contextmanager
def workload(
    model: str, size: int, batch: int, images: int, device: torch.device, side: int = FILE_SIDE
) -> Iterator[Workload]:
    """Write `images` training and half as many test images, files of side × side pixels."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subsets = ["train"] * images + ["test"] * (images // 2)
        pixels = [_picture(number, side) for number in range(len(subsets))]
        for number, (subset, picture) in enumerate(zip(subsets, pixels, strict=True)):
            place = root / subset / CLASSES[number % len(CLASSES)] / f"{number}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            picture.save(place, quality=90)
        stored = round(size * 256 / 224)  # as usual for crops of `size`
        packed = np.stack([np.asarray(picture.resize((stored, stored))) for picture in pixels])
        labels = np.arange(len(subsets), dtype=np.int32) % len(CLASSES)
        content = PackedImages(packed, labels, np.array(subsets) == "test", CLASSES, complete=False)
        write_images(root / "images.parquet", content, columns={}, provenance={})
        yield Workload(root, model, size, batch, device)


def _picture(seed: int, side: int) -> Image.Image:
    """Draw smooth colours with grain; as a JPEG file about half a byte per pixel, like a photograph."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray(np.clip(smooth + rng.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8))


def in_turns(ways: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each way: after one unmeasured turn, `repeats` turns, each in another order."""
    order, found = list(ways), {name: list[float]() for name in ways}
    shuffled = random.Random(0)
    for turn in range(repeats + 1):
        shuffled.shuffle(order)
        for name in order:
            seconds = ways[name]()
            if turn:
                found[name].append(seconds)
    return found


def ratio(times: dict[str, list[float]], way: str, other: str) -> float:
    """Return how many times as fast a way is as another: the median over the repeats of the ratio within a repeat."""
    return median(b / a for a, b in zip(times[way], times[other], strict=True))


def synchronised(device: torch.device) -> float:
    """Wait until the device has finished; return the time in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def hardware(device: torch.device, threads: int) -> str:
    """Describe the device and torch's version, for the line above a table."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU with {threads} threads"
    return f"{name}, torch {torch.__version__}"


def argument_parser(description: str, *, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the options --repeats, --device, --threads and --quick."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: its own choice)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    return parser


def set_up_device(name: str, threads: int | None) -> tuple[torch.device, int]:
    """Return the device, set up as finecal does it for a job, and the number of threads, by default torch's own."""
    from finecal.runtime.device import choose_device

    threads = threads or torch.get_num_threads()
    return choose_device(name, threads), threads


def parse_runs(values: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Parse MODEL:NUMBER:NUMBER:…, as on the command line."""
    return [(model, [int(n) for n in numbers]) for model, *numbers in (value.split(":") for value in values)]
