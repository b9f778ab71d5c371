"""Score the pretrained, the fine-tuned and each calibrated classifier of a run: metrics, curves, single samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from finecal import paths, schemas
from finecal.calibration.added import added_by
from finecal.calibration.contract import Labelled, State, Unlabelled, restrict
from finecal.calibration.in_parts import apply_in_parts
from finecal.calibration.inputs import Predictions, read_predictions
from finecal.calibration.parameters import calibrator, read_states
from finecal.calibration.shared_pass import passes
from finecal.io.declared import from_rows
from finecal.io.large import take
from finecal.io.parquet import read_table, with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics import per_class
from finecal.metrics.class_distance import class_distance_normalised_variance
from finecal.metrics.classification import group_maxima
from finecal.metrics.classifiers import FINE_TUNED, ORACLE, PRETRAINED
from finecal.metrics.per_class import PerClassCurve
from finecal.metrics.scores import Measured, rows, score, score_ncm, score_parts
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.stages._expected import check_expected
from finecal.stages._inputs import read_run_inputs


def evaluate(plan: Plan, run: RunKey) -> None:
    """Write metrics.parquet, curve.parquet and samples.parquet of a run."""
    calibration = run.folder / paths.CALIBRATION
    given = read_run_inputs(run, {"pretrained", *plan.takes(run)}, features=True, pretrained_features=True)
    fine_tuning, tuned, before = given.fine_tuning, given.seen.tuned, given.seen.pretrained
    assert before is not None
    inputs = [*given.files, calibration]
    found, curves = score_classifiers({PRETRAINED: before, FINE_TUNED: tuned}, fine_tuning)
    states = read_states(read_table(calibration, schemas.own_columns(schemas.CALIBRATION)))
    found += score_calibrated(plan.calibrators(run), states, given.seen.select(tuned.test), fine_tuning)
    if plan.has_oracle(run):
        inputs.append(run.oracle().folder / paths.LOGITS)
        test = _test_of(read_predictions(inputs[-1], num_classes=len(fine_tuning)))
        found += rows(ORACLE, "none", "", score(test.logits, test.labels, fine_tuning)[0])
    if expected := plan.options_of("expect"):
        check_expected(run, found, expected)
    record = provenance(Identities(plan).of_run("evaluate", run).record(), inputs=inputs)
    metrics = from_rows(found, schemas.own_columns(schemas.METRICS))
    write_table(run.folder / paths.CURVE, with_columns(curves, run.columns()), schemas.CURVE, provenance=record)
    write_table(run.folder / paths.METRICS, with_columns(metrics, run.columns()), schemas.METRICS, provenance=record)
    samples = sample_table(tuned, before, fine_tuning)
    write_table(run.folder / paths.SAMPLES, with_columns(samples, run.columns()), schemas.SAMPLES, provenance=record)


def score_classifiers(
    classifiers: Mapping[str, Predictions], fine_tuning: np.ndarray
) -> tuple[list[dict[str, Any]], pa.Table]:
    """Score classifiers without calibration: metric rows, curves; NCM where there are features and training samples."""
    found: list[dict[str, Any]] = []
    curves = []
    for classifier, predictions in classifiers.items():
        test = _test_of(predictions)
        values, curve = score(test.logits, test.labels, fine_tuning)
        found += rows(classifier, "none", "", values)
        if predictions.features is not None:
            features = take(predictions.features, predictions.test)
            apart = class_distance_normalised_variance(features, test.labels, fine_tuning)
            values = {name: Measured(*pair) for name, pair in apart.items()}
            found += rows(classifier, "none", "", values)
        if predictions.features is not None and predictions.train.any():
            found += rows(classifier, "none", "", _ncm(predictions, fine_tuning))
        maxima = group_maxima(test.logits, fine_tuning)
        curves.append(curve_table(classifier, per_class.curve_of(maxima, test.labels, curve=curve)))
    return found, pa.concat_tables(curves)


def score_calibrated(
    uses: dict[str, Any],
    states: Mapping[str, State],
    test: Labelled,
    fine_tuning: np.ndarray,
    largest: int | None = None,
) -> list[dict[str, Any]]:
    """Score every calibrator but `none`: metric rows; each gets the test samples without their labels.

    Those that only add numbers share one pass over the logits; `largest` is that of `apply_in_parts`.
    """
    found: list[dict[str, Any]] = []
    methods = {name: calibrator(use) for name, use in uses.items() if name != "none"}  # it is scored already
    what = {name: added_by(method, states.get(name, {}), fine_tuning) for name, (method, *_) in methods.items()}
    shared = passes({k: one for k, one in what.items() if one}, test.logits, test.labels, fine_tuning)
    for name, (method, reads, takes) in methods.items():
        if name in shared:
            passed, gamma = shared[name]
            values = passed.score(gamma)
        else:
            inputs = restrict(Unlabelled(test.logits, more=test.more), takes)
            parts = apply_in_parts(method, inputs, states.get(name, {}), fine_tuning, largest)
            values = score_parts(parts, test.labels, fine_tuning)
        found += rows(FINE_TUNED, name, ", ".join(sorted(reads)), values)
    return found


def curve_table(classifier: str, macro: PerClassCurve) -> pa.Table:
    """Make the columns of curve.parquet; accuracies of U and of all classes are NaN without a sample of U."""
    curve, names = macro.curve, ("acc_s_y", "acc_u_y", "acc_y_y")
    columns = {"gamma": pa.array(curve.gamma)}
    for prefix, one in (("", curve), (per_class.MACRO, macro)):
        columns |= {prefix + name: pa.array(getattr(one, name)) for name in names}
        if not curve.n_u:
            columns[f"{prefix}acc_y_y"] = columns[f"{prefix}acc_u_y"]
    return pa.table({"classifier": pa.repeat(pa.scalar(classifier, pa.string()), len(curve.gamma)), **columns})


def sample_table(tuned: Predictions, before: Predictions | None, fine_tuning: np.ndarray) -> pa.Table:
    """Say what any γ predicts for each test sample: sample, label, before, best_s, best_u, margin.

    `before` is the pretrained model's class, null without such a model. The fine-tuned model says `best_s` while
    γ ≤ `margin`, the largest logit of S minus the largest of U, and `best_u` for any larger γ.
    """
    test = tuned.test
    maxima = group_maxima(take(tuned.logits, test), fine_tuning)
    earlier = pa.nulls(int(test.sum()), pa.int32())
    if before is not None:
        earlier = pa.array(take(before.logits, test).argmax(axis=1).astype(np.int32))
    return pa.table(
        {
            "sample": pa.array(tuned.samples[test]),
            "label": pa.array(tuned.labels[test]),
            "before": earlier,
            "best_s": pa.array(maxima.class_s.astype(np.int32)),
            "best_u": pa.array(maxima.class_u.astype(np.int32)),
            "margin": pa.array(maxima.difference),
        }
    )


def _ncm(predictions: Predictions, fine_tuning: np.ndarray) -> dict[str, Measured]:
    assert predictions.features is not None
    train, test = predictions.train, predictions.test
    return score_ncm(
        (take(predictions.features, train), predictions.labels[train]),
        (take(predictions.features, test), predictions.labels[test]),
        fine_tuning,
    )


def _test_of(predictions: Predictions) -> Labelled:
    return predictions.select(predictions.test)
