"""The advice leaves out methods whose number was set by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from result_tables import made_metrics

from finecal.analysis.advice import advise
from finecal.analysis.statistics import summarise

NO_PARAMETERS = pd.DataFrame({"calibrator": [], "parameter": [], "value": []})


@pytest.mark.parametrize(("reads", "advised"), [("pretrained", "mine"), ("pretrained, set_by_hand", "pcv")])
def test_a_number_set_by_hand_is_not_advised(reads: str, advised: str) -> None:
    """`mine` is the best by far, whatever the study calls it."""
    metrics = made_metrics()
    mine = metrics[metrics["calibrator"] == "pcv"].assign(calibrator="mine", reads=reads)
    mine["value"] += 0.05
    both = pd.concat([metrics, mine], ignore_index=True)
    found = advise(summarise(both), NO_PARAMETERS, both)
    assert found.calibrator == advised
