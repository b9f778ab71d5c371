"""Sums of exponentials in blocks: the blocks do not show, and the sums are those of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import logsumexp
from scipy.special import softmax as scipy_softmax

from finecal.metrics import softmax
from finecal.metrics.softmax import log_softmax, log_sum_exp, mean_posterior, row_blocks, scaled_moments

RNG = np.random.default_rng(0)
LOGITS = 5 * RNG.normal(size=(101, 12))
MASK = np.arange(12) % 3 == 0


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 16, 17])
@pytest.mark.parametrize("block_bytes", [1, 8 * 5 * 4, 1 << 18])
def test_blocks_hold_every_row_once_and_no_row_is_alone(
    monkeypatch: pytest.MonkeyPatch, n: int, block_bytes: int
) -> None:
    monkeypatch.setattr(softmax, "BLOCK_BYTES", block_bytes)
    blocks = [np.arange(n)[rows] for rows in row_blocks(n, 5)]
    assert np.concatenate([np.arange(0), *blocks]).tolist() == list(range(n))
    assert all(len(rows) > 1 for rows in blocks) or n == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch, order: str, dtype: type) -> None:
    z = np.asarray(LOGITS, dtype=dtype, order=order)  # type: ignore[call-overload]
    whole = log_sum_exp(z), log_sum_exp(z, MASK), log_softmax(z), log_softmax(z[:, MASK])
    monkeypatch.setattr(softmax, "BLOCK_BYTES", 8 * 12 * 4)
    parts = log_sum_exp(z), log_sum_exp(z, MASK), log_softmax(z), log_softmax(z[:, MASK])
    for one, other in zip(whole, parts, strict=True):
        assert one.tobytes() == other.tobytes()


def test_sums_are_those_of_scipy() -> None:
    before = LOGITS.copy()
    np.testing.assert_allclose(log_sum_exp(LOGITS), logsumexp(LOGITS, axis=1, keepdims=True), rtol=1e-14)
    np.testing.assert_allclose(log_sum_exp(LOGITS, MASK)[:, 0], logsumexp(LOGITS[:, MASK], axis=1), rtol=1e-13)
    scaled = log_sum_exp(LOGITS, MASK, scale=0.3)[:, 0]
    np.testing.assert_allclose(scaled, logsumexp(0.3 * LOGITS[:, MASK], axis=1), rtol=1e-13)
    np.testing.assert_allclose(log_softmax(LOGITS), scipy_log_softmax(LOGITS, axis=1), rtol=1e-13)
    assert np.array_equal(LOGITS, before)  # blocks are changed in place, what is given is not


def test_mean_posterior_is_the_mean_of_softmax_with_a_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    bias = RNG.normal(size=12)
    monkeypatch.setattr(softmax, "BLOCK_BYTES", 8 * 12 * 4)
    likelihoods = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    expected = scipy_softmax(LOGITS + bias, axis=1).mean(axis=0)
    np.testing.assert_allclose(mean_posterior(likelihoods, np.exp(bias)), expected, rtol=1e-13)
    np.testing.assert_allclose(mean_posterior(likelihoods, 7 * np.exp(bias)), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.01, 1.0, 0.3, 40.0])
def test_moments_under_a_softmax(monkeypatch: pytest.MonkeyPatch, scale: float, dtype: type) -> None:
    monkeypatch.setattr(softmax, "BLOCK_BYTES", 8 * 12 * 4)
    z = LOGITS.astype(dtype)
    exact = z.astype(np.float64)
    sums, means, variances = scaled_moments(z, scale)
    likely = scipy_softmax(scale * exact, axis=1)
    mean = (likely * exact).sum(axis=1)
    np.testing.assert_allclose(sums, logsumexp(scale * exact, axis=1), rtol=1e-13)
    np.testing.assert_allclose(means, mean, rtol=1e-12)
    np.testing.assert_allclose(variances, (likely * (exact - mean[:, None]) ** 2).sum(axis=1), rtol=1e-9, atol=1e-12)
