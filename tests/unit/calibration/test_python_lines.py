"""The lines of Python that the answer prints do what the calibrator does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibrator_cases import MASK, everything, random_logits, samples
from logits_cases import S, arrays

import finecal
from finecal import paths, registry, schemas
from finecal.calibration.contract import Unlabelled, restrict
from finecal.calibration.parameters import calibrator, read_states
from finecal.calibration.python_lines import loading_lines, python_lines
from finecal.errors import UserError
from finecal.io.declared import from_rows
from finecal.io.parquet import read_table, with_columns, write_table
from finecal.library.applying import call, with_code
from finecal.library.diagnosis import diagnose
from finecal.library.fitted import load_calibrator
from finecal.paths import RunKey
from finecal.stages.calibrate import fit_all

LOGITS = random_logits(5.0)
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


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as a study writes it, with every calibrator fitted."""
    run = RunKey("d", "a-b", "m", "full", "first", 0)
    root = tmp_path_factory.mktemp("study")
    uses = {name: {"calibrator": name, "options": {}} for name in registry.built_in_names("calibrator")}
    rows = fit_all(uses, everything(LOGITS, MASK), MASK)
    table = with_columns(from_rows(rows, schemas.own_columns(schemas.CALIBRATION)), run.columns())
    write_table(root / run.folder / paths.CALIBRATION, table, schemas.CALIBRATION, provenance={"options": uses})
    head = samples(LOGITS)["weights"]
    weights = [{"class": k, "weight": head.weight[k], "bias": head.bias[k]} for k in range(5)]
    classes = [{"class": k, "name": f"c{k}", "group": "fine_tuning" if MASK[k] else "absent"} for k in range(5)]
    for file, schema, made in (
        (run.folder / paths.HEAD, schemas.HEAD, weights), (run.path(paths.SPLIT), schemas.SPLIT, classes),
    ):  # fmt: skip
        own = schemas.own_columns(schema)
        full = [{name: one.get(name) for name in own.names} for one in made]
        missing = {name: value for name, value in (*run.columns().items(), ("domain", "b")) if name in schema.names}
        write_table(root / file, with_columns(from_rows(full, own), missing), provenance={})
    return root / run.folder


@pytest.mark.parametrize("name", registry.built_in_names("calibrator"))
def test_every_calibrator_that_a_study_has_fitted_is_applied_by_three_lines(name: str, run_folder: Path) -> None:
    """The lines are the page's: those of NumPy where they suffice, else those that load it."""
    whole = samples(LOGITS)
    method, _, takes = calibrator({"calibrator": name, "options": {}})
    state = read_states(read_table(run_folder / paths.CALIBRATION)).get(name, {})
    wanted = method.apply(restrict(Unlabelled(LOGITS, more=whole.more), takes), state, MASK)
    given = {what: whole.more[what] for what in takes - {"weights"}}
    loaded = loading_lines(str(run_folder), name, takes)
    assert len(loaded.splitlines()) == 3
    np.testing.assert_allclose(run(loaded, logits=LOGITS, **given), wanted, rtol=1e-4)  # the head is float32
    short = python_lines(method, takes, state, MASK, whole["weights"])
    if short:
        np.testing.assert_allclose(run(short, logits=LOGITS), wanted, atol=1e-5)


def test_what_cannot_be_applied_is_said(run_folder: Path) -> None:
    with pytest.raises(UserError, match="unknown calibrator 'algg'"):
        load_calibrator(run_folder, "algg")
    with pytest.raises(UserError, match="is not the folder of a run"):
        load_calibrator(run_folder.parent, "alg")
    ncm = load_calibrator(run_folder, "ncm")
    with pytest.raises(UserError, match="takes features"):
        ncm.apply(LOGITS)
    for name in ("ncm", "cosine"):
        with pytest.raises(UserError, match=r"the features (have 7 dimensions|are 7 wide)"):
            load_calibrator(run_folder, name).apply(LOGITS, features=np.zeros((20, 7)))
    with pytest.raises(UserError, match=r"features has shape \(3, 3\)"):
        ncm.apply(LOGITS, features=np.zeros((3, 3)))
    with pytest.raises(UserError, match=r"logits has shape \(5, 20\)"):
        ncm.apply(LOGITS.T)
    with pytest.raises(UserError, match="row 1 has a logit that is NaN"):
        ncm.apply([[0.0] * 5, [float("nan")] * 5], features=np.zeros((2, 3)))
    between = samples(LOGITS)["interpolated"][0.5]
    np.testing.assert_array_equal(load_calibrator(run_folder, "wise_ft").apply(LOGITS, interpolated=between), between)
