"""Packed images: each domain is decoded once into a Parquet file of uint8 pixels, which every job reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from finecal import schemas
from finecal.errors import UserError
from finecal.io.arrow_values import numbers, words
from finecal.io.parquet import read_metadata, read_table, table_writer

FORMAT = b"finecal.images"
# Bytes of pixels in a row group, which is what a writer holds in memory: 85 images of 256 × 256 pixels.
ROW_GROUP_BYTES = 16 * 2**20


class Samples:
    """The samples of a domain without their pixels.

    Attributes
    ----------
    labels
        (N,) int32, class numbers.
    test
        (N,) bool: test samples.
    classes
        Names of the classes, by number.
    validation
        (N,) bool: labelled samples held out from training; None if there are none. All others are training samples.
    complete
        Whether every class must have a training and a test sample. If not, some classes may lack samples of one kind or
        of both; code that needs them raises an error.
    """

    labels: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    validation: np.ndarray | None
    complete: bool

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def train(self) -> np.ndarray:
        """(N,) bool: training samples."""
        return ~self.test if self.validation is None else ~(self.test | self.validation)

    @property
    def subset(self) -> np.ndarray:
        """(N,) text: `train`, `validation` or `test`."""
        held_out = np.zeros_like(self.test) if self.validation is None else self.validation
        return np.select([self.test, held_out], ["test", "validation"], "train")


@dataclass(frozen=True)
class PackedImages(Samples):
    """All images of a domain: `Samples`, and `pixels`, (N, H, W, channels) uint8; channels is 1 or 3."""

    pixels: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    validation: np.ndarray | None = None
    complete: bool = True


def write_images(
    path: str | Path, images: PackedImages, *, columns: dict[str, str], provenance: dict[str, Any]
) -> None:
    """Check images and write them as Parquet: sample, class, subset, pixels (uint8 bytes, the same number in each row).

    Raises
    ------
    UserError
        If a label is out of range, or a class has no training or no test sample.
    """
    shape = images.pixels.shape[1:]
    rows = rows_in_group(shape)
    parts = (images.pixels[start : start + rows] for start in range(0, len(images), rows))
    write_parts(path, images, shape, parts, columns=columns, provenance=provenance)


def rows_in_group(shape: tuple[int, ...]) -> int:
    """Return how many images of this shape a row group has."""
    return max(1, ROW_GROUP_BYTES // int(np.prod(shape)))


def write_parts(
    path: str | Path,
    samples: Samples,
    shape: tuple[int, ...],
    parts: Iterable[np.ndarray],
    *,
    columns: dict[str, str],
    provenance: dict[str, Any],
    files: tuple[str, ...] | None = None,
) -> None:
    """Write images as `write_images` does, with pixels in parts that are taken one after another and not kept.

    Parameters
    ----------
    shape
        (H, W, channels).
    parts
        (n, H, W, channels) uint8 each, n = `rows_in_group(shape)` but for the last; together as many as samples.
    files
        The file that each sample was decoded from, written as a further column.
    """
    check_samples(samples, str(path))
    own = schemas.without(schemas.own_columns(schemas.IMAGES), () if files is not None else ("file",))
    fields = [*(schemas.coordinate(name, pa.string()) for name in columns), *own]
    described = json.dumps({"shape": shape, "classes": samples.classes, "complete": samples.complete}).encode()
    schema = schemas.sized(pa.schema(fields), pixels=int(np.prod(shape))).with_metadata({FORMAT: described})
    rows = rows_in_group(shape)
    # Without any image, one empty part is written.
    bounds = [*range(0, len(samples), rows), len(samples)]
    with table_writer(path, schema, provenance=provenance) as writer:
        # `strict` also asks for a part after the last one, where `parts` may raise the errors that it has collected.
        for (start, end), pixels in zip(pairwise(bounds), parts, strict=True):
            n = end - start
            arrays = {
                **{name: pa.repeat(pa.scalar(value, pa.string()), n) for name, value in columns.items()},
                "sample": pa.array(np.arange(start, end, dtype=np.int32)),
                "class": pa.array(samples.labels[start:end].astype(np.int32)),
                "subset": pa.array(samples.subset[start:end]),
                "file": pa.array(files[start:end] if files is not None else [], pa.string()),
                "pixels": _binary(pixels.reshape(n, *shape)),
            }
            writer.write_table(pa.table([arrays[name] for name in schema.names], schema=schema))


def _binary(pixels: np.ndarray) -> pa.FixedSizeBinaryArray:
    """Convert (N, …) uint8 to N byte strings, which Parquet reads many times faster than lists of numbers."""
    width = int(np.prod(pixels.shape[1:]))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(pixels), [None, pa.py_buffer(np.ascontiguousarray(pixels, np.uint8))]
    )


def read_images(path: str | Path) -> PackedImages:
    """Read what `write_images` wrote.

    Raises
    ------
    UserError
        If the file is missing, corrupt, or not a file of packed images.
    """
    table = read_table(path, schemas.select(schemas.IMAGES, "sample", "class", "subset", "pixels"))
    described = read_format(path)
    subset = words(table["subset"])
    validation = subset == "validation"
    images = PackedImages(
        pixels=pixels_of(table["pixels"], described["shape"], str(path)),
        labels=numbers(table["class"]),
        test=subset == "test",
        classes=tuple(described["classes"]),
        validation=validation if validation.any() else None,
        complete=described["complete"],
    )
    check_samples(images, str(path))
    return images


def pixels_of(column: pa.ChunkedArray, shape: Sequence[int], where: str) -> np.ndarray:
    """Return the column `pixels` as (N, H, W, channels) uint8, not writable; not copied if the column has one chunk."""
    width = int(np.prod(shape))
    if column.type != pa.binary(width):
        raise UserError(
            f"the column 'pixels' is {column.type}", where=where, why=f"It must be {pa.binary(width)}",
            hint="Delete it, it will be made again",
        )  # fmt: skip
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width :][: len(chunk) * width]
        for chunk in column.chunks
        if len(chunk)
    ]
    pixels = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint8), *parts])
    return pixels.reshape(-1, *shape)


def read_format(path: str | Path) -> dict[str, Any]:
    """Read `shape` (H, W, channels), `classes` and `complete` of a file of images, without its pixels."""
    described = read_metadata(path, FORMAT)
    if not described:
        raise UserError("this Parquet file has no packed images", where=str(path))
    return described


def check_training_samples(samples: Samples, fine_tuning: np.ndarray, where: str) -> None:
    """Raise a UserError if a class of S (bool mask) has no training sample; if S is Y, only if it has other samples."""
    total = len(samples.classes)
    lacking = np.bincount(samples.labels[samples.train], minlength=total) == 0
    if fine_tuning.all():
        lacking &= np.bincount(samples.labels, minlength=total) > 0
    without = np.flatnonzero(fine_tuning & lacking)
    if len(without):
        raise UserError(
            f"the fine-tuning class {samples.classes[without[0]]!r} has no training sample", where=where,
            hint="The split kind `present` takes the classes that have some",
        )  # fmt: skip


def check_samples(samples: Samples, where: str) -> None:
    """Raise a UserError if a label is out of range, or a class lacks samples that it must have."""
    total = len(samples.classes)
    if len({*samples.classes}) < total:
        twice = next(name for name in samples.classes if samples.classes.count(name) > 1)
        raise UserError(f"two classes are called {twice!r}", where=where, why="Classes are matched by name")
    outside = np.flatnonzero((samples.labels < 0) | (samples.labels >= total))
    if len(outside):
        sample = int(outside[0])
        raise UserError(
            f"sample {sample} has the label {samples.labels[sample]}", where=where, why=f"Labels are 0 to {total - 1}"
        )
    for name, members in (("training", samples.train), ("test", samples.test)):
        counts = np.bincount(samples.labels[members], minlength=total)
        if samples.complete and not counts.all():
            missing = samples.classes[int(np.argmin(counts))]
            raise UserError(
                f"class {missing!r} has no {name} sample", where=where, why="Every class needs at least one"
            )
