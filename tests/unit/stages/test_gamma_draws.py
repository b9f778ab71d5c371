"""γ from parts of the data: which samples are draw_samples, and γ that is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from result_tables import made_gamma_draws

from finecal import schemas
from finecal.calibration.contract import Labelled, PseudoFold
from finecal.metrics.classification import seen_unseen_curve
from finecal.stages.gamma_draws import draw_samples, fit_on_parts, plan_of_parts
from finecal.tables import gamma_data

MASK = np.array([True, True, False, False])
LABELS = np.array([0] * 5 + [1] * 3)
USES = {
    name: {"calibrator": name, "options": {}} for name in ("none", "alg", "pcv", "source_gap", "temperature", "oracle")
}


def gaps(values: Any) -> np.ndarray:
    """Logits of training samples whose gap between S and U is given, whatever the label."""
    return np.repeat(np.asarray(values, np.float64)[:, None], 4, axis=1) * MASK


def fitted(train: np.ndarray, pretrained: np.ndarray | None = None, **more: Any) -> list[dict[str, Any]]:
    known = {} if pretrained is None else {"pretrained": pretrained}
    data = {"train_fine_tuning": Labelled(train, LABELS, more=known), **more}
    test = np.array([[2.0, 0, 0, 0], [0, 2.0, 1.0, 0], [1.5, 0, 1.0, 0], [0, 3.0, 0, 1.0]])
    curve = seen_unseen_curve(test, np.array([0, 1, 2, 3]), MASK)
    uses = {name: use for name, use in USES.items() if name != "pcv" or "pseudo_splits" in data}
    if pretrained is None:
        uses.pop("source_gap")
    return fit_on_parts(uses, data, MASK, curve, ("digits", 0))


def test_gamma_is_known_where_all_samples_say_the_same() -> None:
    rows = fitted(gaps([0.75] * 8), pretrained=gaps([0.5] * 8))
    assert {row["calibrator"] for row in rows} == {"alg", "source_gap"}  # those that are a γ of samples
    assert {row["gamma"] for row in rows if row["calibrator"] == "alg"} == {0.75}
    assert {row["gamma"] for row in rows if row["calibrator"] == "source_gap"} == {0.25}
    # d = 2, 1, 0.5, 2: at 0.75 the samples 0, 1 of S are right and 2 of U.
    assert {row["acc_y_y"] for row in rows if row["calibrator"] == "alg"} == {0.75}
    assert all(set(row) == set(schemas.own_columns(schemas.GAMMA_DRAWS).names) for row in rows)


def test_a_gamma_from_features_is_left_out(tmp_path: Path) -> None:
    """Such a calibrator may be the user's own; parts of the samples are draw_samples from their logits alone."""
    for name, takes in (("plain", ""), ("of_features", 'TAKES = frozenset({"features"})')):
        (tmp_path / f"{name}.py").write_text(
            f"""
            from finecal.calibration import AddGamma
            from finecal.config import Model as Options
            READS = frozenset({{"train_fine_tuning"}})
            {takes}
            class Calibrator(AddGamma):
                def __init__(self, options): pass
                def fit(self, data): return {{"gamma": float(data["train_fine_tuning"].logits.max())}}
            """.replace("\n            ", "\n")
        )
    uses = {name: {"calibrator": str(tmp_path / f"{name}.py"), "options": {}} for name in ("plain", "of_features")}
    train = Labelled(gaps(np.arange(8.0)), LABELS)
    curve = seen_unseen_curve(train.logits, np.array([0, 1, 2, 3] * 2), MASK)
    rows = fit_on_parts(uses, {"train_fine_tuning": train}, MASK, curve, ("digits", 0))
    assert {row["calibrator"] for row in rows} == {"plain"}


def test_numbers_of_samples() -> None:
    rows = [row for row in fitted(gaps(np.arange(8.0))) if row["calibrator"] == "alg"]
    sizes = {row["n_per_class"]: row["n_samples"] for row in rows}
    assert sizes == {1: 2, 2: 4, 4: 7, 5: 8}  # the second class has three
    assert [row["n_per_class"] for row in rows if row["everything"]] == [5]
    assert rows[-1]["gamma"] == pytest.approx(3.5)  # all of them: the mean of 0 … 7
    ones = {row["gamma"] for row in rows if row["n_per_class"] == 1}
    assert ones <= {(a + b) / 2 for a in range(5) for b in (5, 6, 7)}
    assert len(ones) > 5
    assert rows == [row for row in fitted(gaps(np.arange(8.0))) if row["calibrator"] == "alg"]  # seeded


def test_the_same_samples_before_and_after_fine_tuning() -> None:
    """The gap grew by 2 in every sample: so does it in every part, if the samples are the same."""
    after = np.arange(8.0)
    rows = fitted(gaps(after), pretrained=gaps(after - 2))
    assert [row["gamma"] for row in rows if row["calibrator"] == "source_gap"] == pytest.approx([2.0] * 61)


def test_pseudo_splits_are_drawn_from_one_by_one() -> None:
    rng = np.random.default_rng(0)
    folds = [
        PseudoFold(rng.normal(size=(6, 2)), np.array([0, 0, 0, 1, 1, 1]), np.array([one, not one]))
        for one in (True, False)
    ]
    rows = [row for row in fitted(gaps([1.0] * 8), pseudo_splits=folds) if row["calibrator"] == "pcv"]
    assert {row["n_per_class"]: row["n_samples"] for row in rows} == {1: 4, 2: 8, 3: 12}
    part = draw_samples(folds, 1, ("x",))
    assert [list(fold.labels) for fold in part] == [[0, 1], [0, 1]]
    assert [list(fold.fine_tuning) for fold in part] == [[True, False], [False, True]]  # a mask of classes, no samples
    assert all(
        (fold.logits[:, None] == all_.logits).all(axis=2).any(axis=1).all()
        for fold, all_ in zip(part, folds, strict=True)
    )


def test_all_of_it_is_all_of_each_kind() -> None:
    """A class has more training samples than validation samples in a pseudo-split; the last row has them all.

    PCV's γ′ is 2, growth′ 3 − 1 = 2. The growth in the run is that of the mean over eight samples, 3.5.
    """
    fold = PseudoFold(np.array([[3.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), np.array([True, False]))  # d = 3, 1
    fold = replace(fold, more={"pretrained": np.array([[1.0, 0.0], [0.0, 0.0]])})
    data = {
        "train_fine_tuning": Labelled(gaps(np.arange(8.0)), LABELS, more={"pretrained": gaps(np.zeros(8))}),
        "pseudo_splits": [fold],
    }
    curve = seen_unseen_curve(np.array([[2.0, 0, 0, 0], [0, 0, 1.0, 0]]), np.array([0, 2]), MASK)
    uses = {"pcv_scaled": {"calibrator": "pcv_scaled", "options": {}}}
    rows = fit_on_parts(uses, data, MASK, curve, ("digits", 0))
    assert [(row["n_per_class"], row["everything"], row["n_samples"]) for row in rows] == [(1, True, 2)]
    assert rows[0]["gamma"] == pytest.approx(3.5 * 2 / 2)


@pytest.mark.parametrize(("largest", "expected"), [(1, [1]), (2, [1, 2]), (9, [1, 2, 4, 8, 9])])
def test_steps_of_the_number_of_samples(largest: int, expected: list[int]) -> None:
    parts = list(plan_of_parts(largest))
    assert list(dict.fromkeys(n for n, _, _ in parts)) == expected
    assert parts[-1] == (largest, True, 0)


def test_table_by_hand() -> None:
    tidy = gamma_data.build(made_gamma_draws())
    assert tidy["gamma"].to_list() == pytest.approx([1, 1, 1])
    assert tidy["gamma_low"].to_list() == pytest.approx([0, 0.5, 1])  # four runs of two draws each
    assert tidy["n_draws"].to_list() == [8, 8, 4]
    assert set(tidy["n_runs"]) == {4}
    shown = gamma_data.present(tidy)
    assert list(shown["samples per class"]) == ["1", "2", "all (3)"]
    assert list(shown["γ"]) == ["1.00 [0.00, 2.00]", "1.00 [0.50, 1.50]", "1.00 [1.00, 1.00]"]
    assert set(shown["all classes, γ*"]) == {"80.0"}
