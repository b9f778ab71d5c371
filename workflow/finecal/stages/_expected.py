"""Compare the accuracies of a run with those that its study expects (`expect`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finecal import paths
from finecal.errors import UserError, counted
from finecal.metrics.classifiers import FINE_TUNED, PRETRAINED
from finecal.metrics.expected import compare
from finecal.models.header import describe_input, read_header
from finecal.paths import RunKey


def check_expected(run: RunKey, rows: Sequence[Mapping[str, Any]], expected: Mapping[tuple[str, ...], Any]) -> None:
    """Raise a UserError if an accuracy that is expected lies outside of the interval of the one that is found.

    Parameters
    ----------
    rows
        Of the run's metrics.
    expected
        (key path,) → metric → accuracy in percent; those of other backbones and recipes are left out.
    """
    places = (
        (f"backbones.{run.backbone}.expect", PRETRAINED, run.pretrained_folder),
        (f"recipes.{run.recipe}.expect", FINE_TUNED, run.folder),
    )
    found = {(row["classifier"], row["calibrator"], row["metric"]): (row["value"], row["n"]) for row in rows}
    for where, classifier, folder in places:
        for metric, percent in expected.get((where,), {}).items():
            value, n = found[classifier, "none", metric]
            _check(where, metric, percent, (value, n), folder)


def _check(where: str, metric: str, percent: float, found: tuple[float, int], folder: Path) -> None:
    value, n = found
    if not n:
        raise UserError(f"{metric} cannot be compared: it has no test sample", where=where)
    seen = compare(value, n, percent / 100)
    share = f"{100 * value:.1f} % [{100 * seen.low:.1f}, {100 * seen.high:.1f}]"
    words = f"{metric} is {share} of {counted(n, 'test sample')}"
    if not seen.beyond:
        print(f"{where}: {words}, {percent} % was expected", file=sys.stderr)
        return
    raise UserError(
        f"{words}, {percent} % was expected", where=where,
        why="What may differ: what the model is shown (here "
        f"{describe_input(read_header(folder / paths.MODEL)['architecture'])}); the order of the classes in its head; "
        f"which images are test images; the weights. All of it is noted in {folder}",
        hint="Compare single samples (logits.parquet there; the column `file` of the images names them)",
    )  # fmt: skip
