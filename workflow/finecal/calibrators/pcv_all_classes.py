"""PCV in which the absent classes compete, too: as many as in the run itself."""

from __future__ import annotations

from finecal.calibration.contract import AddGamma, Data, Fitted
from finecal.calibrators._pseudo import all_classes_gamma
from finecal.config import Model

READS = frozenset({"train_fine_tuning", "pseudo_splits"})


class Options(Model):
    """No options: the folds belong to the study's `pseudo_splits`."""


class Calibrator(AddGamma):
    """γ = mean over K pseudo-splits of the γ′ that balance acc_{S′/Y} and acc_{U′/Y} on validation samples.

    PCV looks at the columns of S alone, where the few classes of U′ need a larger γ to win than all absent classes
    together. Here γ′ is added to every class outside S′, those of U among them, of which no samples are needed. And
    γ′ is an average over all γ, weighted by e to the minus points lost in (acc_{S′/Y} + acc_{U′/Y}) / 2, since on few
    samples the best one is chosen by chance. New in this project.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: Data) -> Fitted:
        return {"gamma": all_classes_gamma(data["pseudo_splits"], data.fine_tuning)}
