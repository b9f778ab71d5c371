"""Calibrators with more than one parameter, each against a small case by hand or an independent statement."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from calibrator_cases import MASK, apply, everything, fit, random_logits
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from finecal.calibration.contract import Head, Labelled, Unlabelled
from finecal.calibrators import gla
from finecal.metrics.classification import negative_log_likelihood

TWO = np.array([True, False])
THREE = np.array([True, True, False])
Z = np.array([[2.0, -1.0, 0.0], [-3.0, -2.0, -4.0], [5.0, 1.0, 6.0]])


def test_standardised_by_hand() -> None:
    """Samples of class 0 have z_1 = −1, −3 and z_2 = 0, 4; the one of class 1 has z_0 = 5, which never varies."""
    train = Labelled(np.array([[9.0, -1.0, 0.0], [8.0, -3.0, 4.0], [5.0, 7.0, 2.0]]), np.array([0, 0, 1]))
    state = fit("standardised", {"train_fine_tuning": train}, THREE)
    assert np.allclose(state["mean"], [5, -2, 2])
    assert np.allclose(state["spread"], [1, 1, math.sqrt(8 / 3)])
    assert np.allclose(apply("standardised", Unlabelled(Z), state, THREE)[0], [-3, 1, -2 / math.sqrt(8 / 3)])


def test_group_log_softmax_is_a_softmax_in_each_group() -> None:
    found = apply("group_log_softmax", Unlabelled(random_logits(4)), {})
    assert np.allclose(found[:, :3], log_softmax(random_logits(4)[:, :3], axis=1))
    assert np.allclose(found[:, 3:], log_softmax(random_logits(4)[:, 3:], axis=1))


def test_prior_shift_em_finds_the_most_likely_frequencies() -> None:
    """The fixed point of EM maximises Σ log Σ_c π_c p_c / π_s,c, here found by a general optimiser."""
    random = np.random.default_rng(0)
    data = everything(random.normal(size=(400, 5)) * 2, MASK)
    shift = fit("prior_shift_em", data, tolerance=1e-12, iterations=20000)["shift"]
    counts = np.bincount(data["train_fine_tuning"].labels, minlength=5) + 1
    source = counts / counts.sum()
    ratio = softmax(data["target_unlabelled"].logits, axis=1) / source
    best = minimize(lambda free: -np.log(ratio @ softmax(free)).mean(), np.log(source), tol=1e-12)
    assert np.allclose(source * np.exp(shift), softmax(best.x), atol=1e-4)


def test_prior_shift_em_by_hand() -> None:
    """One sample of each of two kinds, sure of its class: half of the target domain is U."""
    data = {
        "train_fine_tuning": Labelled(np.zeros((3, 2)), np.zeros(3, int)),  # π_s = (4 / 5, 1 / 5)
        "target_unlabelled": Unlabelled(np.array([[50.0, 0.0], [0.0, 50.0]])),
    }
    state = fit("prior_shift_em", data, TWO)
    assert np.allclose(state["shift"], np.log([0.5 / 0.8, 0.5 / 0.2]))
    assert np.allclose(apply("prior_shift_em", Unlabelled(Z[:, :2]), state, TWO), Z[:, :2] + state["shift"])


HEAD = Head(np.array([[3.0, 4.0], [0.0, -1.0], [2.0, 0.0]]), np.array([1.0, -2.0, 0.5]))  # lengths 5, 1, 2
FEATURES = np.array([[1.0, 2.0], [-1.0, 3.0], [-2.0, -2.0]])
SEEN = Unlabelled(FEATURES @ HEAD.weight.T + HEAD.bias, more={"weights": HEAD, "features": FEATURES})


def test_weight_align_scales_the_rows() -> None:
    """Also for negative logits: the result is that of the scaled head."""
    state = fit("weight_align", {"weights": HEAD}, THREE)
    assert state == {"scale": 2 / 3}  # 2 / mean(5, 1)
    scaled = HEAD.weight * np.array([[2 / 3], [2 / 3], [1]])
    assert (SEEN.logits < 0).any()
    assert np.allclose(apply("weight_align", SEEN, state, THREE), FEATURES @ scaled.T + HEAD.bias)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_tau_norm_divides_the_rows(tau: float) -> None:
    state = fit("tau_norm", {"weights": HEAD}, THREE, tau=tau)
    scaled = HEAD.weight * ((8 / 3) / np.array([[5.0], [1.0], [2.0]])) ** tau
    assert np.allclose(apply("tau_norm", SEEN, state, THREE), FEATURES @ scaled.T + HEAD.bias)


def test_tau_norm_validated_takes_the_best() -> None:
    """Without biases, class 0 wins by its length alone unless rows are normalised."""
    head = replace(HEAD, bias=np.zeros(3))
    validation = Labelled(FEATURES @ head.weight.T, np.array([0, 0, 1]))
    assert validation.logits.argmax(axis=1).tolist() == [0, 0, 1]
    state = fit("tau_norm_validated", {"weights": head, "validation": validation}, THREE)
    assert state == {"tau": 0.0}
    # h = (1, −0.2): 2.2, 0.2, 2; with τ = 1 it is 0.44, 0.2, 1, so label 2 asks for a τ > 0.
    other = Labelled(np.array([[1.0, -0.2]]) @ head.weight.T, np.array([2]))
    tau = float(fit("tau_norm_validated", {"weights": head, "validation": other}, THREE)["tau"])
    assert tau == pytest.approx(0.2)  # the first with 2.2 / 5^τ < 2 / 2^τ, that is τ > 0.104


def test_cosine_is_the_cosine() -> None:
    found = apply("cosine", SEEN, fit("cosine", {"weights": HEAD}, THREE, scale=7), THREE, scale=7)
    assert np.allclose(found, 7 * normalize(FEATURES) @ normalize(HEAD.weight).T)


def test_ncm_is_the_nearest_centroid() -> None:
    data = everything(random_logits(1), MASK)
    found = apply("ncm", data["test"], fit("ncm", data))
    features = normalize(data["test"]["features"].astype(float))
    means = normalize(NearestCentroid().fit(features, data["test"].labels).centroids_)
    assert np.allclose(found, 20 * features @ means.T)


def test_bic_has_the_smallest_negative_log_likelihood() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, 300)
    z = random.normal(size=(300, 5)) + 2 * np.eye(5)[labels] + np.where(MASK, 2.5, 0)
    state = fit("bic", {"validation": Labelled(z, labels)})

    def loss(x: np.ndarray) -> float:
        return negative_log_likelihood(np.where(MASK, x[0] * z + x[1], z), labels)

    best = minimize(loss, [1.0, 0.0], tol=1e-10)
    assert np.allclose([state["alpha"], state["beta"]], best.x, atol=1e-3)
    assert np.allclose(apply("bic", Unlabelled(z), state), np.where(MASK, state["alpha"] * z + state["beta"], z))


def test_il2m_by_hand() -> None:
    """Class 1 is U: before it had 0.8 on its sample, now 0.2. Confidence was 0.8 and 0.6, of all; now 0.6, of S."""
    after, before = np.log([[0.8, 0.2], [0.6, 0.4]]), np.log([[0.2, 0.8], [0.6, 0.4]])
    validation = Labelled(after, np.array([1, 0]), more={"pretrained": before})
    state = fit("il2m", {"validation": validation}, TWO)
    assert np.allclose(state["log_factor"], [0, math.log(0.8 / 0.2 * 0.6 / 0.7)])
    found = apply("il2m", Unlabelled(np.log([[0.7, 0.3], [0.4, 0.6]])), state, TWO)
    factor = 4 * 6 / 7
    assert np.allclose(np.exp(found), [[0.7, 0.3 * factor], [0.4, 0.6]])  # where U wins nothing changes


def test_il2m_without_a_sample_of_s_compares_no_confidence() -> None:
    after, before = np.log([[0.8, 0.2]]), np.log([[0.2, 0.8]])
    state = fit("il2m", {"validation": Labelled(after, np.array([1]), more={"pretrained": before})}, TWO)
    assert np.allclose(state["log_factor"], [0, math.log(0.8 / 0.2)])


def test_logit_adjustment_by_hand() -> None:
    train = Labelled(np.zeros((4, 3)), np.array([0, 0, 0, 1]))  # smoothed: 4, 2, 1 of 7
    state = fit("logit_adjustment", {"train_fine_tuning": train}, THREE, tau=2)
    assert np.allclose(state["shift"], -2 * np.log(np.array([4, 2, 1]) / 7))
    assert np.allclose(apply("logit_adjustment", Unlabelled(Z), state, THREE), Z + state["shift"])


def test_smoothing_is_a_gamma_set_by_hand() -> None:
    """With 108 samples in each class of S: log(108 / 0.1 + 1) = 7.0, log(108 / 10 + 1) = 2.5."""
    train = Labelled(np.zeros((324, 5)), np.repeat(np.arange(3), 108))
    for smoothing, gamma in ((0.1, 7.0), (10.0, 2.5)):
        shift = fit("logit_adjustment", {"train_fine_tuning": train}, smoothing=smoothing)["shift"]
        assert np.asarray(shift)[3] - np.asarray(shift)[0] == pytest.approx(gamma, abs=0.05)


def test_logit_adjustment_validated_takes_the_best() -> None:
    """One sample in each class of S: smoothing by 9 gives γ = log(10 / 9), by 0.1 log 11, by 0.01 log 101."""
    train = Labelled(np.zeros((2, 3)), np.array([0, 1]))
    validation = Labelled(np.array([[2.35, 0.0, 0.0], [2.5, 0.0, 0.0]]), np.array([2, 0]))
    data = {"train_fine_tuning": train, "validation": validation}
    state = fit("logit_adjustment_validated", data, THREE, smoothings=[9.0, 0.1, 0.01])
    assert state["smoothing"] == 0.1  # log 11 = 2.40 lies between the margins 2.35 and 2.5
    plain = fit("logit_adjustment", data, THREE, smoothing=0.1)
    assert np.array_equal(state["shift"], plain["shift"])
    found = apply("logit_adjustment_validated", Unlabelled(Z), state, THREE)
    assert np.array_equal(found, apply("logit_adjustment", Unlabelled(Z), plain, THREE))


def test_gla_fits_the_frequencies_of_pretraining_on_s() -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 200)
    before = random.normal(size=(200, 5)) + 1.5 * np.eye(5)[labels] + [1.0, -1.0, 0.5, 0, 0]
    after = Labelled(random.normal(size=(200, 5)), labels, more={"pretrained": before})
    state = fit("gla", {"train_fine_tuning": after})
    best = minimize(lambda b: negative_log_likelihood(before[:, :3] + b, labels), np.zeros(3), tol=1e-12).x
    prior = (np.bincount(labels, minlength=5) + 1) / 205
    expected = np.array([*(best - best.mean()), 0, 0]) - np.log(prior)
    assert np.allclose(state["shift"], expected, atol=1e-4)
    assert np.allclose(apply("gla", after, state), after.logits + before + expected, atol=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_ensembles_lie_between(alpha: float) -> None:
    seen = Unlabelled(Z, more={"pretrained": 2 * Z + 1, "interpolated": {alpha: Z - 5}})
    found = apply("logit_ensemble", seen, fit("logit_ensemble", {}, alpha=alpha), THREE, alpha=alpha)
    assert np.allclose(found, (1 - alpha) * (2 * Z + 1) + alpha * Z)
    assert np.array_equal(apply("wise_ft", seen, fit("wise_ft", {}, alpha=alpha), THREE, alpha=alpha), Z - 5)


def test_ood_gate_chooses_the_head() -> None:
    """A gate that keeps nine tenths of S: the arg-max is the one within the group that the energy chooses."""
    random = np.random.default_rng(0)
    train = Labelled(random.normal(size=(100, 5)) + 3, random.integers(0, 3, 100))
    state = fit("ood_gate", {"train_fine_tuning": train}, kept=0.9)
    energy = logsumexp(train.logits[:, :3], axis=1)
    assert (energy >= state["threshold"]).mean() == pytest.approx(0.9, abs=0.02)
    z = random.normal(size=(200, 5)) * 2 + np.where(random.random((200, 1)) < 0.5, 3, 0)
    to_s = logsumexp(z[:, :3], axis=1) >= state["threshold"]
    assert 20 < to_s.sum() < 180
    expected = np.where(to_s, z[:, :3].argmax(axis=1), 3 + z[:, 3:].argmax(axis=1))
    found = apply("ood_gate", Unlabelled(z), state, kept=0.9)
    assert np.array_equal(found.argmax(axis=1), expected)
    gap = np.sort(np.stack([found[:, :3].max(axis=1), found[:, 3:].max(axis=1)]), axis=0)
    assert (gap[1] - gap[0] >= math.log(9) - 1e-9).all()


def test_gla_is_the_same_with_exponentials_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    labels = random.integers(0, 3, 50)
    train = Labelled(random.normal(size=(50, 5)), labels, more={"pretrained": 3 * random.normal(size=(50, 5))})
    once = fit("gla", {"train_fine_tuning": train})["shift"]
    monkeypatch.setattr(gla, "LARGEST_SPREAD", -1.0)
    np.testing.assert_allclose(fit("gla", {"train_fine_tuning": train})["shift"], once, rtol=1e-12)
