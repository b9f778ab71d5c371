"""The lines of Python that the answer prints do what the calibrator does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logits_cases import S, arrays

import finecal
from finecal.calibration.parameters import calibrator
from finecal.calibration.python_lines import python_lines
from finecal.library.applying import call, with_code
from finecal.library.diagnosis import diagnose

A = arrays()
BEFORE = A["logits"] - np.where(np.arange(6) < 3, 4, 0).astype(np.float32)


@pytest.fixture(scope="module")
def r(tmp_path_factory: pytest.TempPathFactory) -> finecal.Diagnosis:
    return diagnose(A["logits"], A["label"], S, pretrained=BEFORE, subset=A["subset"])


def run(lines: str, **given: Any) -> np.ndarray:
    """What the lines make of logits."""
    names = {"logits": A["logits"].astype(np.float64), **given}
    exec(lines, names)
    found: np.ndarray = names["logits"]
    return found


@pytest.mark.parametrize("name", ["logit_adjustment", "standardised", "prior_shift_em", "alg"])
def test_three_lines_scale_and_shift(name: str, r: finecal.Diagnosis) -> None:
    method, _, takes = calibrator(r.measured.uses[name])
    state = r.measured.states.get(name, {})
    lines = python_lines(method, takes, state, r.fine_tuning)
    advised = replace(r, answer=replace(r.answer, advice=replace(r.answer.advice, calibrator=name)))
    if takes:
        assert lines == ""
        return
    assert len(lines.splitlines()) == 3
    np.testing.assert_allclose(run(lines), advised.apply(A["logits"]), atol=1e-4)


def test_a_method_that_is_more_is_applied_by_finecal(tmp_path: Path, r: finecal.Diagnosis) -> None:
    np.savez(tmp_path / "tuned.npz", **A)
    np.savez(tmp_path / "before.npz", logits=BEFORE)
    made = call({"logits": str(tmp_path / "tuned.npz"), "pretrained": str(tmp_path / "before.npz")}, S)
    other = replace(r.answer, advice=replace(r.answer.advice, calibrator="gla", code=""))
    found = with_code(other, r.measured, r.fine_tuning, made).advice.code
    assert len(found.splitlines()) == 3
    assert "pretrained=pretrained" in found
    again = finecal.diagnose(tmp_path / "tuned.npz", None, S, pretrained=tmp_path / "before.npz")
    np.testing.assert_allclose(run(found, pretrained=BEFORE), again.apply(A["logits"], pretrained=BEFORE))


def test_a_gamma_has_lines_of_its_own(r: finecal.Diagnosis) -> None:
    found = run(r.told.code, fine_tuning_classes={*S})
    np.testing.assert_allclose(found, r.apply(A["logits"]), atol=1e-4)
