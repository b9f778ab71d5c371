"""All that an exported folder has, whoever made the classifier: a run of a study, or a notebook."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from finecal import display, paths, schemas
from finecal.errors import UserError
from finecal.export import folder as export_folder
from finecal.export import onnx_file
from finecal.export.comparison import compare
from finecal.export.model_card import Card, Origin, write_card
from finecal.io.atomic import AT_ONCE, make_in_folder
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.parts import part_of, remove_left_parts, remove_part
from finecal.models.build import Architecture


@dataclass(frozen=True)
class Classifier:
    """A calibrated classifier: how it is written, and what it must give.

    Attributes
    ----------
    model
        The fine-tuned model; changed in place if the calibrator is folded into it.
    form
        From `finecal.calibration.deployment.export_form`, with what `finecal.export.folder.write_model` needs.
    pretrained
        The second model of an ensemble.
    pixels
        (N, H, W, channels) uint8.
    wanted
        (N, C) calibrated logits of them.
    originals
        The image files or images that they were made from, if they are there.
    """

    model: nn.Module
    description: Architecture
    form: Mapping[str, Any]
    pretrained: nn.Module | None
    pixels: np.ndarray
    wanted: np.ndarray
    originals: Sequence[Path | Image.Image]


@contextmanager
def whole_folder(place: Path, *, known: bool = False) -> Iterator[Path]:
    """Yield a folder that gets its name when the block has filled it; an earlier export under the name is replaced.

    Parameters
    ----------
    known
        Whether the name is one that only exports have: then whatever is there is replaced.

    Raises
    ------
    UserError
        If something else has the name, or it cannot be written; then nothing is.
    """
    if place.exists() and not known and not _may_replace(place):
        raise UserError("there is something else under this name", where=str(place), hint="Give a new folder")
    part = part_of(place)
    try:
        remove_part(part)  # of a killed process that had this one's number, as in a container
        make_in_folder(part, part.mkdir)
        remove_left_parts(place)
        yield part
        _replace(part, place)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror or error})", where=str(place)) from error
    finally:
        remove_part(part)


def _replace(part: Path, place: Path) -> None:
    """Rename a folder to a name that an earlier one may have, and that another process may give its own meanwhile."""
    earlier = place.with_name(f"{place.name}.before")
    remove_left_parts(earlier)
    aside = part_of(earlier)
    remove_part(aside)
    for _ in range(AT_ONCE):
        try:
            part.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        with suppress(FileNotFoundError):  # another process has put it aside first
            place.rename(aside)
        remove_part(aside)
    part.rename(place)


def _may_replace(folder: Path) -> bool:
    """An empty folder, or an earlier export."""
    return folder.is_dir() and ((folder / "calibration.json").is_file() or not any(folder.iterdir()))


def write_contents(folder: Path, made: Classifier, origin: Origin, *, onnx: bool) -> str:
    """Write model, ONNX, calibration, check.parquet and card into an empty folder; say how well logits agree.

    Raises
    ------
    UserError
        If timm does not have the model, or the folder or the ONNX file gives other logits than `made.wanted`.
    """
    folded = export_folder.write_model(folder, made.model, made.description, made.form, made.pretrained)
    rows, notes = compare(folder, made.description, made.pixels, made.wanted, onnx=onnx, originals=made.originals)
    name = made.form["calibrator"]
    check = from_rows([{"calibrator": name, **row} for row in rows], schemas.own_columns(schemas.CHECK))
    table = with_columns(check, origin.where)
    write_table(folder / paths.CHECK, table, schemas.CHECK, provenance=origin.record)
    has_onnx = (folder / onnx_file.NAME).is_file()
    write_card(folder / "README.md", Card(origin, made.form, made.description, folded, rows, has_onnx))
    return "\n".join([*map(_describe_row, rows), *notes])


def _describe_row(row: Mapping[str, Any]) -> str:
    return (
        f"{row['compared']:<15} largest difference of a logit {row['max_abs_difference']:.1e}, "
        f"same prediction for {row['same_prediction']:.1%} of {display.count(row['n'], 'test image')}"
    )
