"""Models: the head, features and logits that belong together, and files that say what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from finecal.errors import UserError
from finecal.io.list_columns import matrix
from finecal.io.parquet import read_metadata, read_table
from finecal.models.build import Architecture, architecture, build, forward, head
from finecal.models.extraction import extract
from finecal.models.files import load_model, save_model, write_head
from finecal.runtime.device import choose_device

CLASSES = ("cat", "dog", "eel", "fox")
TINY = {"model": "test_resnet", "options": {}, "image_size": 32}


def description(channels: int = 3, **changes: Any) -> Architecture:
    return architecture({**TINY, **changes}, CLASSES, channels)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return build(description(), weights="random").eval()


# ------------------------------------------------------------------ building


def test_one_row_of_the_head_per_class(model: nn.Module) -> None:
    assert head(model).weight.shape == (4, 96)
    assert head(model) is model.get_classifier()


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
@torch.inference_mode()
def test_the_head_on_the_features_gives_the_logits(name: str) -> None:
    built = build(description(model=name, image_size=64), weights="random").eval()
    images = torch.rand(2, 3, 64, 64)
    features, logits = forward(built, images)
    torch.testing.assert_close(logits, built(images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits, features @ head(built).weight.T + head(built).bias, atol=1e-5, rtol=1e-5)


def test_grey_images_have_one_mean() -> None:
    colour, grey = description(3), description(1)
    assert len(colour.mean) == len(colour.std) == 3
    assert grey.mean == (pytest.approx(np.mean(colour.mean)),)
    assert build(grey, weights="random").eval()(torch.rand(1, 1, 32, 32)).shape == (1, 4)


def test_random_weights_come_from_the_global_seed() -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(head(build(description(), weights="random")).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def message_of(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        build(description(**changes), weights="random")
    return str(caught.value)


def test_an_option_that_the_model_does_not_take() -> None:
    assert message_of(options={"nonsense": 1}) == (
        "backbones: timm cannot create 'test_resnet' with {'nonsense': 1}: "
        "ResNet.__init__() got an unexpected keyword argument 'nonsense'."
    )


def test_weights_that_timm_does_not_know() -> None:
    assert message_of(model="test_resnet.mine") == (
        "backbones: unknown weights 'test_resnet.mine'. Known, closest first: test_resnet.r160_in1k."
    )


# ------------------------------------------------------------------ files


def test_a_model_comes_back_with_its_architecture(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    wanted = description(options={"drop_rate": 0.25})
    save_model(path, model, wanted, provenance={"version": "x"})
    loaded, found = load_model(path)
    assert found == wanted
    assert isinstance(found.classes, tuple)
    assert found.classes == CLASSES
    assert loaded.drop_rate == 0.25
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_same_model_gives_the_same_bytes(model: nn.Module, tmp_path: Path) -> None:
    for name, record in (("one", {"b": 1, "a": 2}), ("two", {"a": 2, "b": 1})):
        save_model(tmp_path / name, model, description(), provenance=record)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def load_error(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_model(path)
    return str(caught.value)


def test_files_that_are_no_model(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert load_error(path) == f"{path}: this file is missing."
    save_model(path, model, description(), provenance={})
    content = path.read_bytes()
    for spoilt in (b"", b"not safetensors at all", content[:200], content[:-7]):
        path.write_bytes(spoilt)
        assert load_error(path).startswith(f"{path}: not readable as safetensors (")
    safetensors.torch.save_file({"x": torch.zeros(1)}, path)
    assert load_error(path) == f"{path}: these weights do not say which model they belong to."


def test_the_head_as_a_table(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "head.parquet"
    write_head(path, model, CLASSES, {"dataset": "pets", "seed": 1}, provenance={"version": "x"})
    table = read_table(path)
    assert table.column_names == ["dataset", "seed", "class", "name", "weight", "bias", "scale"]
    assert table["name"].to_pylist() == list(CLASSES)
    assert np.array_equal(matrix(table["weight"]), head(model).weight.detach().numpy())
    assert np.array_equal(table["bias"].to_numpy(), head(model).bias.detach().numpy())
    assert read_metadata(path) == {"version": "x"}


# ------------------------------------------------------------------ extraction


def test_extraction_does_not_depend_on_the_batches(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
    pixels.setflags(write=False)  # as Arrow's memory is
    features, logits = extract(model, description(), pixels, torch.device("cpu"))
    assert (features.shape, logits.shape) == ((7, 96), (7, 4))
    assert features.dtype == logits.dtype == np.float32
    monkeypatch.setattr("finecal.models.extraction.BATCH", 2)
    again = extract(model, description(), pixels, torch.device("cpu"))
    np.testing.assert_allclose(again[0], features, atol=1e-5)
    np.testing.assert_allclose(again[1], logits, atol=1e-5)


def test_extraction_leaves_the_model_as_it_was(model: nn.Module) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pixels = np.zeros((2, 8, 8, 3), np.uint8)
    model.train()
    extract(model, description(), pixels, torch.device("cpu"))
    assert model.training
    model.eval()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_logits_that_are_not_finite() -> None:
    broken = build(description(), weights="random")
    with torch.no_grad():
        head(broken).bias[2] = torch.nan
    with pytest.raises(UserError) as caught:
        extract(broken, description(), np.zeros((3, 8, 8, 3), np.uint8), torch.device("cpu"))
    assert str(caught.value) == "the model gives logits that are not finite, first for image 0 of 3."


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    try:
        assert choose_device("auto", 1).type == "cpu"
        with pytest.raises(UserError) as caught:
            choose_device("cuda", 1)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    assert str(caught.value) == (
        "config.yaml: device: device is 'cuda', but no GPU is visible to this job. "
        "Hint: Check that the job has a GPU (CUDA_VISIBLE_DEVICES) and its driver works, or set `device: cpu`."
    )
