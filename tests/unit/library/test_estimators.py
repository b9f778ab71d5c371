"""scikit-learn's own checks, a clone, cross-validation; and the same γ as the calibrator's."""

from __future__ import annotations

import numpy as np
import pytest
from logits_cases import S, arrays
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from finecal import LogitCalibrator, UserError, diagnose

A = arrays()
COLUMNS = "its X has another number of columns than y has classes; here a column is a class"
SCORES = "its X are points and no logits, from which a calibrator cannot learn to classify"
DO_NOT_APPLY = {
    "check_estimators_overwrite_params": COLUMNS,
    "check_estimators_fit_returns_self": COLUMNS,
    "check_readonly_memmap_input": COLUMNS,
    "check_classifiers_classes": COLUMNS,
    "check_classifiers_one_label": SCORES,
    "check_classifiers_train": SCORES,
}


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_as_far_as_they_apply() -> None:
    results = check_estimator(LogitCalibrator(), expected_failed_checks=DO_NOT_APPLY, on_skip=None)
    failed = {result["check_name"] for result in results if result["status"] == "xfail"}
    assert failed == set(DO_NOT_APPLY)  # one that passes would be no exception
    assert sum(result["status"] == "passed" for result in results) > 40


def test_it_finds_the_gamma_of_diagnose() -> None:
    train = A["subset"] == "train"
    fitted = LogitCalibrator("alg", fine_tuning=S).fit(A["logits"][train], A["label"][train])
    r = diagnose(A["logits"], A["label"], S, subset=A["subset"])
    assert fitted.state_["gamma"] == pytest.approx(r.gammas["alg"], rel=1e-6)
    shifted = A["logits"] + np.where(np.arange(6) < 3, 0, fitted.state_["gamma"])
    np.testing.assert_array_equal(fitted.predict(A["logits"]), shifted.argmax(1))
    np.testing.assert_allclose(fitted.predict_proba(A["logits"]).sum(axis=1), 1)


def test_names_parameters_clones_and_cross_validation() -> None:
    names = np.array(["ash", "birch", "cedar", "elm", "fir", "oak"])
    one = LogitCalibrator("alg", fine_tuning=["ash", "birch", "cedar"], options={"own_label": True})
    other = clone(one)
    assert other.get_params() == one.get_params()
    scores = cross_val_score(other, A["logits"], names[A["label"]], cv=3)
    plain = (A["logits"].argmax(1) == A["label"]).mean()
    assert scores.min() > plain + 0.2
    assert other.fit(A["logits"], names[A["label"]]).predict(A["logits"][:1]).dtype.kind == "U"


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(UserError, match="'pcv' reads pseudo_splits"):
        LogitCalibrator("pcv").fit(A["logits"], A["label"])
    with pytest.raises(UserError, match=r"X has 6 columns\. Each column of logits is a class"):
        LogitCalibrator().fit(A["logits"], A["label"] % 5 + 10)
    with pytest.raises(UserError, match="no row is of a class of S"):
        LogitCalibrator(fine_tuning=S).fit(A["logits"], A["label"] % 3 + 3)


def test_options_that_a_calibrator_does_not_have() -> None:
    with pytest.raises(UserError, match="options: unknown key 'x'"):
        LogitCalibrator("alg", fine_tuning=S, options={"x": 1}).fit(A["logits"], A["label"])
