"""PCV combined, then two temperatures: of samples that it puts into S, and of those that it puts into U."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from finecal.calibration.contract import REFUSED, Data, Fitted, Floats, Mask, PseudoFold, State, Unlabelled
from finecal.calibrators._pseudo import averaged_gamma, balancing_gammas, combined_gamma, over_all_classes
from finecal.calibrators._temperature import best_temperature
from finecal.config import Model, Positive
from finecal.metrics.classification import seen_unseen_curve

PAPER = "In the spirit of Wang et al. 2024, Open-vocabulary calibration for fine-tuned CLIP (arXiv 2402.04655)"
READS = frozenset({"train_fine_tuning", "pretrained", "pseudo_splits"})


class Options(Model):
    """The range of the temperatures."""

    smallest: Positive = Field(0.01, description="Smallest temperature.", json_schema_extra={"neutral": 0.01})
    largest: Positive = Field(100.0, description="Largest temperature.", json_schema_extra={"neutral": 100.0})

    @model_validator(mode="after")
    def _ordered(self) -> Options:
        if self.smallest >= self.largest:
            raise ValueError("`smallest` must be below `largest`")
        return self


class Calibrator:
    """(z + γ on U) / T, with T = T_S where S then has the largest logit and T = T_U where U has.

    γ is that of `pcv_combined`. A temperature belongs to a sample, so the arg-max is that of `pcv_combined` and only
    the probabilities change. (A temperature for each group's columns would move the arg-max, by an amount that depends
    on where the zero of the logits lies, to which softmax is blind.) In the paper, too, the predicted class decides, by
    its distance from the classes of fine-tuning; here its group does.

    The samples that the model was fine-tuned on cannot show how sure it may be, and of U there are none. So both
    temperatures come from the pseudo-splits, among all classes: the validation samples are of S′ and of U′, none was
    trained on, and each fold's own γ′ of `pcv_all_classes` is added to all classes outside S′. T_S minimises the
    negative log-likelihood of all samples that are then put into S′, T_U of those put outside. A group with no sample,
    or none that is wrong, so that the smallest T is the best, has the temperature of all samples together.

    A best temperature at an end of the range is no optimum: it is refused, `refused` says what it was, and T is 1.
    """

    by_row = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        folds: list[PseudoFold] = data["pseudo_splits"]
        parts = [_balanced(fold, data.fine_tuning) for fold in folds]
        z, labels, in_s = (np.concatenate(part) for part in zip(*parts, strict=True))
        right = z.argmax(axis=1) == labels
        found: Fitted = {"gamma": combined_gamma(data, balancing_gammas(folds))}
        for name, group in (("temperature_s", in_s), ("temperature_u", ~in_s)):
            rows = np.ones_like(group) if right[group].all() else group
            temperature, inside = self._temperature(z[rows], labels[rows])
            found[name] = temperature if inside else 1.0
            if not inside:
                found[REFUSED] = temperature
        return found

    def _temperature(self, z: Floats, labels: np.ndarray) -> tuple[float, bool]:
        """Return the temperature of smallest negative log-likelihood, and whether it lies inside the range."""
        best, end = best_temperature(z, labels, self.options.smallest, self.options.largest)
        return float(np.exp(best if end is None else end)), end is None

    def apply(self, inputs: Unlabelled, state: State, fine_tuning: Mask) -> Floats:
        z = _moved(inputs.logits, state["gamma"], fine_tuning)
        temperatures = np.where(_s_wins(z, fine_tuning), state["temperature_s"], state["temperature_u"])
        scaled: Floats = z / temperatures[:, None]
        return scaled

    def deployed(self, state: State) -> dict[str, Any]:
        """See `finecal.export.standalone`."""
        names = ("gamma", "temperature_s", "temperature_u")
        return {"kind": "group_temperatures", **{name: state[name] for name in names}}


def _balanced(fold: PseudoFold, fine_tuning: Mask) -> tuple[Floats, np.ndarray, Mask]:
    """Return logits (N, C) with γ′, labels (N,), and which samples are then put into S′ (N,)."""
    z, labels, s_prime = over_all_classes(fold, fine_tuning)
    moved = _moved(z, averaged_gamma(seen_unseen_curve(z, labels, s_prime)), s_prime)
    return moved, labels, _s_wins(moved, s_prime)


def _moved(logits: Floats, gamma: float | Floats, fine_tuning: Mask) -> Floats:
    return logits + np.where(fine_tuning, 0.0, gamma)


def _s_wins(logits: Floats, fine_tuning: Mask) -> Mask:
    """Return (N,) bool: the largest logit is one of S; a tie goes to S."""
    wins: Mask = logits[:, fine_tuning].max(axis=1) >= logits[:, ~fine_tuning].max(axis=1)
    return wins
