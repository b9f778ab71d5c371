"""`finecal.load_calibrator`: a calibrator that a study has fitted, for new logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal import paths, schemas
from finecal.calibration.contract import Head, State, Unlabelled
from finecal.calibration.inputs import read_head, read_split
from finecal.calibration.parameters import calibrator, read_states
from finecal.errors import UserError, not_finite, unknown
from finecal.io.parquet import read_metadata, read_table
from finecal.logits import class_order, names
from finecal.logits.kinds import converted
from finecal.logits.memory import as_array
from finecal.paths import RunKey


@dataclass(frozen=True, eq=False)
class FittedCalibrator:
    """A calibrator with its parameters.

    Attributes
    ----------
    name
        What the study calls it.
    use
        The calibrator and its options.
    state
        The fitted parameters, such as {"gamma": 2.3}.
    fine_tuning
        (C,) bool: the classes of S.
    classes
        Names of the classes.
    """

    name: str
    use: Mapping[str, Any]
    state: State
    fine_tuning: npt.NDArray[np.bool_]
    classes: tuple[str, ...]
    head: Head | None = field(default=None, repr=False)

    def apply(
        self, logits: Any, *, features: Any = None, pretrained: Any = None, interpolated: Any = None
    ) -> npt.NDArray[np.float64]:
        """Return calibrated logits (N, C), float64, of new samples.

        Parameters
        ----------
        logits
            (N, C), those of the fine-tuned model.
        features, pretrained, interpolated
            (N, D), (N, C) and (N, C), if the method takes them: what the last layer reads, the pretrained model's
            logits, those of the model with weights (1 − α) θ⁰ + α θ (or α → logits).

        Raises
        ------
        UserError
            If something that the method takes is missing, or has another shape.
        """
        values = matrix(logits, "logits", width=len(self.fine_tuning), classes=self.classes)
        method, _, takes = calibrator(self.use)
        given = {"features": features, "pretrained": pretrained, "interpolated": interpolated}
        more: dict[str, Any] = {} if self.head is None else {"weights": self.head}
        for what in sorted(takes - more.keys()):
            if given.get(what) is None:
                raise UserError(f"{self.name!r} takes {what} of each sample", hint=f"Give {what}=")
            more[what] = self._of_samples(what, given[what], len(values))
        try:
            found = method.apply(Unlabelled(values, more=more), self.state, self.fine_tuning)
        except ValueError as error:
            if "features" not in takes:
                raise
            width = more["features"].shape[1]
            raise UserError(f"the features are {width} wide", why="Those that were fitted are not") from error
        return np.asarray(found, dtype=np.float64)

    def _of_samples(self, what: str, given: Any, rows: int) -> Any:
        width = None if what == "features" else len(self.fine_tuning)
        if what != "interpolated":
            return matrix(given, what, rows=rows, width=width, classes=() if width is None else self.classes)
        between = given if isinstance(given, Mapping) else {float(self.state["alpha"]): given}
        return {alpha: matrix(one, what, rows=rows, width=width) for alpha, one in between.items()}


def matrix(
    given: Any,
    name: str,
    *,
    rows: int | None = None,
    width: int | None = None,
    kind: str = "logits",
    classes: Sequence[str] = (),
) -> npt.NDArray[np.float64]:
    """Return numbers (N, width) as float64, whatever holds them.

    Parameters
    ----------
    kind
        What scores are, one of `finecal.logits.kinds.KINDS`; they become logits.
    classes
        Names of the classes: columns of a frame that are called so are brought into their order.

    Raises
    ------
    UserError
        If they are no numbers, have another shape, are not of the kind, or one is NaN or infinite.
    """
    values = np.asarray(as_array(_in_order(given, classes), name))
    if values.dtype.kind not in "fiu":
        raise UserError(f"{name} has values of type {values.dtype}", why="Numbers are needed")
    right = values.ndim == 2 and width in (None, values.shape[1]) and rows in (None, len(values))
    if not right:
        wanted = f"({'N' if rows is None else rows}, {'D' if width is None else width})"
        raise UserError(f"{name} has shape {values.shape}", why=f"{wanted} is needed")
    wide: npt.NDArray[np.float64] = converted(values.astype(np.float64), kind, name).astype(np.float64, copy=False)
    bad = np.flatnonzero(~np.isfinite(wide).all(axis=1))
    if len(bad):
        raise not_finite(int(bad[0]), len(bad), name)
    return wide


def _in_order(given: Any, classes: Sequence[str]) -> Any:
    """Return a frame of logits with the columns in the order of the classes."""
    if not hasattr(given, "columns"):
        return given
    columns = {str(name): name for name in given.columns}
    called = list(columns) if {*columns} == {*classes} else names.per_class(names.LOGITS, list(columns))[0]
    own = called if {*called} == {*classes} else names.per_class(names.LOGITS, list(columns))[1]
    chosen = class_order.order(own, classes, "the classes")[0]
    return given if chosen is None else given[[columns[called[place]] for place in chosen]]


def load_calibrator(folder: str | Path, name: str) -> FittedCalibrator:
    """Load a calibrator that a study has fitted to a run.

    Parameters
    ----------
    folder
        Of the run, `results/DATASET/TASK/BACKBONE/RECIPE/SPLIT/seedN`; the folder `results` must be whole.
    name
        What the study calls the calibrator.

    Raises
    ------
    UserError
        If it is not fitted, or a file is missing or damaged.
    """
    place = Path(folder).absolute()
    depth = len(Path(paths.RUN).parts)
    run, root = RunKey.of(Path(*place.parts[-depth:])), Path(*place.parts[:-depth])
    file = place / paths.CALIBRATION
    states = read_states(read_table(file, schemas.own_columns(schemas.CALIBRATION)))
    uses = read_metadata(file).get("options", {})
    if name not in uses:
        raise unknown("calibrator", name, uses, where=str(file))
    fine_tuning, classes = read_split(root / run.path(paths.SPLIT))
    takes = calibrator(uses[name])[2]
    head = read_head(place / paths.HEAD, len(classes)) if "weights" in takes else None
    return FittedCalibrator(name, uses[name], states.get(name, {}), fine_tuning, classes, head)
