"""The metrics against published numbers, an independent brute force and hand calculation."""

from __future__ import annotations

import doctest
import json
import math
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from finecal.errors import UserError
from finecal.metrics import best_of_groups, classification, curve, order
from finecal.metrics.classification import (
    accuracies,
    accuracy,
    class_means,
    expected_calibration_error,
    group_maxima,
    harmonic_mean,
    ncm_scores,
    negative_log_likelihood,
    seen_unseen_curve,
    softmax,
)

GOLDEN = Path(__file__).parents[3] / ".." / "shared" / "golden"
INF = math.inf
NO_DEADLINE = settings(deadline=None)  # a busy machine is not a wrong result

# ------------------------------------------------------------------ the published code's own numbers

NAMES = {
    "acc_y_y": "All/All Accuracy",
    "acc_s_y": "Visible/All Accuracy",
    "acc_u_y": "Invisible/All Accuracy",
    "acc_s_s": "Visible/Visible Accuracy",
    "acc_u_u": "Invisible/Invisible Accuracy",
}


@pytest.fixture(params=["imagenet_r_like", "office_home_like", "small_ties"])
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    if not GOLDEN.is_dir():
        pytest.skip(f"the published numbers are not beside this checkout: {GOLDEN} is absent")
    table = pq.read_table(GOLDEN / f"{request.param}.parquet")
    arrays = {name: np.stack(table[name].to_numpy()) for name in ("label", "logits", "features")}
    return arrays | json.loads((GOLDEN / f"{request.param}.json").read_text())


def assert_percent(ours: dict[str, classification.Score], published: dict[str, float]) -> None:
    percent = {NAMES[name]: 100 * score.value for name, score in ours.items()}
    assert percent == pytest.approx(published, abs=1e-4)


def test_golden_accuracies(golden: dict[str, Any]) -> None:
    assert_percent(accuracies(golden["logits"], golden["label"], golden["fine_tuning_classes"]), golden["accuracy"])


def test_golden_ncm(golden: dict[str, Any]) -> None:
    half = len(golden["label"]) // 2
    means = class_means(golden["features"][:half], golden["label"][:half], golden["num_classes"])
    scores = ncm_scores(golden["features"][half:], means)
    assert_percent(
        accuracies(scores, golden["label"][half:], golden["fine_tuning_classes"]),
        golden["ncm_second_half_with_means_of_first_half"],
    )


def test_golden_curve(golden: dict[str, Any]) -> None:
    curve = seen_unseen_curve(golden["logits"], golden["label"], golden["fine_tuning_classes"])
    # The published area leaves out the vertex at γ = 0, so it is close, not equal.
    assert curve.ausuc == pytest.approx(golden["ausuc"], abs=2e-3)
    published = golden["best_overall_on_curve"]
    # Its grid visits every threshold, so its optimum is the exact one ...
    assert curve.acc_y_y[curve.best()] == pytest.approx(published["overall"] / 100, abs=1e-9)
    # ... and at its γ our curve has the same three accuracies.
    point = curve.at(published["gamma"])
    assert 100 * point.acc_y_y == pytest.approx(published["overall"], abs=1e-9)
    assert 100 * point.acc_s_y == pytest.approx(published["seen"], abs=1e-9)
    assert 100 * point.acc_u_y == pytest.approx(published["unseen"], abs=1e-9)


def test_golden_set_has_ties_between_the_groups(golden: dict[str, Any]) -> None:
    """In `accuracies` γ = 0 is the plain arg-max; on the curve a tie goes to S. Both are intended."""
    z, y, s = golden["logits"], golden["label"], golden["fine_tuning_classes"]
    plain, curve = accuracies(z, y, s), seen_unseen_curve(z, y, s).at(0)
    tied = bool((group_maxima(z, s).difference == 0).any())
    assert tied == (golden["num_classes"] == 10)
    assert (plain["acc_u_y"].value > curve.acc_u_y) == tied
    assert accuracies(z, y, s, gamma=-1e-12)["acc_u_y"].value == curve.acc_u_y


# ------------------------------------------------------------------ the curve against brute force

QUARTERS = st.integers(-6, 6).map(lambda n: n / 4)  # sums and midpoints of these are exact: many ties
WITH_INF = st.one_of(QUARTERS, st.sampled_from([-INF, INF]))


@st.composite
def problems(
    draw: st.DrawFn, elements: Callable[[int], st.SearchStrategy[float]], min_samples: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels and a mask of S; one class in S or in U and a group without samples included."""
    num_classes, n = draw(st.integers(2, 5)), draw(st.integers(min_samples, 12))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    z = draw(hnp.arrays(dtype, (n, num_classes), elements=elements(np.finfo(dtype).bits)))
    mask = np.zeros(num_classes, bool)
    mask[draw(st.permutations(range(num_classes)))[: draw(st.integers(1, num_classes - 1))]] = True
    allowed = draw(st.sampled_from([range(num_classes), np.flatnonzero(mask), np.flatnonzero(~mask)]))
    y = draw(st.lists(st.sampled_from([int(c) for c in allowed]), min_size=n, max_size=n))
    return z, np.array(y, dtype=draw(st.sampled_from([np.int32, np.int64, np.uint8]))), mask


def first_best(row: np.ndarray, classes: list[int]) -> int:
    best = classes[0]
    for c in classes:
        if row[c] > row[best]:
            best = c
    return best


def brute_force(
    z: np.ndarray, y: np.ndarray, mask: np.ndarray, gamma: float, stays: Callable[[float, float, float], bool]
) -> tuple[float, float, float]:
    """(acc_s_y, acc_u_y, acc_y_y) at one γ, sample by sample; `stays(a, b, γ)` says whether S wins."""
    in_s = [c for c in range(len(mask)) if mask[c]]
    in_u = [c for c in range(len(mask)) if not mask[c]]
    right: dict[bool, list[bool]] = {True: [], False: []}
    for row, label in zip(z, y, strict=True):
        s, u = first_best(row, in_s), first_best(row, in_u)
        if math.isinf(gamma):
            predicted = s if gamma < 0 else u
        else:
            predicted = s if stays(float(row[s]), float(row[u]), gamma) else u
        right[bool(mask[label])].append(predicted == label)

    def mean(hits: list[bool]) -> float:
        return sum(hits) / len(hits) if hits else math.nan

    return mean(right[True]), mean(right[False]), mean(right[True] + right[False])


def adds_gamma(a: float, b: float, gamma: float) -> bool:
    """What γ means: it is added to the absent logit; S keeps a tie. Exact on quarters."""
    return gamma <= 0 if a == b and math.isinf(a) else a >= b + gamma


def compares_difference(a: float, b: float, gamma: float) -> bool:
    """The same for any finite floats: γ against a − b, rounded once to float64."""
    return gamma <= float(Fraction(a) - Fraction(b))


def assert_curve_is(
    curve: classification.SeenUnseenCurve, z: np.ndarray, y: np.ndarray, mask: np.ndarray, stays: Any
) -> None:
    for k, gamma in enumerate(curve.gamma):
        expected = brute_force(z, y, mask, float(gamma), stays)
        vertex = (curve.acc_s_y[k], curve.acc_u_y[k], curve.acc_y_y[k])
        np.testing.assert_array_equal(vertex, expected, err_msg=f"vertex {k}, γ = {gamma}")
        np.testing.assert_array_equal(curve.at(float(gamma))[1:], expected)


@NO_DEADLINE
@given(problems(lambda bits: WITH_INF), st.lists(QUARTERS.map(lambda q: q / 2), max_size=5))
def test_curve_equals_brute_force_with_ties_and_infinities(problem: Any, gammas: list[float]) -> None:
    z, y, mask = problem
    curve = seen_unseen_curve(z, y, mask)
    assert_curve_is(curve, z, y, mask, adds_gamma)
    for gamma in [*gammas, *curve.threshold]:
        expected = brute_force(z, y, mask, float(gamma), adds_gamma)
        np.testing.assert_array_equal(curve.at(float(gamma))[1:], expected, err_msg=f"γ = {gamma}")
        if gamma != 0:  # at 0 the plain arg-max gives ties to the first class
            ours = accuracies(z, y, mask, float(gamma))
            values = [ours[name].value for name in ("acc_s_y", "acc_u_y", "acc_y_y")]
            np.testing.assert_array_equal(values, expected)


def any_float(bits: int) -> st.SearchStrategy[float]:
    largest = float(np.float32(3e38)) if bits == 32 else 1e307
    return st.floats(-largest, largest, width=bits)


@NO_DEADLINE
@given(problems(any_float))
def test_curve_equals_brute_force_on_any_floats(problem: Any) -> None:
    z, y, mask = problem
    curve = seen_unseen_curve(z, y, mask)
    assert_curve_is(curve, z, y, mask, compares_difference)
    for threshold in curve.threshold:
        for gamma in (threshold, np.nextafter(threshold, INF), np.nextafter(threshold, -INF)):
            expected = brute_force(z, y, mask, float(gamma), compares_difference)
            np.testing.assert_array_equal(curve.at(gamma)[1:], expected)


@NO_DEADLINE
@given(problems(lambda bits: WITH_INF))
def test_curve_has_one_vertex_for_each_different_d(problem: Any) -> None:
    z, y, mask = problem
    curve = seen_unseen_curve(z, y, mask)
    different = {0.0 if a == b else a - b for a, b in zip(z[:, mask].max(1), z[:, ~mask].max(1), strict=True)}
    assert curve.threshold.tolist() == sorted(different)
    assert len(curve.gamma) == len(curve.acc_s_y) == len(curve.acc_u_y) == len(curve.acc_y_y)
    assert len(curve.gamma) == len(different) + 1
    assert curve.gamma[0] == -INF
    assert (np.diff(curve.gamma) > 0).all()
    assert (curve.n_s, curve.n_u) == (mask[y].sum(), (~mask[y]).sum())
    if curve.n_s and curve.n_u:
        assert curve.acc_u_y[0] == 0
        assert curve.acc_s_y[-1] == 0
        area = -np.trapezoid(curve.acc_u_y, curve.acc_s_y)
        assert curve.ausuc == pytest.approx(area, abs=1e-12)
        assert 0 <= curve.ausuc <= 1
    else:
        assert math.isnan(curve.ausuc)


@NO_DEADLINE
@given(problems(lambda bits: WITH_INF, min_samples=1))
def test_plain_accuracies_are_numpys_arg_max(problem: Any) -> None:
    z, y, mask = problem
    of_s = mask[y]
    own = np.where(of_s[:, None] == mask, z, np.nan)  # the other group's logits removed
    alone = [next(c for c in range(len(mask)) if row[c] == np.nanmax(row)) for row in own]
    right, right_alone = z.argmax(1) == y, alone == y
    expected = {
        "acc_y_y": right,
        "acc_s_y": right[of_s],
        "acc_u_y": right[~of_s],
        "acc_s_s": right_alone[of_s],
        "acc_u_u": right_alone[~of_s],
    }
    ours = accuracies(z, y, mask)
    assert list(ours) == list(expected)
    for name, part in expected.items():
        assert ours[name].n == len(part)
        np.testing.assert_equal(ours[name].value, float(part.mean()) if len(part) else math.nan)


@NO_DEADLINE
@given(problems(lambda bits: QUARTERS, min_samples=1), st.integers(-8, 8), st.randoms(use_true_random=False))
def test_ausuc_does_not_see_a_constant_nor_the_order_of_samples(problem: Any, shift: int, random: Any) -> None:
    z, y, mask = problem
    curve = seen_unseen_curve(z, y, mask)
    order = list(range(len(z)))
    random.shuffle(order)
    other = seen_unseen_curve(z[order] + np.where(mask, 0, shift).astype(z.dtype), y[order], mask)
    np.testing.assert_array_equal(other.ausuc, curve.ausuc)
    np.testing.assert_array_equal(other.threshold, curve.threshold - shift)
    np.testing.assert_array_equal(other.acc_s_y, curve.acc_s_y)


@NO_DEADLINE
@given(problems(lambda bits: QUARTERS, min_samples=2), st.data())
def test_ausuc_rises_when_a_label_becomes_the_prediction(problem: Any, data: st.DataObject) -> None:
    z, y, mask = problem
    y[0], y[1] = mask.argmax(), mask.argmin()  # both groups have a sample, so there is an area
    i = data.draw(st.integers(0, len(y) - 1))
    m = group_maxima(z, mask)
    better = y.copy()
    better[i] = m.class_s[i] if mask[y[i]] else m.class_u[i]
    gain = seen_unseen_curve(z, better, mask).ausuc - seen_unseen_curve(z, y, mask).ausuc
    assert gain >= 0
    assert better[i] != y[i] or gain == 0


@NO_DEADLINE
@given(problems(lambda bits: WITH_INF, min_samples=1))
def test_best_and_balanced_take_the_highest_and_then_the_smallest_gamma(problem: Any) -> None:
    z, y, mask = problem
    curve = seen_unseen_curve(z, y, mask)
    of_s, n = mask[y], len(y)
    hits_s = [round(a * of_s.sum()) if of_s.any() else 0 for a in curve.acc_s_y]
    hits_u = [round(a * (n - of_s.sum())) if not of_s.all() else 0 for a in curve.acc_u_y]

    def pick(score: list[Fraction]) -> int:
        return min(range(len(score)), key=lambda k: (-score[k], abs(curve.gamma[k]), k))

    pairs = list(zip(hits_s, hits_u, strict=True))
    assert curve.best() == pick([Fraction(s + u, n) for s, u in pairs])
    if of_s.any() and not of_s.all():
        n_s = int(of_s.sum())
        assert curve.balanced() == pick([Fraction(s, n_s) + Fraction(u, n - n_s) for s, u in pairs])


def test_balanced_differs_from_best_when_the_groups_differ_in_size() -> None:
    # Three samples of S need γ ≤ 1, one of U needs γ > 2; between them one of S is lost.
    z = np.array([[1.0, 0.0], [1.0, 0.0], [9.0, 0.0], [2.0, 0.0]])
    curve = seen_unseen_curve(z, np.array([0, 0, 0, 1]), [0])
    assert curve.acc_y_y.tolist() == [0.75, 0.25, 0.5, 0.25]
    assert curve.best() == 0
    assert curve.balanced() == 2
    assert curve.gamma.tolist() == [-INF, 1.5, 5.5, INF]
    assert curve.ausuc == pytest.approx(1 / 3)


def test_samples_that_move_together_make_a_slope() -> None:
    # d = 0 for both: one sample of S is lost in the same step that wins the one of U, half of the square.
    curve = seen_unseen_curve(np.zeros((2, 2)), np.array([0, 1]), [0])
    assert list(zip(curve.acc_s_y, curve.acc_u_y, strict=True)) == [(1, 0), (0, 1)]
    assert curve.ausuc == 0.5


def test_representatives_beside_infinite_and_neighbouring_thresholds() -> None:
    one = np.nextafter(1.0, 2.0)
    s = np.array([-INF, 1.0, one, 1e300, INF])
    curve = seen_unseen_curve(np.stack([s, np.zeros(5)], 1), np.zeros(5, int), [0])
    assert curve.threshold.tolist() == s.tolist()
    after = np.nextafter(1e300, INF)  # 1e300 + 1 is 1e300, which is still the vertex before
    assert curve.gamma.tolist() == [-INF, 0.0, one, 5e299, after, INF]
    large = seen_unseen_curve(np.array([[1e308, 0.0], [1.5e308, 0.0]]), np.zeros(2, int), [0])
    assert large.gamma.tolist() == [-INF, 1.25e308, INF]  # the sum of the two is beyond float64
    both = seen_unseen_curve(np.array([[-INF, 0.0], [INF, 0.0]]), np.zeros(2, int), [0])
    assert both.gamma.tolist() == [-INF, 0.0, INF]
    assert both.acc_s_y.tolist() == [1.0, 0.5, 0.0]


# ------------------------------------------------------------------ the pass over the logits


@NO_DEADLINE
@given(hnp.arrays(np.float64, st.integers(0, 30), elements=st.sampled_from([-INF, -1.0, 0.0, 0.5, 2.0, INF])))
def test_the_order_of_equals_is_that_of_a_stable_sort(values: np.ndarray) -> None:
    assert order.stable_order(values).tolist() == np.argsort(values, kind="stable").tolist()


@NO_DEADLINE
@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0])))
def test_falling_is_the_stable_order_of_what_is_left_of_zero(difference: np.ndarray) -> None:
    maxima = group_maxima(np.stack([difference, np.zeros(len(difference))], axis=1), [0])
    assert maxima.falling.tolist() == np.argsort(-difference, kind="stable").tolist()


@NO_DEADLINE
@given(st.integers(0, 10**6), st.sampled_from([np.float32, np.float64]))
def test_a_softmax_with_the_maxima_at_hand_is_the_same_to_the_bit(seed: int, kind: type) -> None:
    rng = np.random.default_rng(seed)
    n, classes = rng.integers(1, 70), rng.integers(2, 2000)  # some of them in several blocks
    z = np.round(rng.normal(size=(n, classes)), 1).astype(kind)
    y = rng.integers(0, classes, n)
    found, expected = softmax(z, y, maxima=group_maxima(z, [0])), softmax(z, y)
    assert all(map(np.array_equal, found, expected))


def test_accuracy_alone_is_acc_y_y() -> None:
    rng = np.random.default_rng(0)
    z, y = np.round(rng.normal(size=(200, 5))), rng.integers(0, 5, 200)  # rounded: ties
    assert accuracy(z, y) == accuracies(z, y, [0, 3])["acc_y_y"].value
    assert math.isnan(accuracy(np.empty((0, 5)), np.empty(0, int)))
    z[7, 2] = np.nan
    with pytest.raises(UserError, match="row 7 contain NaN"):
        accuracy(z, y)


def test_a_temperature_divides_the_logits() -> None:
    rng = np.random.default_rng(0)
    z, y = 5 * rng.normal(size=(200, 5)), rng.integers(0, 5, 200)
    assert negative_log_likelihood(z, y, temperature=2.7) == negative_log_likelihood(z / 2.7, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block_bytes", [1, 200, 1 << 18])
def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch, block_bytes: int, dtype: type) -> None:
    monkeypatch.setattr(best_of_groups, "BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(0)
    z = rng.integers(-3, 3, (53, 7)).astype(dtype)
    s, u = np.array([1, 4, 6]), np.array([0, 2, 3, 5])
    for given_z in (z, np.asfortranarray(z), np.repeat(z, 2, axis=0)[::2]):
        m = group_maxima(given_z, s)
        np.testing.assert_array_equal(m.class_s, s[z[:, s].argmax(1)])
        np.testing.assert_array_equal(m.class_u, u[z[:, u].argmax(1)])
        np.testing.assert_array_equal(m.value_s, z[:, s].max(1))
        np.testing.assert_array_equal(m.value_u, z[:, u].max(1))
    assert m.value_s.dtype == m.difference.dtype == np.float64
    z[40, 2] = np.nan
    with pytest.raises(UserError, match="row 40 contain NaN"):
        group_maxima(z, s)
    with pytest.raises(UserError, match="row 40 contain NaN"):
        negative_log_likelihood(z, np.zeros(53, int))


@pytest.mark.parametrize("samples", [400, 4000])
def test_memory_stays_below_one_copy_of_the_logits(samples: int) -> None:
    z, y = np.zeros((samples, 400), np.float32), np.zeros(samples, int)
    tracemalloc.start()
    seen_unseen_curve(z, y, range(0, 400, 2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < z.nbytes / 2


def test_mask_and_indices_mean_the_same() -> None:
    z = np.arange(8.0).reshape(2, 4)
    for fine_tuning in ([0, 2], (2, 0), np.array([0, 2], np.uint8), [True, False, True, False]):
        assert group_maxima(z, fine_tuning).fine_tuning.tolist() == [True, False, True, False]


def test_integer_and_half_precision_logits_are_read_as_float64() -> None:
    z = [[1, 5, 3], [4, 0, 9]]
    for dtype in (np.int64, np.float16, ">f4"):
        assert group_maxima(np.array(z, dtype), [0, 1]).difference.tolist() == [2, -5]


# ------------------------------------------------------------------ nearest class mean


def test_class_means_and_cosines_by_hand() -> None:
    x = np.array([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0], [-5.0, 0.0]], np.float32)
    means = class_means(x, np.array([2, 2, 0, 3]), 5)
    expected = [[0, 0], [np.nan] * 2, [0.3, 0.9], [-1, 0], [np.nan] * 2]
    np.testing.assert_allclose(means, expected, rtol=1e-15)
    assert means.dtype == np.float64
    scores = ncm_scores(np.array([[2.0, 0.0], [0.0, 0.0]]), means)
    cosine = 0.3 / math.sqrt(0.9)
    np.testing.assert_allclose(scores, [[0, -INF, cosine, -1, -INF], [0, -INF, 0, 0, -INF]], rtol=1e-15)


def test_ncm_reads_the_class_without_a_mean_as_never_predicted() -> None:
    scores = ncm_scores(np.eye(2), np.array([[-1.0, -1.0], [np.nan, np.nan]]))
    ours = accuracies(scores, np.array([0, 1]), [0])
    assert ours["acc_s_y"] == (1.0, 1)
    assert ours["acc_u_y"] == (0.0, 1)


# ------------------------------------------------------------------ calibration


def test_negative_log_likelihood_by_hand() -> None:
    z = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32)) + 100  # a constant is not seen
    assert negative_log_likelihood(z, [0, 1]) == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2, abs=1e-5)
    assert negative_log_likelihood(np.array([[1000.0, 0.0]]), [1]) == 1000
    assert negative_log_likelihood(np.array([[0.0, -INF]]), [1]) == INF
    assert math.isnan(negative_log_likelihood(np.zeros((0, 3)), np.zeros(0, int)))


def test_expected_calibration_error_by_hand() -> None:
    confidence = np.array([0.55, 0.58, 0.75, 0.9])
    z = np.log(np.stack([confidence, 1 - confidence], axis=1))
    labels = [0, 1, 1, 0]
    # bins of 0.1: {0.55, 0.58} right once, {0.75} wrong, {0.9} right
    ten = (abs(1 - 1.13) + 0.75 + 0.1) / 4
    assert expected_calibration_error(z, labels, bins=10) == pytest.approx(ten, abs=1e-12)
    assert expected_calibration_error(z, labels, bins=1) == pytest.approx(abs(2 - 2.78) / 4, abs=1e-12)
    # a confidence on an edge belongs to the bin below: 0.5 falls with 0.25 into (0, 0.5]
    edge = np.log(np.array([[0.5, 0.5, 1e-300, 1e-300], [0.25] * 4]))
    assert expected_calibration_error(edge, [0, 1], bins=2) == pytest.approx(abs(1 - 0.75) / 2)
    assert math.isnan(expected_calibration_error(np.zeros((0, 3)), np.zeros(0, int)))


@NO_DEADLINE
@given(problems(lambda bits: QUARTERS, min_samples=1), st.integers(1, 20))
def test_calibration_numbers_equal_a_loop(problem: Any, bins: int) -> None:
    z, y, _ = problem
    p = np.exp(z.astype(np.float64)) / np.exp(z.astype(np.float64)).sum(1, keepdims=True)
    nll = -np.mean([math.log(p[i, c]) for i, c in enumerate(y)])
    assert negative_log_likelihood(z, y) == pytest.approx(nll, abs=1e-12)
    top = p.max(1)
    assume((np.abs(top * bins - np.round(top * bins)) > 1e-9).all())  # an edge may round to either side
    ece = 0.0
    for b in range(bins):
        inside = (b / bins < top) & (top <= (b + 1) / bins)
        if inside.any():
            ece += inside.mean() * abs((z.argmax(1) == y)[inside].mean() - top[inside].mean())
    assert expected_calibration_error(z, y, bins) == pytest.approx(ece, abs=1e-12)


def test_harmonic_mean() -> None:
    assert harmonic_mean(0.2, 0.6) == pytest.approx(0.3)
    assert harmonic_mean(0.0, 0.0) == harmonic_mean(0.0, 1.0) == 0
    assert math.isnan(harmonic_mean(math.nan, 0.5))


# ------------------------------------------------------------------ messages

Z = np.zeros((3, 4))
Y = np.zeros(3, int)
NAN_ROW = np.array([[0.0, 1.0], [2.0, np.nan], [np.nan, 0.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: seen_unseen_curve(NAN_ROW, Y, [0]), "the logits of row 1 contain NaN."),
        (lambda: seen_unseen_curve(Z[0], Y, [0]), "logits must be a (samples, classes) array, got shape (4,)."),
        (lambda: seen_unseen_curve([["a"]], [0], [0]), "logits must be real numbers, got dtype <U1."),
        (
            lambda: seen_unseen_curve(Z, Y[:2], [0]),
            "labels must have shape (3,), one for each sample, got shape (2,).",
        ),
        (lambda: seen_unseen_curve(Z, [0.0, 1.0, 2.0], [0]), "labels must be integers, got dtype float64."),
        (
            lambda: accuracies(Z, [0, 4, -1], [0]),
            "label 4 of row 1 is out of range. The logits have 4 classes, so labels go from 0 to 3.",
        ),
        (
            lambda: accuracies(Z, [0, 3, -1], [0]),
            "label -1 of row 2 is out of range. The logits have 4 classes, so labels go from 0 to 3.",
        ),
        (lambda: group_maxima(Z, []), "there is no fine-tuning class. The curve needs at least one."),
        (lambda: group_maxima(Z, [False] * 4), "there is no fine-tuning class. The curve needs at least one."),
        (
            lambda: group_maxima(Z, range(4)),
            "all classes are fine-tuning classes. The curve needs at least one absent class.",
        ),
        (
            lambda: group_maxima(Z, [True, False]),
            "the fine-tuning mask has shape (2,), the logits have 4 classes.",
        ),
        (
            lambda: group_maxima(Z, [1, 4]),
            "fine-tuning class 4 is out of range. The logits have 4 classes: 0 to 3.",
        ),
        (
            lambda: group_maxima(Z, [1, 0, 1, 0]),
            "fine-tuning class 0 is listed more than once. Hint: a mask must have boolean dtype.",
        ),
        (
            lambda: group_maxima(Z, [0.5]),
            "fine-tuning classes must be a list of class indices or a boolean mask, got dtype float64 and shape (1,).",
        ),
        (lambda: accuracies(Z, Y, [0], gamma=math.nan), "γ is NaN."),
        (lambda: seen_unseen_curve(Z, Y, [0]).at(math.nan), "γ is NaN."),
        (
            lambda: seen_unseen_curve(Z, Y, [0]).balanced(),
            "no γ balances 3 samples of fine-tuning classes and 0 of absent classes. "
            "Both accuracies need at least one sample.",
        ),
        (
            lambda: seen_unseen_curve(Z[:0], Y[:0], [0]).best(),
            "a curve without samples has no best γ.",
        ),
        (lambda: class_means(NAN_ROW, Y, 1), "the features of row 1 are not finite."),
        (lambda: ncm_scores(Z, [[0.0, INF, 0.0, 0.0]]), "the class means of row 0 are not finite."),
        (lambda: ncm_scores(Z, NAN_ROW), "the features have 4 dimensions, the class means 2."),
        (lambda: negative_log_likelihood(NAN_ROW, Y), "the logits of row 1 contain NaN."),
        (
            lambda: expected_calibration_error([[0.0, 1.0], [INF, 1.0]], [0, 0]),
            "the logits of row 1 have no softmax: the largest one is infinite.",
        ),
        (lambda: expected_calibration_error(Z, Y, bins=0), "bins must be at least 1, got 0."),
    ],
)
def test_messages(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(("module", "fewest"), [(curve, 6), (classification, 6)])
def test_doctests(module: ModuleType, fewest: int) -> None:
    result = doctest.testmod(module)
    assert result.attempted >= fewest
    assert result.failed == 0
