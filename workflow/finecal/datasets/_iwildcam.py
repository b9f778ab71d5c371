"""Choose the samples of iWildCam (WILDS) from its tables, with their domains, classes and subsets."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from finecal.errors import UserError, counted
from finecal.seeds import generator

COLUMNS = {"metadata.csv": ("split", "filename", "y", "sequence_remapped"), "categories.csv": ("y", "name")}
EMPTY = "empty"


class Options(Protocol):
    """The options that are read here; `datasets/iwildcam.py` explains them."""

    @property
    def target(self) -> str: ...
    @property
    def empty(self) -> bool: ...
    @property
    def min_per_class(self) -> int: ...
    @property
    def max_per_class(self) -> int | None: ...
    @property
    def test_fraction(self) -> float: ...
    @property
    def seed(self) -> int: ...


def read_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read metadata.csv (a row for each image) and categories.csv (a row for each class) of the unpacked archive.

    Raises
    ------
    UserError
        If one is missing or lacks a column.
    """
    read = []
    for name, columns in COLUMNS.items():
        file = next(folder.glob(f"**/{name}"), None)
        if file is None:
            raise UserError(f"the archive has no {name}", where=str(folder))
        table = pd.read_csv(file)
        missing = [column for column in columns if column not in table]
        if missing:
            raise UserError(f"no column {missing[0]!r}", where=name, why=f"It needs {', '.join(columns)}")
        read.append(table[list(columns)])
    return read[0], read[1]


def choose_samples(
    metadata: pd.DataFrame, categories: pd.DataFrame, options: Options, *, source: str
) -> tuple[tuple[str, ...], pd.DataFrame]:
    """Choose the classes of Y and the samples of both domains.

    Returns
    -------
    tuple
        Names of the classes in the order of WILDS's numbers, and a table with the columns filename, domain, class
        (number in Y) and is_test.

    Raises
    ------
    UserError
        If fewer than two classes have enough samples.
    """
    names = dict(zip(categories["y"], categories["name"], strict=True))
    samples = _divide(metadata, options, source)
    if not options.empty:
        samples = samples[samples["y"].map(names) != EMPTY]
    counts = samples.groupby(["y", "domain", "is_test"]).size().unstack(["domain", "is_test"], fill_value=0)
    enough = sorted(counts.index[(counts >= options.min_per_class).all(axis=1)]) if counts.shape[1] == 4 else []
    if len(enough) < 2:
        raise UserError(
            f"{counted(len(enough), 'class')} with {counted(options.min_per_class, 'sample')} each in training and "
            "test of both domains",
            where="iwildcam.min_per_class", why="At least two are needed",
        )  # fmt: skip
    samples = samples[samples["y"].isin(enough)]
    if options.max_per_class is not None:
        shuffled = samples.iloc[generator("iwildcam", "left out", options.seed).permutation(len(samples))]
        samples = shuffled.groupby(["y", "domain", "is_test"]).head(options.max_per_class).sort_index()
    numbers = {y: number for number, y in enumerate(enough)}
    samples = samples.assign(**{"class": samples["y"].map(numbers)})
    return tuple(str(names[y]) for y in enough), samples[["filename", "domain", "class", "is_test"]]


def _divide(metadata: pd.DataFrame, options: Options, source: str) -> pd.DataFrame:
    """Return the rows of both domains with the columns domain and is_test."""
    of_source = metadata[metadata["split"].isin(["train", "id_test"])]
    of_source = of_source.assign(domain=source, is_test=of_source["split"] == "id_test")
    of_target = metadata[metadata["split"] == options.target.removesuffix("_locations")]
    test = draw_test_sequences(
        of_target, options.test_fraction, generator("iwildcam", options.target, "test", options.seed)
    )
    of_target = of_target.assign(domain=options.target, is_test=of_target["sequence_remapped"].isin(test))
    return pd.concat([of_source, of_target])


def draw_test_sequences(samples: pd.DataFrame, fraction: float, random: np.random.Generator) -> set[int]:
    """Draw sequences for testing: this fraction of those of each class, at least one if the class has two.

    A sequence with several species counts for the rarest, so that a rare species does not depend on draws for others.
    """
    frequency = samples.groupby("y")["sequence_remapped"].nunique()
    rarest = samples.assign(frequency=samples["y"].map(frequency)).sort_values(
        ["frequency", "y", "sequence_remapped"], kind="stable"
    )
    owner = rarest.drop_duplicates("sequence_remapped")
    drawn: set[int] = set()
    for _, sequences in owner.groupby("y")["sequence_remapped"]:
        mixed = random.permutation(np.sort(sequences.to_numpy()))
        size = round(fraction * len(mixed))
        drawn |= set(mixed[: max(min(size, len(mixed) - 1), min(1, len(mixed) - 1))].tolist())
    return drawn
