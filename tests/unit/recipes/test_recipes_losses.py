"""The losses of the recipes against independent statements of their formulas, and their gradients."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from recipe_runs import CLASSES, FINE_TUNING, batch, context, one_thread, pretrained, recipe_of  # noqa: F401
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from finecal.models.build import architecture, build, forward, head
from finecal.recipes import BaseRecipe

S, U = [0, 2], [1, 3]


def started(name: str, fine_tuning: np.ndarray = FINE_TUNING, **options: Any) -> tuple[BaseRecipe[Any], nn.Module]:
    """A recipe that has prepared a model, moved a little from θ⁰ since; batch normalisation without noise."""
    recipe, model = recipe_of(name, **options), pretrained()
    recipe.prepare(model, context(fine_tuning))
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return recipe, model.eval()


def numpy_logits(model: nn.Module, images: Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(images).double().numpy()


def log_softmax(z: np.ndarray) -> np.ndarray:
    return (
        z - np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)) - z.max(axis=1, keepdims=True)
    )


def plain(z: np.ndarray, y: np.ndarray) -> float:
    return float(-log_softmax(z)[np.arange(len(y)), y].mean())


def divergence(z0: np.ndarray, z: np.ndarray, temperature: float) -> float:
    """T² KL(softmax(z⁰/T) ‖ softmax(z/T)), mean over samples."""
    p, q = log_softmax(z0 / temperature), log_softmax(z / temperature)
    return float(temperature**2 * (np.exp(p) * (p - q)).sum(axis=1).mean())


def loss_of(recipe: BaseRecipe[Any], model: nn.Module, smoothing: float = 0.0) -> Tensor:
    images, labels = batch()
    return recipe.loss(model, images, labels, label_smoothing=smoothing)


@pytest.mark.parametrize(
    "name",
    [
        "full",
        "linear_probe",
        "frozen_classifier",
        "lp_ft",
        "bitfit",
        "norm_tuning",
        "frozen_bn",
        "dropout",
        "soup",
        "lolsgd",
    ],
)
def test_most_recipes_have_plain_cross_entropy(name: str) -> None:
    recipe, model = started(name)
    images, labels = batch()
    assert float(loss_of(recipe, model).detach()) == pytest.approx(
        plain(numpy_logits(model, images), labels.numpy()), rel=1e-5
    )


# ------------------------------------------------------------------ the absent logits


def test_seen_only_has_a_softmax_over_s() -> None:
    recipe, model = started("seen_only")
    images, labels = batch()
    z, y = numpy_logits(model, images)[:, S], np.searchsorted(S, labels.numpy())
    assert float(loss_of(recipe, model).detach()) == pytest.approx(plain(z, y), rel=1e-5)
    smoothed = 0.8 * plain(z, y) - 0.2 * float(log_softmax(z).mean())
    assert float(loss_of(recipe, model, 0.2).detach()) == pytest.approx(smoothed, rel=1e-5)


def test_seen_only_gives_the_absent_rows_no_gradient_at_all() -> None:
    recipe, model = started("seen_only")
    loss_of(recipe, model).backward()  # type: ignore[no-untyped-call]
    weight, bias = head(model).weight.grad, head(model).bias.grad
    assert weight is not None
    assert bias is not None
    assert torch.equal(weight[U], torch.zeros_like(weight[U]))
    assert torch.equal(bias[U], torch.zeros(2))
    assert (weight[S] != 0).any(dim=1).all()


def test_balanced_softmax_adds_the_frequencies_of_s() -> None:
    """Of 6 samples 4 are of class 0 and 2 of class 2; U is not in the softmax."""
    model, recipe = pretrained(), recipe_of("balanced_softmax")
    recipe.prepare(model, context(labels=np.array([0, 0, 2, 0, 0, 2])))
    model.train()
    images, labels = batch()
    z = numpy_logits(model, images)[:, S] + np.log([4 / 6, 2 / 6])
    y = np.searchsorted(S, labels.numpy())
    assert float(loss_of(recipe, model).detach()) == pytest.approx(plain(z, y), rel=1e-5)
    smoothed = 0.8 * plain(z, y) - 0.2 * float(log_softmax(z).mean())
    loss = loss_of(recipe, model, 0.2)
    assert float(loss.detach()) == pytest.approx(smoothed, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    weight = head(model).weight.grad
    assert weight is not None
    assert torch.equal(weight[U], torch.zeros_like(weight[U]))


def test_balanced_softmax_with_smoothing_gives_u_that_many_samples() -> None:
    model, recipe = pretrained(), recipe_of("balanced_softmax", smoothing=0.5)
    recipe.prepare(model, context(labels=np.array([0, 0, 2, 0, 0, 2])))
    model.train()
    images, labels = batch()
    z = numpy_logits(model, images) + np.log(np.array([4.5, 0.5, 2.5, 0.5]) / 8)
    assert float(loss_of(recipe, model).detach()) == pytest.approx(plain(z, labels.numpy()), rel=1e-5)


def test_balanced_softmax_of_equal_frequencies_is_seen_only() -> None:
    (one, model), (other, same) = started("balanced_softmax"), started("seen_only")
    assert float(loss_of(one, model).detach()) == pytest.approx(float(loss_of(other, same).detach()), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_fedrs_scales_the_absent_logits_and_their_gradient(alpha: float) -> None:
    recipe, model = started("fedrs", alpha=alpha)
    images, labels = batch()
    scale = np.where(FINE_TUNING, 1.0, alpha)
    z = numpy_logits(model, images) * scale
    loss = loss_of(recipe, model)
    assert float(loss.detach()) == pytest.approx(plain(z, labels.numpy()), rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    # d loss / d b_c = scale_c × mean (p_c − [y = c]), p from the scaled logits
    wanted = scale * (np.exp(log_softmax(z)) - np.eye(4)[labels.numpy()]).mean(axis=0)
    assert head(model).bias.grad is not None
    np.testing.assert_allclose(head(model).bias.grad.numpy(), wanted, atol=1e-6)


ALL = np.ones(4, dtype=bool)


@pytest.mark.parametrize("name", ["seen_only", "fedrs", "selective_distillation"])
def test_without_absent_classes_it_is_plain_cross_entropy(name: str) -> None:
    recipe, model = started(name, ALL)
    images, labels = batch()
    assert float(loss_of(recipe, model).detach()) == pytest.approx(
        plain(numpy_logits(model, images), labels.numpy()), rel=1e-5
    )


# ------------------------------------------------------------------ staying close to θ⁰


def test_l2_sp_by_its_gradient() -> None:
    """The gradient differs from plain cross-entropy's by λ (θ − θ⁰)."""
    recipe, model = started("l2_sp", strength=0.7)
    images, labels = batch()
    other = copy.deepcopy(model)
    loss_of(recipe, model).backward()  # type: ignore[no-untyped-call]
    cross_entropy(other(images), labels).backward()  # type: ignore[no-untyped-call]
    for p, q, start in zip(model.parameters(), other.parameters(), pretrained().parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(p.grad - q.grad, 0.7 * (p - start).detach(), atol=2e-6, rtol=1e-4)
    distance = sum(
        float((p - q).double().square().sum().detach())
        for p, q in zip(model.parameters(), pretrained().parameters(), strict=True)
    )
    plain_loss = plain(numpy_logits(model, images), labels.numpy())
    assert float(loss_of(recipe, model).detach()) == pytest.approx(plain_loss + 0.35 * distance, rel=1e-5)


def test_ewc_of_the_head_by_hand() -> None:
    """With F from true labels, the head's bias has F_c = mean (p_c − [y = c])² and its weights F = mean (…)² h²."""
    recipe, model = started("ewc", strength=3.0, samples=100, labels="true")
    given = context()
    images, labels = given.images(np.arange(18)), given.labels.numpy()
    with torch.no_grad():
        h, z = (t.double().numpy() for t in forward(pretrained(), images))
    error = (np.exp(log_softmax(z)) - np.eye(4)[labels]) ** 2
    fisher: dict[str, Tensor] = recipe._fisher  # type: ignore[attr-defined]
    np.testing.assert_allclose(fisher["fc.bias"].numpy(), error.mean(axis=0), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(fisher["fc.weight"].numpy(), error.T @ h**2 / 18, rtol=1e-4, atol=1e-9)
    start = dict(pretrained().named_parameters())
    penalty = sum(float((fisher[n] * (p - start[n]).square()).sum().detach()) for n, p in model.named_parameters())
    fit = plain(numpy_logits(model, batch()[0]), batch()[1].numpy())
    assert float(loss_of(recipe, model).detach()) == pytest.approx(fit + 1.5 * penalty, rel=1e-5)


def test_ewc_of_a_model_that_keeps_what_follows_from_its_weights() -> None:
    """In evaluation mode some of timm's attention layers compute a table of biases once, with a graph for one use."""
    images = torch.randn(18, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    given = dataclasses.replace(context(), images=lambda positions: images[torch.from_numpy(positions)])
    backbone = {"model": "efficientvit_m0", "options": {}, "image_size": 64}
    torch.manual_seed(0)
    model = build(architecture(backbone, CLASSES, 1), weights="random")
    recipe = recipe_of("ewc", samples=3)
    recipe.prepare(model, given)
    found = recipe._fisher  # type: ignore[attr-defined]
    assert any(name.endswith("attention_biases") for name in found)
    assert float(found["head.linear.bias"].sum()) > 0


def test_ewc_with_sampled_labels_tends_to_the_fisher_information() -> None:
    """Of the bias: mean p_c (1 − p_c). Many copies of one sample, so only the drawn labels differ."""
    recipe, model = recipe_of("ewc", samples=150), pretrained()
    given = context(labels=np.zeros(150, dtype=np.int32))
    one = given.images(np.arange(1))
    torch.manual_seed(0)
    recipe.prepare(model, type(given)(given.fine_tuning, given.labels, lambda _: one, 6, given.coordinates))
    p = np.exp(log_softmax(numpy_logits(pretrained(), one)))[0]
    found = recipe._fisher["fc.bias"].numpy()  # type: ignore[attr-defined]
    # Standard error of a mean of 150 values in [0, 1]
    np.testing.assert_allclose(found, p * (1 - p), atol=4 * 0.5 / math.sqrt(150))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_lwf_and_selective_distillation(temperature: float) -> None:
    images, labels = batch()
    z0 = numpy_logits(pretrained(), images)
    for name, columns in (("lwf", [0, 1, 2, 3]), ("selective_distillation", U)):
        recipe, model = started(name, strength=0.6, temperature=temperature)
        z = numpy_logits(model, images)
        kept = divergence(z0[:, columns], z[:, columns], temperature)
        assert kept > 1e-4
        wanted = plain(z, labels.numpy()) + 0.6 * kept
        assert float(loss_of(recipe, model).detach()) == pytest.approx(wanted, rel=1e-5)


def test_selective_distillation_does_not_see_a_common_shift_of_the_absent_logits() -> None:
    recipe, model = started("selective_distillation", strength=1.0)
    images, labels = batch()
    terms = []
    for shift in (0.0, 5.0):
        with torch.no_grad():
            head(model).bias[U] += shift
        terms.append(float(loss_of(recipe, model).detach()) - plain(numpy_logits(model, images), labels.numpy()))
    assert terms[0] == pytest.approx(terms[1], abs=1e-5)


@pytest.mark.parametrize("name", ["lwf", "selective_distillation"])
def test_the_teacher_stays_as_it_was(name: str) -> None:
    recipe, model = started(name)
    before = {k: v.clone() for k, v in recipe._teacher.state_dict().items()}  # type: ignore[attr-defined]
    model.train()
    loss_of(recipe, model).backward()  # type: ignore[no-untyped-call]
    after = recipe._teacher.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(torch.equal(v, after[k]) for k, v in pretrained().state_dict().items())
