"""Inputs that only some runs have."""

from __future__ import annotations

from pathlib import Path

import pytest
from digits_studies import RUN, write_study
from snakemake.iocontainers import Wildcards

from finecal import paths
from finecal.orchestration.inputs import Inputs
from finecal.plan.plan import Plan

PATTERNS = {"pretrained": paths.PRETRAINED_LOGITS, "pseudo_splits": paths.PSEUDO_LOGITS}


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """The inputs of two studies that share seed 1; one of them reads pretrained logits."""
    one = write_study(tmp_path, "one", seeds=[0, 1], calibrators=["none", "alg"])
    two = write_study(tmp_path, "two", seeds=[1, 2], calibrators=["source_gap"], oracle_fine_tuning=False)
    return Inputs(Plan([one, two]))


def of_seed(seed: int) -> Wildcards:
    names = {name: value for name, value in RUN.columns().items() if name != "task"}
    return Wildcards(fromdict={**names, "source": RUN.source, "target": RUN.target, "seed": str(seed)})


def test_what_some_runs_read_is_a_function(inputs: Inputs) -> None:
    files = inputs.of_calibration(**PATTERNS)
    assert files.keys() == {"pretrained"}
    pretrained = str(RUN.path(paths.PRETRAINED_LOGITS))
    assert [files["pretrained"](of_seed(seed)) for seed in (0, 1, 2)] == [[], [pretrained], [pretrained]]


def test_what_all_runs_read_is_a_pattern(tmp_path: Path) -> None:
    inputs = Inputs(Plan([write_study(tmp_path, "one", seeds=[0, 1], calibrators=["source_gap", "pcv"])]))
    assert inputs.of_calibration(**PATTERNS) == PATTERNS
    assert inputs.of_evaluation(oracle=paths.ORACLE_LOGITS, interpolated=paths.INTERPOLATED) == {
        "oracle": paths.ORACLE_LOGITS
    }


def test_the_upper_bound_of_some_runs(inputs: Inputs) -> None:
    oracle = inputs.of_evaluation(oracle=paths.ORACLE_LOGITS)["oracle"]
    files = [oracle(of_seed(seed)) for seed in (0, 1, 2)]
    assert [len(found) for found in files] == [1, 1, 0]
    assert files[1] == [str(RUN.oracle().path(paths.RUN).parent / "seed1" / paths.LOGITS)]
