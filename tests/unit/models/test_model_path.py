"""How models are run: features that are computed once, precision, the order of weights in memory, compilation."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipe_runs import (
    CLASSES,
    COORDINATES,
    DESCRIPTION,
    DEVICE,
    FINE_TUNING,
    LABELS,
    SIZE,
    TRAINING,
    data,
    pretrained,
    recipe_of,
)
from recipe_runs import one_thread as one_thread
from torch import Tensor, nn

from finecal.data.augmentation import resize_and_normalise
from finecal.errors import UserError
from finecal.models.build import architecture, build, forward, head, logits_of, normaliser
from finecal.models.extraction import BATCH, classify, extract
from finecal.runtime.device import autocast, device_record, numerics, place_model, resolve_precision
from finecal.training.batches import Batches
from finecal.training.loop import TrainingRun
from finecal.training.optimizer import learning_rate_factor, make_optimizer
from finecal.training.state import StateFile, fingerprint
from finecal.training.task import Execution, TrainingTask


def passes(model: nn.Module) -> list[int]:
    """Notes the size of each batch that goes through the backbone."""
    found: list[int] = []
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_hook(lambda module, inputs, output: found.append(len(output)))
    return found


def run(model: nn.Module, recipe: str, state: Path, **options: Any) -> list[dict[str, float]]:
    settings, training = options.pop("settings", {}), options.pop("training", TRAINING)
    description = options.pop("description", DESCRIPTION)
    task = TrainingTask(
        model, description, data(), recipe_of(recipe, **options), training, FINE_TUNING, COORDINATES
    )  # fmt: skip
    return TrainingRun(task, StateFile(state, {}, 0), lambda _: {}, **settings).run()


# ------------------------------------------------------------------ features computed once


def test_a_probe_on_features_is_regression_on_them(tmp_path: Path) -> None:
    """The same by hand: features of θ⁰ once, then steps of the last layer alone."""
    model = pretrained()
    found = passes(model)
    history = run(model, "linear_probe", tmp_path / "state.pt", augment=False)
    assert found == [len(LABELS)]

    by_hand, samples = pretrained(), data()
    with torch.no_grad():
        images = resize_and_normalise(
            samples.pixels[np.arange(len(LABELS))], DESCRIPTION.image_size, normaliser(DESCRIPTION, DEVICE)
        )
        features, _ = forward(by_hand, images)
    by_hand.requires_grad_(False)
    layer = head(by_hand).requires_grad_(True)
    optimizer = make_optimizer(by_hand, TRAINING)
    batches, losses = Batches(len(LABELS), TRAINING.batch_size, COORDINATES), []
    for step in range(6):
        optimizer.param_groups[0]["lr"] = TRAINING.lr * learning_rate_factor(step, 6, 0)
        chosen = torch.from_numpy(batches[step])
        loss = nn.functional.cross_entropy(layer(features[chosen]), samples.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert [row["loss"] for row in history[1:]] == pytest.approx([np.mean(losses[:3]), np.mean(losses[3:])], rel=1e-6)
    torch.testing.assert_close(head(model).weight, layer.weight, rtol=1e-5, atol=1e-7)
    for name, value in pretrained().state_dict().items():
        assert name.startswith("fc.") or torch.equal(value, model.state_dict()[name])


def test_a_probe_on_augmented_images_passes_each_batch_through_the_model(tmp_path: Path) -> None:
    model = pretrained()
    found = passes(model)
    run(model, "linear_probe", tmp_path / "state.pt", augment=True)
    assert found == [6] * 6


def test_features_can_be_given(tmp_path: Path) -> None:
    model, other = pretrained(), pretrained()
    features, _ = extract(other, DESCRIPTION, data().pixels, DEVICE)
    found = passes(model)
    given = run(model, "linear_probe", tmp_path / "1.pt", augment=False, settings={"features": lambda: features})
    computed = run(other, "linear_probe", tmp_path / "2.pt", augment=False)
    assert found == []
    assert [row["loss"] for row in given[1:]] == [row["loss"] for row in computed[1:]]
    assert torch.equal(head(model).weight, head(other).weight)


@pytest.mark.parametrize(("augmented", "expected"), [(False, [18] + [6] * 6), (True, [6] * 12)])
def test_the_first_half_of_lp_ft_is_a_probe_on_features(tmp_path: Path, augmented: bool, expected: list[int]) -> None:
    model = pretrained()
    found = passes(model)
    run(model, "lp_ft", tmp_path / "state.pt", augment_probe=augmented)
    assert found == expected


@pytest.mark.parametrize("recipe", ["linear_probe", "lp_ft"])
@pytest.mark.parametrize("step", [1, 4, 5])
def test_a_probe_taken_up_again_is_the_same(tmp_path: Path, recipe: str, step: int) -> None:
    class StoppedError(Exception):
        pass

    whole = pretrained()
    history = run(whole, recipe, tmp_path / "whole.pt")
    used_up = recipe_of(recipe)

    def stop(model: nn.Module, number: int) -> None:
        if number == step:
            raise StoppedError

    used_up.after_step = stop  # type: ignore[method-assign]
    task = TrainingTask(pretrained(), DESCRIPTION, data(), used_up, TRAINING, FINE_TUNING, COORDINATES)
    with pytest.raises(StoppedError):
        TrainingRun(task, StateFile(tmp_path / "state.pt", {}, 0), lambda _: {}).run()
    again = pretrained()
    rest = run(again, recipe, tmp_path / "state.pt")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    assert [row["loss"] for row in rest[1:]] == [row["loss"] for row in history[1:]]


def test_classifying_features_is_extracting_logits() -> None:
    """To the bit, over more than one batch."""
    model = pretrained()
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH + 37, 16, 16, 1), dtype=np.uint8)
    features, logits = extract(model, DESCRIPTION, pixels, DEVICE)
    assert classify(model, features, DEVICE).tobytes() == logits.tobytes()
    assert classify(model, features[:0], DEVICE).shape == (0, 4)
    assert [a.shape for a in extract(model, DESCRIPTION, pixels[:0], DEVICE)] == [(0, features.shape[1]), (0, 4)]
    features[280, 0] = np.nan
    with pytest.raises(UserError, match="not finite, first for image 280 of"):
        classify(model, features, DEVICE)


# ------------------------------------------------------------------ precision


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], torch.device]:
    def make(has_bf16: bool) -> torch.device:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_bf16)
        return torch.device("cuda")

    return make


def test_auto_is_bfloat16_on_a_gpu_that_has_it(gpu: Callable[[bool], torch.device]) -> None:
    assert resolve_precision("auto", DEVICE) == "float32"
    assert resolve_precision("auto", gpu(True)) == "bfloat16"
    assert resolve_precision("auto", gpu(False)) == "float32"
    assert resolve_precision("bfloat16", DEVICE) == "bfloat16"
    assert resolve_precision("float32", gpu(True)) == "float32"
    assert device_record(DEVICE) == {"device": "cpu", "precision": "float32"}
    assert device_record(DEVICE, "bfloat16") == {"device": "cpu", "precision": "bfloat16"}
    assert device_record(DEVICE, compiled=True) == {"device": "cpu", "precision": "float32", "compiled": True}


def test_a_state_is_of_one_precision_and_of_one_way_to_run_the_model(gpu: Callable[[bool], torch.device]) -> None:
    ways = [(DEVICE, "auto", False), (DEVICE, "auto", True), (DEVICE, "bfloat16", False)]
    assert len({fingerprint(numerics(*way)) for way in ways}) == 3
    assert numerics(gpu(True), "auto", False) == numerics(DEVICE, "bfloat16", False)


def test_bfloat16_is_used_where_it_is_asked_for(tmp_path: Path) -> None:
    kinds: dict[str, set[torch.dtype]] = {}
    # With smaller images a strided convolution gets 1 × 1 pixels: see HINTS in training/loop.py.
    description = dataclasses.replace(DESCRIPTION, image_size=32)
    for precision in ("float32", "bfloat16"):
        model = pretrained()
        seen = kinds.setdefault(precision, set())
        model.conv1[0].register_forward_hook(lambda module, inputs, output, seen=seen: seen.add(output.dtype))
        settings = {"execution": Execution(precision)}
        history = run(model, "full", tmp_path / f"{precision}.pt", settings=settings, description=description)
        assert all(np.isfinite(row["loss"]) for row in history[1:])
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert kinds == {"float32": {torch.float32}, "bfloat16": {torch.bfloat16}}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_loss_that_is_not_finite_names_the_precision_to_try(tmp_path: Path, precision: str) -> None:
    model = pretrained()
    with torch.no_grad():
        head(model).weight.fill_(torch.inf)
    with pytest.raises(UserError, match="the loss of step 0 is nan") as caught:
        run(model, "full", tmp_path / "state.pt", settings={"execution": Execution(precision)})
    assert ("`precision: float32`" in str(caught.value)) == (precision == "bfloat16")


def test_logits_have_32_bits_in_every_precision() -> None:
    """With those of bfloat16 some samples would be equal that are not; the features are what is less precise."""
    model = pretrained()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 1), dtype=np.uint8)
    features, logits = extract(model, DESCRIPTION, pixels, DEVICE, "bfloat16")
    exact, _ = extract(model, DESCRIPTION, pixels, DEVICE)
    assert features.dtype == logits.dtype == np.float32
    assert 0 < np.abs(features - exact).max() < 0.1 * np.abs(exact).max()
    with torch.no_grad(), autocast(DEVICE, "bfloat16"):
        assert torch.equal(logits_of(model, torch.from_numpy(features)), torch.from_numpy(logits))
    assert not torch.equal(torch.from_numpy(logits), torch.from_numpy(logits).bfloat16().float())


# ------------------------------------------------------------------ order in memory, compilation


def test_weights_lie_channels_last() -> None:
    weight = place_model(nn.Conv2d(3, 5, 3), DEVICE).weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


@pytest.mark.parametrize("recipe", ["full", "lora", "lolsgd", "lwf", "ewc", "soup", "linear_probe"])
def test_recipes_train_weights_that_lie_channels_last(tmp_path: Path, recipe: str) -> None:
    """The same but for rounding, which a small learning rate keeps small."""
    training = TRAINING.model_copy(update={"lr": 0.005})
    results: list[dict[str, Tensor]] = []
    for order in (torch.contiguous_format, torch.channels_last):
        model = pretrained().to(memory_format=order)
        history = run(model, recipe, tmp_path / f"{order}.pt", training=training)
        results.append({**model.state_dict(), "loss": torch.tensor([row["loss"] for row in history[1:]])})
    assert not results[1]["conv1.0.weight"].is_contiguous() or results[1]["conv1.0.weight"].shape[1] == 1
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++ on the CPU")
def test_a_compiled_model_trains_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A convolution, its normalisation and one block: g++ takes a second for each of what is compiled together."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    options = {"block_config": [1], "growth_rate": 8}
    small = architecture({"model": "densenet121", "options": options, "image_size": SIZE}, CLASSES, 1)
    torch.manual_seed(0)
    plain = place_model(build(small, weights="random"), DEVICE)
    compiled = copy.deepcopy(plain)
    expected = run(plain, "full", tmp_path / "plain.pt", description=small)
    settings = {"execution": Execution(compiled=True)}
    found = run(compiled, "full", tmp_path / "compiled.pt", description=small, settings=settings)
    assert compiled._compiled_call_impl is not None
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert [row["loss"] for row in found[1:]] == pytest.approx([row["loss"] for row in expected[1:]], rel=1e-3)
