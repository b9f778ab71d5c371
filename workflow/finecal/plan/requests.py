"""What studies ask for beside the training of a run: its calibrators, and the files that these need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from finecal import registry
from finecal.plan.options import Options


@dataclass(frozen=True)
class RunRequest:
    """What some studies ask for, taken together, of the runs that all of them contain.

    Attributes
    ----------
    calibrators
        Name → {calibrator, options}, in the order of the studies.
    oracle
        Whether one wants the upper bound, fine-tuning on all classes, beside the run.
    """

    calibrators: Options
    oracle: bool

    @cached_property
    def reads(self) -> frozenset[str]:
        """The data that the calibrators read."""
        return frozenset(data for use in self._uses for data in registry.calibrator_record(use["calibrator"]).reads)

    @cached_property
    def takes(self) -> frozenset[str]:
        """What the calibrators take of each sample besides its logits."""
        return frozenset(name for use in self._uses for name in registry.calibrator_record(use["calibrator"]).takes)

    @cached_property
    def alphas(self) -> list[float]:
        """The weights α of the models between θ⁰ and θ that the calibrators ask for, ascending."""
        interpolated = [
            use for use in self._uses if "interpolated" in registry.calibrator_record(use["calibrator"]).takes
        ]
        return sorted({use["options"]["alpha"] for use in interpolated})

    @property
    def for_scores(self) -> frozenset[str]:
        """What a run is scored with beside what all have."""
        return self.takes | {"oracle"} if self.oracle else self.takes

    @property
    def _uses(self) -> Iterable[Mapping[str, Any]]:
        return self.calibrators.values()
