"""Calibrators with scikit-learn's habits: logits are X, class numbers or names are y."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from finecal.calibration.contract import Data, Labelled, Unlabelled
from finecal.calibration.parameters import calibrator
from finecal.config.error_messages import as_user_error
from finecal.errors import UserError, counted
from finecal.library.classes import mask_of
from finecal.logits.kinds import KINDS, converted, kind_of
from finecal.logits.names import LOGITS, per_class
from finecal.logits.tensors import of_tensor
from finecal.registry import calibrator_record

RECOGNISED = ("probabilities", "percentages", "log-probabilities")  # any numbers from 0 to 1 might be sigmoids
READABLE = frozenset({"train_fine_tuning", "target_unlabelled", "validation"})


class LogitCalibrator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fit a calibrator on logits and predict with it, as a classifier of scikit-learn.

    >>> import numpy as np
    >>> y = np.arange(60) % 3
    >>> X = 3.0 * np.eye(3)[y] + [5, 5, 0]
    >>> LogitCalibrator("calibrated_stacking", fine_tuning=[0, 1]).fit(X, y).score(X, y)
    1.0

    Parameters
    ----------
    method
        A calibrator that needs nothing but logits and labels: `alg` reads those of S, `calibrated_stacking` or
        `temperature` also labels of U.
    fine_tuning
        S: numbers or names of classes, or a mask (C,); None for the first half of the classes.
    classes
        What `y` holds for each column of X, in their order; None for the names of the columns of a frame, if `y` has
        them, else for its sorted values (0 … C − 1 if all of `y` are such numbers).
    options
        Of the calibrator, by name.
    scores
        What X holds, a kind of `finecal.ScoresAs`; with "auto" probabilities, percentages and log-probabilities are
        recognised in `fit`. Their logarithm is calibrated; `predict` takes the same kind.

    Attributes
    ----------
    classes_
        (C,) what each column stands for.
    fine_tuning_
        (C,) bool.
    scores_
        What X was.
    state_
        The fitted parameters, such as {"gamma": 2.3}.

    Notes
    -----
    `fit` counts rows of S as training data of S, all rows as unlabelled data and as validation data; a method is handed
    what it declares to read, and nothing else.
    """

    def __init__(
        self, method: str = "alg", *, fine_tuning: Any = None, classes: Sequence[Any] | None = None,
        options: dict[str, Any] | None = None, scores: str = "auto",
    ) -> None:  # fmt: skip
        self.method = method
        self.fine_tuning = fine_tuning
        self.classes = classes
        self.options = options
        self.scores = scores

    def fit(self, X: Any, y: Any) -> LogitCalibrator:  # noqa: N803 - scikit-learn's name
        """Fit on logits X (N, C) and labels y (N,).

        Raises
        ------
        UserError
            If the method reads more than logits and labels, no row is of S, or labels and columns do not fit together.
        """
        X, y = validate_data(self, _plain(X), _plain(y), dtype=np.float64, ensure_min_features=2)  # noqa: N806
        check_classification_targets(y)
        if self.scores not in ("auto", *KINDS):
            raise UserError(f"scores are {self.scores!r}", why=f"Allowed are {', '.join(('auto', *KINDS))}")
        self.scores_ = _kind(X) if self.scores == "auto" else self.scores
        X = converted(X, self.scores_, "X")  # noqa: N806
        self.classes_ = self._columns(y, X.shape[1])
        numbers = np.searchsorted(self.classes_, y, sorter=np.argsort(self.classes_, kind="stable"))
        numbers = np.argsort(self.classes_, kind="stable")[numbers]
        width = X.shape[1]
        given = np.arange(width) < (width + 1) // 2 if self.fine_tuning is None else self.fine_tuning
        names = [str(one) for one in self.classes_] if self.classes_.dtype.kind in "OSU" else None
        self.fine_tuning_ = mask_of(given, width, names)
        record = calibrator_record(self.method)
        with as_user_error("options", record.options, self.options or {}):
            options = record.options.model_validate(self.options or {}).model_dump()
        made, reads, takes = calibrator({"calibrator": self.method, "options": options})
        if not (reads | takes) <= READABLE:
            lacking = ", ".join(sorted((reads | takes) - READABLE))
            raise UserError(f"{self.method!r} reads {lacking}", why="Here there are logits and labels only")
        of_s = self.fine_tuning_[numbers]
        if "train_fine_tuning" in reads and not of_s.any():
            raise UserError("no row is of a class of S", where="y")
        available = {
            "train_fine_tuning": Labelled(X[of_s], numbers[of_s]), "target_unlabelled": Unlabelled(X),
            "validation": Labelled(X, numbers),
        }  # fmt: skip
        self.state_ = made.fit(Data(self.fine_tuning_, available, reads, takes))
        self._method = made
        return self

    def _columns(self, y: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
        there = np.unique(y)
        named = getattr(self, "feature_names_in_", np.array([], dtype=object))
        if self.classes is not None:
            classes = np.asarray(self.classes)
        elif there.dtype.kind in "OSU" and np.isin(there, named).all():
            classes = named.astype(y.dtype if y.dtype.kind == "O" else np.str_)
        elif there.dtype.kind in "OSU" and np.isin(there, of_names := per_class(LOGITS, named.tolist())[1]).all():
            classes = np.array(of_names, dtype=object if y.dtype.kind == "O" else np.str_)
        elif (
            there.dtype.kind in "iuf" and there.min() >= 0 and there.max() < width and (there == np.floor(there)).all()
        ):
            classes = np.arange(width)
        else:
            classes = there
        if len(classes) != width or not np.isin(there, classes).all():
            raise UserError(
                f"y has the classes {there[:5].tolist()} and X has {counted(width, 'column')}", where="y",
                why="Each column of logits is a class", hint="Name them in their order: classes=",
            )  # fmt: skip
        return classes

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return calibrated logits (N, C); with two classes their difference (N,), as scikit-learn has it."""
        logits = self.calibrated(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def calibrated(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return calibrated logits (N, C)."""
        check_is_fitted(self)
        X = validate_data(self, _plain(X), dtype=np.float64, reset=False)  # noqa: N806
        X = converted(X, self.scores_, "X")  # noqa: N806
        found: npt.NDArray[np.float64] = np.asarray(
            self._method.apply(Unlabelled(X), self.state_, self.fine_tuning_), dtype=np.float64
        )
        return found

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the softmax (N, C) of the calibrated logits."""
        logits = self.calibrated(X)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: npt.NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
        return found

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return a class for each row of logits."""
        logits = self.calibrated(X)
        found: npt.NDArray[Any] = self.classes_[logits.argmax(axis=1)]
        return found


def _plain(given: Any) -> Any:
    """Return tensors as arrays, of whatever type; all else is left to scikit-learn."""
    return of_tensor(given, "X or y") if hasattr(given, "detach") else given


def _kind(X: npt.NDArray[np.float64]) -> str:  # noqa: N803
    found = kind_of(X)
    return found if found in RECOGNISED else "logits"
