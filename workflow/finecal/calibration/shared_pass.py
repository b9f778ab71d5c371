"""One pass over the logits for all calibrators that only add numbers to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from finecal.calibration.added import Added
from finecal.calibration.contract import Floats, Mask
from finecal.metrics.scores import AnyGamma


def passes(
    added: Mapping[str, Added], logits: npt.NDArray[Any], labels: npt.NDArray[Any], fine_tuning: Mask
) -> dict[str, tuple[AnyGamma, float | Floats]]:
    """Return for each name what its shifted logits (N, C) are scored from, and the γ to score them at."""
    if not added:
        return {}
    shifts = {name: one.shift for name, one in added.items() if one.shift is not None}
    plain, *others = AnyGamma.of_shifts(logits, labels, fine_tuning, [*shifts.values()])
    shifted = dict(zip(shifts, others, strict=True))
    found: dict[str, tuple[AnyGamma, float | Floats]] = {}
    for name, one in added.items():
        passed = shifted.get(name, plain)
        if one.rows is not None:
            passed = passed.where(one.rows(plain), plain)
        if one.within_groups:
            passed = passed.within_groups()
        gamma = 0.0 if one.gamma is None else one.gamma(passed)
        found[name] = passed if one.to_s is None else passed.with_s_moved(one.to_s(passed)), gamma
    return found
