"""PCV's γ, scaled by how much more the gap grew in the run than in its pseudo-splits."""

from __future__ import annotations

from finecal.calibration.contract import AddGamma, Data, Fitted
from finecal.calibrators._pseudo import balancing_gammas, scaled_gamma
from finecal.config import Model

READS = frozenset({"train_fine_tuning", "pretrained", "pseudo_splits"})


class Options(Model):
    """No options: the folds belong to the study's `pseudo_splits`."""


class Calibrator(AddGamma):
    """γ = growth · Σ_k γ′_k / Σ_k growth′_k over the pseudo-splits k.

    growth is the γ of `source_gap`, gap(z) − gap(z⁰) on the training samples of S; growth′_k is the same of a
    pseudo-split, on its validation samples of S′ and with the classes S′ and U′. γ′_k is PCV's. A pseudo-split is a
    smaller problem than the run, whose gap grows by another amount. What carries over is which part of the growth has
    to be undone. Sums are divided, so a fold in which little grew does not decide.

    Where nothing grew in the pseudo-splits, or less than a third of Σ γ′_k, there is no such part to be had: γ is then
    the mean of PCV's γ and growth, as in `midpoint`. New in this project.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {"gamma": scaled_gamma(data, balancing_gammas(data["pseudo_splits"]))}
