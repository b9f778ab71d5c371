"""Thumbnails of test samples, which show which classes come back as γ grows.

The samples of each class are chosen at equal steps through its margins, without the first and the last: neither the
best nor the worst. Absent classes come first.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.data.packed import read_format
from finecal.io.parquet import read_row_groups
from finecal.report.run_view import RunView
from finecal.report.slider_stops import TestSamples

PER_CLASS = 6
CLASSES = 24  # of S and of U each
SIDE = 56  # most pixels of the longer side


def choose_rows(samples: TestSamples) -> npt.NDArray[np.int64]:
    """Choose the rows of the samples to show, ordered by class (U first) and margin."""
    rows: list[int] = []
    for group in (~samples.fine_tuning, samples.fine_tuning):
        for label in np.flatnonzero(group)[:CLASSES]:
            members = np.flatnonzero(samples.label == label)
            ordered = members[np.argsort(samples.margin[members], kind="stable")]
            count = min(PER_CLASS, len(ordered))
            places = (np.arange(count) + 0.5) * len(ordered) / max(count, 1)
            rows += ordered[places.astype(int)].tolist()
    return np.array(rows, dtype=np.int64)


def read_thumbnails(path: str | Path, samples: Iterable[int]) -> dict[int, str]:
    """Read samples of an images.parquet by number, as small WebP data URIs, one row group at a time."""
    height, width, channels = read_format(path)["shape"]
    numbers = np.unique(np.array(list(samples), dtype=np.int64))
    wanted = np.zeros(numbers[-1] + 1 if len(numbers) else 0, dtype=bool)
    wanted[numbers] = True
    found = {}
    for start, group in read_row_groups(path, ["pixels"], wanted):
        for row in np.flatnonzero(wanted[start : start + len(group)]):
            pixels = np.frombuffer(group["pixels"][int(row)].as_py(), np.uint8)
            found[start + int(row)] = thumbnail(pixels.reshape(height, width, channels))
    return found


def thumbnail(pixels: npt.NDArray[np.uint8]) -> str:
    """Return an (H, W, channels) image as a small WebP data URI."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    with io.BytesIO() as buffer:
        image.convert("RGB").save(buffer, "WEBP", quality=75, method=6)
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


class Album:
    """The pictures of a page, each stored once, as far as they fit into `room` bytes."""

    def __init__(self, room: int) -> None:
        self.pictures: list[str] = []
        self._places: dict[tuple[str, ...], int] = {}
        self._room = room

    def add(self, view: RunView, source: tuple[str, ...], thumbnails: Mapping[int, str]) -> Any:
        """Add a run's pictures; return its examples as columns: picture, label, before, s, u, stop.

        Returns None, and adds nothing, if there is no room or no picture.

        Parameters
        ----------
        view
            The run.
        source
            The data set and the domain: sample numbers of different sources mean different samples.
        thumbnails
            Sample number → data URI; samples without one are left out.
        """
        samples, rows = view.samples, choose_rows(view.samples)
        rows = np.array([row for row in rows if int(samples.sample[row]) in thumbnails], dtype=np.int64)
        keys = [(*source, str(number)) for number in samples.sample[rows]]
        new = {key: thumbnails[int(key[-1])] for key in keys if key not in self._places}
        size = sum(map(len, new.values()))
        if size > self._room or not len(rows):
            return None
        self._room -= size
        for key, picture in new.items():
            self._places[key] = len(self.pictures)
            self.pictures.append(picture)
        before = np.full(len(rows), -1) if samples.before is None else samples.before[rows]
        return {
            "picture": [self._places[key] for key in keys],
            "label": samples.label[rows].tolist(),
            "before": before.tolist(),
            "s": samples.best_s[rows].tolist(),
            "u": samples.best_u[rows].tolist(),
            "stop": view.stops.leaves_s_at(samples.margin[rows]).tolist(),
        }


def sample_numbers(views: Iterable[RunView]) -> set[int]:
    """Return the numbers of the samples whose pictures are shown."""
    return {int(number) for view in views for number in view.samples.sample[choose_rows(view.samples)]}
