"""Samples that are image files, before they are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from finecal.data.packed import Samples


@dataclass(frozen=True)
class ImageFiles(Samples):
    """The image files of a domain.

    Attributes
    ----------
    files
        N different files.
    root
        The folder that names in images.parquet are relative to; None keeps the names as they are.
    size
        Side of the stored square images, in pixels.
    fit
        How an image becomes square: see `finecal.data.decoding.decode`.
    """

    files: tuple[Path, ...]
    labels: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    validation: np.ndarray | None = None
    complete: bool = True
    root: Path | None = None
    size: int = 256
    fit: Literal["stretch", "crop"] = "stretch"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files as they are stored beside the pixels."""
        root = self.root
        inside = (root is not None and file.is_relative_to(root) for file in self.files)
        return tuple(
            file.relative_to(root).as_posix() if root is not None and within else file.as_posix()
            for file, within in zip(self.files, inside, strict=True)
        )
