"""Packed images: a data set is decoded once into uint8 and read by every job in one go."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from finecal.artifacts import list_array, matrix_column, read_metadata, read_table, write_table
from finecal.errors import UserError

IMAGES_SCHEMA = pa.schema(
    [("sample", pa.int32()), ("class", pa.int32()), ("subset", pa.string()), ("pixels", pa.null())]
)  # fmt: skip
FORMAT = b"finecal.images"


@dataclass(frozen=True)
class PackedImages:
    """All images of a domain.

    Attributes
    ----------
    pixels
        (N, H, W, channels) uint8; channels is 1 or 3.
    labels
        (N,) int32, class numbers.
    test
        (N,) bool: test samples.
    classes
        Names of the classes, by number.
    validation
        (N,) bool: labelled samples held out from training; None if there are none. All others are training samples.
    """

    pixels: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    validation: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def train(self) -> np.ndarray:
        """(N,) bool: training samples."""
        return ~self.test if self.validation is None else ~(self.test | self.validation)

    @property
    def subset(self) -> np.ndarray:
        """(N,) of the words train, validation and test."""
        held_out = np.zeros_like(self.test) if self.validation is None else self.validation
        return np.select([self.test, held_out], ["test", "validation"], "train")


def write_images(
    path: str | Path, images: PackedImages, *, columns: dict[str, str], provenance: dict[str, Any]
) -> None:
    """Check images and write them as Parquet: sample, class, subset, pixels (a fixed-size list of uint8).

    Raises
    ------
    UserError
        If a label is out of range, or a class has no training or no test sample.
    """
    _check(images, str(path))
    n, *shape = images.pixels.shape
    table = pa.table(
        {
            **{name: pa.repeat(pa.scalar(value), n) for name, value in columns.items()},
            "sample": pa.array(np.arange(n, dtype=np.int32)),
            "class": pa.array(images.labels.astype(np.int32)),
            "subset": pa.array(images.subset),
            "pixels": list_array(images.pixels.reshape(n, -1)),
        }
    )
    described = json.dumps({"shape": shape, "classes": images.classes}).encode()
    write_table(path, table.replace_schema_metadata({FORMAT: described}), provenance=provenance)


def read_images(path: str | Path) -> PackedImages:
    """Read what `write_images` wrote.

    Raises
    ------
    UserError
        If the file is missing, corrupt, or no file of images.
    """
    table = read_table(path, IMAGES_SCHEMA)
    described = read_format(path)
    subset = table["subset"].to_numpy()
    validation = subset == "validation"
    images = PackedImages(
        pixels=matrix_column(table, "pixels", path).reshape(-1, *described["shape"]),
        labels=table["class"].to_numpy(),
        test=subset == "test",
        classes=tuple(described["classes"]),
        validation=validation if validation.any() else None,
    )
    _check(images, str(path))
    return images


def read_format(path: str | Path) -> dict[str, Any]:
    """Shape (H, W, channels) and class names of a file of images, without its pixels."""
    described = read_metadata(path, FORMAT)
    if not described:
        raise UserError("this Parquet file holds no packed images", where=str(path))
    return described


def stratified_test(labels: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    """Choose round(fraction × n) samples of every class for testing, at least one: a (N,) bool mask."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        test[members[: max(1, round(fraction * len(members)))]] = True
    return test


def hold_out_validation(images: PackedImages, fraction: float, random: np.random.Generator) -> PackedImages:
    """Keep this fraction of each class's training samples for validation, at least one; none if it is 0."""
    if not fraction:
        return images
    train = np.flatnonzero(images.train)
    validation = np.zeros(len(images), dtype=bool)
    validation[train] = stratified_test(images.labels[train], fraction, random)
    return replace(images, validation=validation)


def _check(images: PackedImages, where: str) -> None:
    total = len(images.classes)
    outside = np.flatnonzero((images.labels < 0) | (images.labels >= total))
    if len(outside):
        sample = int(outside[0])
        raise UserError(
            f"sample {sample} has the label {images.labels[sample]}", where=where, why=f"Labels are 0 to {total - 1}"
        )
    for name, members in (("training", images.train), ("test", images.test)):
        counts = np.bincount(images.labels[members], minlength=total)
        if not counts.all():
            missing = images.classes[int(np.argmin(counts))]
            raise UserError(
                f"class {missing!r} has no {name} sample", where=where, why="Every class needs at least one"
            )
