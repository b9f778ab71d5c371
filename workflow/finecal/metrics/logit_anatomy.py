"""Logit anatomy: mean logits of the true class, of its group and of the other group."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def logit_anatomy(
    logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Return mean logits on the samples of each group, as in figure 7 of the paper's analysis.

    For the samples of U: `absent_true` (the true class), `absent_largest_absent` (the largest of the other
    absent classes) and `absent_largest_fine_tuning`; for those of S the same with the groups swapped. NaN where
    there is nothing to take a mean or a maximum of.

    Parameters
    ----------
    logits
        (N, C).
    labels
        (N,) integer.
    fine_tuning
        (C,) bool.
    """
    result = {}
    for own, other, members in (("absent", "fine_tuning", ~fine_tuning), ("fine_tuning", "absent", fine_tuning)):
        rows = np.flatnonzero(members[labels])
        z, y = logits[rows].astype(np.float64), labels[rows]
        true = z[np.arange(len(z)), y]
        z[np.arange(len(z)), y] = -np.inf
        result[f"{own}_true"] = _mean(true)
        result[f"{own}_largest_{own}"] = _mean(z[:, members].max(axis=1, initial=-np.inf))
        result[f"{own}_largest_{other}"] = _mean(z[:, ~members].max(axis=1, initial=-np.inf))
    return result


def observe_run(
    logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: npt.NDArray[np.bool_], head: npt.NDArray[Any]
) -> dict[str, float]:
    """Return one row of a fine-tuning's history: weight norms, anatomy, and the two accuracies over Y.

    Parameters
    ----------
    head
        (C, D) weights of the last layer.
    """
    norms = np.linalg.norm(head.astype(np.float64), axis=1)
    right, of_s = logits.argmax(axis=1) == labels, fine_tuning[labels]
    return {
        "weight_norm_fine_tuning": _mean(norms[fine_tuning]),
        "weight_norm_absent": _mean(norms[~fine_tuning]),
        **logit_anatomy(logits, labels, fine_tuning),
        "acc_s_y": _mean(right[of_s]),
        "acc_u_y": _mean(right[~of_s]),
    }


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if values.size and np.isfinite(values).all() else float("nan")
