"""What scores are is recognised; each is brought back to logits, and said."""

from __future__ import annotations

import numpy as np
import pytest
from logits_cases import arrays, softmax

from finecal.errors import UserError
from finecal.logits.kinds import as_logits, converted

Z = arrays()["logits"].astype(np.float64)


def differences(logits: np.ndarray) -> np.ndarray:
    """What γ and arg-max see: logits less the first."""
    found: np.ndarray = logits - logits[:, :1]
    return found


def test_logits_stay_as_they_are() -> None:
    found = as_logits(Z)
    assert found.logits is Z
    assert (found.kind, found.notes, found.masked) == ("logits", (), ())


@pytest.mark.parametrize(("kind", "factor"), [("probabilities", 1), ("percentages", 100)])
def test_probabilities_become_their_logarithm(kind: str, factor: float) -> None:
    found = as_logits(factor * softmax(Z))
    assert found.kind == kind
    np.testing.assert_allclose(differences(found.logits), differences(Z), atol=1e-6)
    assert "logarithm" in found.notes[0]
    np.testing.assert_allclose(converted(factor * softmax(Z), kind), found.logits)


def test_half_precision_and_rounded_probabilities_are_recognised() -> None:
    assert as_logits(softmax(Z).astype(np.float16).astype(np.float32)).kind == "probabilities"
    rounded = as_logits(softmax(Z).round(4))
    assert rounded.kind == "probabilities"
    assert "are 0: their order is lost" in rounded.notes[0]
    assert np.isfinite(rounded.logits).all()


def test_a_few_rows_that_do_not_sum_to_1_are_counted() -> None:
    values = softmax(Z)
    values[0] = 0.5
    found = as_logits(values)
    assert found.kind == "probabilities"
    assert found.notes[-1] == "The sum of 1 row is not 1."


def test_log_probabilities_are_said_and_kept() -> None:
    logs = np.log(softmax(Z))
    found = as_logits(logs)
    assert found.kind == "log-probabilities"
    assert found.logits is logs
    with_zero = logs.copy()
    with_zero[3, Z[3].argmin()] = -np.inf
    found = as_logits(with_zero)
    assert np.isfinite(found.logits).all()
    assert found.logits[3].argmin() == Z[3].argmin()
    assert found.masked == ()


def test_sigmoids_become_their_logits() -> None:
    found = as_logits(1 / (1 + np.exp(-Z)))
    assert found.kind == "sigmoid"
    np.testing.assert_allclose(found.logits, Z, atol=1e-6)


def test_cosines_are_no_sigmoids() -> None:
    cosines = 0.2 + 0.01 * Z / np.abs(Z).max()
    found = as_logits(cosines)
    assert found.kind == "logits"
    assert "as cosines are" in found.notes[0]
    assert "cosines without their scale" in as_logits(cosines - 0.2).notes[0]


def test_the_switch_overrides_what_is_recognised() -> None:
    found = as_logits(softmax(Z), "logits")
    np.testing.assert_array_equal(found.logits, softmax(Z))
    assert found.notes == ("Scores are taken as logits, as asked.",)
    with pytest.raises(UserError, match="Allowed are auto, logits, probabilities"):
        as_logits(Z, "odds")


def test_decisions_are_refused() -> None:
    with pytest.raises(UserError, match="These are decisions"):
        as_logits(np.eye(6)[np.arange(12) % 6])


@pytest.mark.parametrize("mask", [-1e9, -1e4, -65504.0, -np.inf, 0.0, 7.5])
def test_masked_classes_are_found(mask: float) -> None:
    masked = Z.copy()
    masked[:, [4, 5]] = mask
    found = as_logits(masked)
    assert found.masked == (4, 5)
    assert np.isfinite(found.logits).all()
    assert "Classes 4, 5 have no scores" in found.notes[-1]


def test_probabilities_of_masked_classes_are_zeros() -> None:
    masked = Z.copy()
    masked[:, 5] = -1e9
    found = as_logits(softmax(masked))
    assert (found.kind, found.masked) == ("probabilities", (5,))


def test_a_class_masked_in_some_rows_is_masked() -> None:
    masked = Z.copy()
    masked[::3, 2] = -1e9
    assert as_logits(masked).masked == (2,)


def test_large_logits_are_no_masks() -> None:
    assert as_logits(Z * 1e4).masked == ()
    assert as_logits(Z - 2e4).masked == ()


def test_a_row_without_scores_and_rows_with_holes_are_told() -> None:
    """As of logits of which only the largest were kept."""
    largest = np.where(np.sort(Z, axis=1)[:, [-3]] <= Z, Z, -np.inf)
    found = as_logits(largest)
    assert found.holes == len(Z)
    assert found.notes[-1].startswith(f"{len(Z):,} rows of {len(Z):,} lack the score of a class")
    assert any("only the largest were kept" in note for note in as_logits(np.where(largest > 0, Z, 0)).notes)
    gone = Z.copy()
    gone[3] = -1e9
    with pytest.raises(UserError, match="row 3 has no score"):
        as_logits(gone)


@pytest.mark.parametrize(("given", "said"), [
    (np.argsort(Z, axis=1), "every row has the numbers 0 to 5 in some order"), (Z * 1e30, "Scores up to 1e"),
])  # fmt: skip
def test_what_is_no_score_is_refused(given: np.ndarray, said: str) -> None:
    with pytest.raises(UserError, match=said):
        as_logits(given.astype(np.float64))


def test_nothing_is_not_called_decisions_or_probabilities() -> None:
    assert as_logits(np.full((5, 3), np.nan)).kind == "logits"
    assert as_logits(np.zeros((5, 3))).kind == "logits"
