"""Data for the tests of calibrators: everything there is to read, made from one matrix of logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from finecal import registry
from finecal.calibration.contract import Data, Fitted, Head, Labelled, PseudoFold, Unlabelled, restrict

# S = {0, 1, 2}, U = {3, 4}
MASK = np.array([True, True, True, False, False])
MASKS = {"one class in S": [1, 0, 0, 0, 0], "one class in U": [1, 1, 0, 1, 1], "two and three": [0, 1, 0, 1, 0]}
DIMENSIONS = 3


def random_logits(scale: float) -> np.ndarray:
    return scale * np.random.default_rng(0).normal(size=(20, 5))


def make(name: str, **options: Any) -> Any:
    module = registry.load("calibrator", name)
    return module.Calibrator(module.Options(**options))


def reads(name: str) -> frozenset[str]:
    found: frozenset[str] = registry.load("calibrator", name).READS
    return found


def fit(name: str, available: dict[str, Any], mask: np.ndarray = MASK, **options: Any) -> Fitted:
    """Fit a calibrator on the part of the data that it declares."""
    state: Fitted = make(name, **options).fit(
        Data(mask, available, reads(name), registry.calibrator_record(name).takes)
    )
    return state


def apply(name: str, samples: Unlabelled, state: Any, mask: np.ndarray = MASK, **options: Any) -> np.ndarray:
    """Apply a calibrator to what it declares of some samples."""
    inputs = restrict(
        Unlabelled(samples.logits.astype(np.float64), more=samples.more), registry.calibrator_record(name).takes
    )
    calibrated: np.ndarray = make(name, **options).apply(inputs, state, mask)
    return calibrated


def samples(logits: np.ndarray) -> Labelled:
    """Samples with labels 0, 1, … in turn and all there is to know of them; features and weights are small."""
    n, c = logits.shape
    random = np.random.default_rng(1)
    head = Head(random.normal(size=(c, DIMENSIONS)), random.normal(size=c))
    more = {
        "features": random.normal(size=(n, DIMENSIONS)).astype(np.float32),
        "pretrained": logits[:, ::-1],
        "interpolated": {0.5: (logits / 2 + logits[:, ::-1] / 2).astype(logits.dtype)},
        "weights": head,
    }
    return Labelled(logits, np.arange(n) % c, more=more)


def rows_of(all_of_them: Labelled, rows: np.ndarray) -> Labelled:
    """Some rows (mask or numbers) of all that is known of some samples."""
    more = dict(all_of_them.more)
    more |= {name: more[name][rows] for name in ("features", "pretrained")}
    more["interpolated"] = {alpha: logits[rows] for alpha, logits in more["interpolated"].items()}
    return Labelled(all_of_them.logits[rows], all_of_them.labels[rows], more=more)


def everything(logits: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """All data there is to read, with at least one sample of each class of S, or of all classes."""
    whole = samples(logits)
    train = rows_of(whole, mask[whole.labels])
    columns = np.flatnonzero(mask)
    data: dict[str, Any] = {
        "weights": whole["weights"],
        "train_fine_tuning": train,
        "target_unlabelled": Unlabelled(logits, more=whole.more),
        "validation": whole,
        "test": whole,
    }
    if len(columns) > 1:
        s_prime = np.arange(len(columns)) < len(columns) / 2
        labels = np.searchsorted(columns, train.labels)
        before = {"pretrained": train["pretrained"][:, columns]}
        fold = PseudoFold(train.logits[:, columns], labels, s_prime, all_logits=train.logits, more=before)
        data["pseudo_splits"] = [fold, fold]
    return data
