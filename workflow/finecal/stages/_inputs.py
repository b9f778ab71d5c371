"""What calibrators are fitted and scored with: read from the files of a run and of its pretrained model."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from finecal import paths
from finecal.calibration.contract import PseudoFold
from finecal.calibration.inputs import (
    Seen,
    read_head,
    read_interpolated,
    read_predictions,
    read_pretrained,
    read_split,
)
from finecal.calibration.pseudo_folds import read_pseudo_folds
from finecal.paths import RunKey


class RunInputs(NamedTuple):
    """What was read of a run.

    Attributes
    ----------
    fine_tuning
        (C,) bool, the classes of S.
    seen
        Predictions and weights; None for what was not asked for.
    folds
        The pseudo-splits, or None.
    files
        Where all of it stands, for the provenance.
    """

    fine_tuning: npt.NDArray[np.bool_]
    seen: Seen
    folds: list[PseudoFold] | None
    files: list[Path]


def read_run_inputs(
    run: RunKey, names: Collection[str], *, features: bool = False, pretrained_features: bool = False
) -> RunInputs:
    """Read split and logits of a run, and what calibrators name of the rest.

    Parameters
    ----------
    names
        In the words of `READS` and `TAKES`; those that need no file of their own are ignored.
    features, pretrained_features
        Whether to read the features of the fine-tuned and of the pretrained model, too.

    Raises
    ------
    UserError
        If a file is missing, damaged, or not of the same samples.
    """
    files = [run.path(paths.SPLIT), run.folder / paths.LOGITS]
    fine_tuning, _ = read_split(files[0])
    tuned = read_predictions(files[1], num_classes=len(fine_tuning), features=features)
    pretrained, folds, interpolated, head = None, None, None, None
    if "pretrained" in names:
        files.append(run.path(paths.PRETRAINED_LOGITS))
        pretrained = read_pretrained(files[-1], tuned, features=pretrained_features)
    if "pseudo_splits" in names:
        files.append(run.path(paths.PSEUDO_LOGITS))
        folds = read_pseudo_folds(files[-1], fine_tuning, pretrained)
    if "interpolated" in names:
        files.append(run.path(paths.INTERPOLATED))
        interpolated = read_interpolated(files[-1], tuned)
    if "weights" in names:
        files.append(run.folder / paths.HEAD)
        head = read_head(files[-1], len(fine_tuning))
    return RunInputs(fine_tuning, Seen(tuned, pretrained, interpolated, head), folds, files)
