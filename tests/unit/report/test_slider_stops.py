"""The stops of the slider: exact at every place, and thinned without moving a marked point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_cases import IN_S, as_samples, logits

from finecal.metrics.classification import accuracies, group_maxima, seen_unseen_curve
from finecal.metrics.per_class import per_class_curve
from finecal.report.slider_stops import stops


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(0, 30), st.integers(1, 3))
def test_every_stop_has_the_counts_of_the_logits(seed: int, n: int, room: int, steps: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(IN_S), n)
    z = (random.integers(-3 * steps, 3 * steps, (n, len(IN_S))) / steps).astype(np.float32)  # many equal margins
    samples, maxima = as_samples(labels, None, z, IN_S), group_maxima(z, IN_S)
    marked = [0.5, -1.0, 100.0]
    at = stops(samples, marked, room)
    curve = seen_unseen_curve(z, labels, IN_S)
    leaves = at.leaves_s_at(samples.margin)
    assert np.isin(marked, at.gamma).all()
    assert (np.diff(at.gamma) > 0).all()
    assert len(at.gamma) <= room + len(marked) + 2
    for stop, gamma in enumerate(at.gamma):
        point = curve.at(gamma)
        np.testing.assert_equal(at.right_s[stop] / at.n_s if at.n_s else np.nan, point.acc_s_y)
        np.testing.assert_equal(at.right_u[stop] / at.n_u if at.n_u else np.nan, point.acc_u_y)
        if gamma != 0:  # there equal logits may go to U
            in_s = IN_S[maxima.predictions(gamma)]
            np.testing.assert_array_equal(stop < leaves, in_s)
            assert at.s_in_s[stop] == in_s[samples.of_s].sum()
            assert at.u_in_s[stop] == in_s[~samples.of_s].sum()


def test_with_room_every_vertex_is_a_stop() -> None:
    labels, _, tuned = logits(n=120)
    at, curve = stops(as_samples(labels, None, tuned, IN_S), [], 1000), seen_unseen_curve(tuned, labels, IN_S)
    found = set(zip(at.right_s, at.right_u, strict=True))
    assert found == set(zip(curve.hits_s, curve.hits_u, strict=True))


@pytest.mark.parametrize("room", [0, 5, 50])
def test_thinning_moves_no_mark_and_spreads_along_the_curve(room: int) -> None:
    labels, _, tuned = logits(n=600)
    marked = [0.0, 1.2345678901, 1.2345678902, 7.5]  # two of them closer than any two vertices
    at = stops(as_samples(labels, None, tuned, IN_S), marked, room)
    for gamma in marked:
        values = accuracies(tuned, labels, IN_S, gamma)
        assert at.right_s[at.index(gamma)] / at.n_s == values["acc_s_y"].value
        assert at.right_u[at.index(gamma)] / at.n_u == values["acc_u_y"].value
    moved = -np.diff(at.right_s) / at.n_s + np.diff(at.right_u) / at.n_u
    assert moved.max() <= moved.sum() / (room + 1) + 1 / at.n_s  # no gap is wider than equal steps


def test_what_is_no_stop_is_an_error() -> None:
    labels, _, tuned = logits(n=12)
    with pytest.raises(ValueError, match=r"no stop has γ = 0\.123"):
        stops(as_samples(labels, None, tuned, IN_S), [], 3).index(0.123)


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 30))
@settings(deadline=None)
def test_every_stop_has_the_accuracies_per_class(seed: int, n: int, room: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.choice(6, n, p=np.array([32, 16, 8, 4, 2, 1]) / 63)
    z = random.integers(-3, 3, (n, 6)).astype(np.float32)
    at = stops(as_samples(labels, None, z, IN_S), [0.5, -1.0], room)
    curve = per_class_curve(z, labels, IN_S)
    for stop, gamma in enumerate(at.gamma):
        np.testing.assert_equal((at.macro_s[stop], at.macro_u[stop]), curve.at(gamma)[1:3])
    assert (at.classes_s, at.classes_u) == tuple(len(np.unique(labels[IN_S[labels] == of_s])) for of_s in (True, False))
    np.testing.assert_equal(at.ausuc, (curve.curve.ausuc, curve.ausuc))
