"""An exported folder gives finecal's calibrated logits: by timm, by its own calibrated.py, by ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from finecal import registry, schemas
from finecal.calibration.contract import AddGamma, Data, Head, Labelled, PseudoFold, Unlabelled
from finecal.calibration.deployment import affine, export_form
from finecal.calibration.parameters import state_rows
from finecal.config import plugin_options
from finecal.errors import UserError
from finecal.export import onnx_file
from finecal.export.comparison import TOLERANCE, compare
from finecal.export.folder import fold, load_exported, write_model
from finecal.export.model_card import accuracy_interval
from finecal.export.onnx_file import run_onnx, write_onnx
from finecal.io.parquet import write_table
from finecal.io.provenance import provenance
from finecal.models.build import Architecture, architecture, build, head
from finecal.models.extraction import extract
from finecal.models.files import load_model, save_model
from finecal.stages.export import read_fitted_state

CLASSES = ("ant", "bee", "cod", "dab", "eel")
FINE_TUNING = np.array([True, False, True, True, False])
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (24, 20, 20, 3), dtype=np.uint8)
# Others to fit on: the gate's threshold is the energy of one of them, on which rounding would decide.
FITTED_ON = RANDOM.integers(0, 256, (24, 20, 20, 3), dtype=np.uint8)
LABELS = np.arange(24) % 5
CALIBRATORS = sorted({*registry.names("calibrator")})
FOLDED = {
    "none", "alg", "source_gap", "midpoint", "pcv", "pcv_all_classes", "pcv_combined", "pcv_published", "pcv_scaled",
    "pcv_scaled_gap", "temperature", "oracle", "calibrated_stacking", "logit_adjustment",
    "logit_adjustment_validated", "prior_shift_em", "bic",
    "standardised", "tau_norm", "tau_norm_validated", "weight_align", "wise_ft",
}  # fmt: skip


def description(channels: int = 3, **more: Any) -> Architecture:
    return architecture({"model": "test_resnet", "options": {}, "image_size": 16, **more}, CLASSES, channels)


def model_of(described: Architecture, seed: int) -> nn.Module:
    """Random weights with which every class wins somewhere."""
    torch.manual_seed(seed)
    model = build(described, weights="random").eval()
    with torch.no_grad():
        nn.init.normal_(head(model).weight, std=2.0)
        if head(model).bias is not None:
            nn.init.normal_(head(model).bias)
    return model


def fitted(name: str, described: Architecture) -> tuple[nn.Module, nn.Module, dict[str, Any], np.ndarray]:
    """Fine-tuned and pretrained model, the form of the calibrator, and its logits of PIXELS."""
    model, pretrained = model_of(described, 1), model_of(described, 2)
    cpu = torch.device("cpu")
    features, logits = extract(model, described, FITTED_ON, cpu)
    before = extract(pretrained, described, FITTED_ON, cpu)[1]
    linear = head(model)
    bias = np.zeros(5) if linear.bias is None else linear.bias.detach().double().numpy()
    rows = Head(linear.weight.detach().double().numpy(), bias)
    more = {"features": features, "pretrained": before, "weights": rows}
    of_s = FINE_TUNING[LABELS]
    seen = {name: value[of_s] if isinstance(value, np.ndarray) else value for name, value in more.items()}
    every = Labelled(logits, LABELS, more=more)
    of_s_alone = Labelled(logits[of_s], LABELS[of_s], more=seen)
    columns = np.flatnonzero(FINE_TUNING)
    fold = PseudoFold(
        logits[of_s][:, columns], np.searchsorted(columns, LABELS[of_s]), np.array([True, True, False]),
        all_logits=logits[of_s],
        more={"pretrained": before[of_s][:, columns]},
    )  # fmt: skip
    available = {
        "pseudo_splits": [fold], "train_fine_tuning": of_s_alone,
        "target_unlabelled": Unlabelled(logits, more=more), "validation": every, "test": every, "weights": rows,
    }  # fmt: skip
    module, takes = registry.load("calibrator", name), registry.calibrator_record(name).takes
    method = module.Calibrator(plugin_options("calibrator", name, {}))
    state = method.fit(Data(FINE_TUNING, available, module.READS, takes))
    state = {key: np.ravel(value) if isinstance(value, np.ndarray) else value for key, value in state.items()}
    form = export_form(method, takes, state, FINE_TUNING, rows)
    features, logits = extract(model, described, PIXELS, cpu)
    more |= {"features": features, "pretrained": extract(pretrained, described, PIXELS, cpu)[1]}
    wanted = logits if name == "wise_ft" else method.apply(
        Unlabelled(logits.astype(np.float64), more=more), state, FINE_TUNING
    )  # fmt: skip
    if form["kind"] == "interpolated":  # the stage sets the weights, and exports that model
        form = {"kind": "affine", "scale": np.ones(5), "shift": np.zeros(5)}
    return model, pretrained, {"calibrator": name, "reads": [], **form, "fine_tuning": FINE_TUNING}, wanted


def exported(name: str, described: Architecture, folder: Path) -> tuple[bool, np.ndarray]:
    model, pretrained, form, wanted = fitted(name, described)
    folder.mkdir(exist_ok=True)
    return write_model(folder, model, described, form, pretrained if form["kind"] == "ensemble" else None), wanted


@pytest.mark.parametrize("name", CALIBRATORS)
def test_the_folder_gives_the_calibrator_s_logits(name: str, tmp_path: Path) -> None:
    folded, wanted = exported(name, description(), tmp_path)
    assert folded == (name in FOLDED)
    assert (tmp_path / "calibrated.py").is_file() != folded
    rows, notes = compare(tmp_path, description(), PIXELS, np.asarray(wanted, np.float64), onnx=False)
    assert notes == []
    assert rows[0]["compared"] == "folder"
    assert rows[0]["max_abs_difference"] < 1e-4 * max(1.0, np.abs(wanted).max())
    assert rows[0]["same_prediction"] == 1.0


@pytest.mark.parametrize("model", ["repvit_m1", "dla46x_c"])
@pytest.mark.parametrize("name", ["alg", "ncm"])
def test_a_classifier_that_is_no_linear_layer_in_timm(name: str, model: str, tmp_path: Path) -> None:
    """Batch normalisation before the linear layer, a 1 × 1 convolution: features are what the last layer reads."""
    options = {"distillation": False} if model == "repvit_m1" else {}
    described = description(model=model, image_size=32, options=options)
    folded, wanted = exported(name, described, tmp_path)
    assert folded == (name in FOLDED)
    rows, _ = compare(tmp_path, described, PIXELS, np.asarray(wanted, np.float64), onnx=False)
    assert rows[0]["max_abs_difference"] < 1e-4 * max(1.0, np.abs(wanted).max())
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["label_names"] == list(CLASSES)


@pytest.mark.parametrize("name", ["alg", "ood_gate", "ncm", "group_log_softmax"])
def test_a_cosine_head(name: str, tmp_path: Path) -> None:
    folded, wanted = exported(name, description(head="cosine", head_scale=7.0), tmp_path)
    assert not folded
    rows, _ = compare(tmp_path, description(head="cosine"), PIXELS, np.asarray(wanted, np.float64), onnx=False)
    assert rows[0]["max_abs_difference"] < 1e-4 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("name", ["alg", "ood_gate", "logit_ensemble"])
def test_onnx_agrees_for_any_number_of_images(name: str, tmp_path: Path) -> None:
    import onnx

    exported(name, description(), tmp_path)
    model = load_exported(tmp_path)
    write_onnx(tmp_path / "model.onnx", model, description())
    images = torch.randn(40, 3, 16, 16)
    with torch.inference_mode():
        wanted = model(images).numpy()
    for n in (1, 3, 40):
        np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images[:n].numpy()), wanted[:n], atol=1e-3)
    told = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert told["classes"] == list(CLASSES)
    assert told["preprocessing"]["crop_mode"] == "squash"


def test_attention_over_windows_is_written_as_onnx(tmp_path: Path) -> None:
    """Hiera's queries have five dimensions, which torch's exporter does not write as fused attention."""
    small = {"embed_dim": 8, "stages": (1, 1, 1, 1)}
    described = architecture({"model": "hiera_tiny_224", "options": small, "image_size": 64}, CLASSES, 3)
    made = model_of(described, 1)
    fused = [module.fused_attn for module in made.modules() if hasattr(module, "fused_attn")]
    write_onnx(tmp_path / "model.onnx", made, described)
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        wanted = made(images).numpy()
    np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images.numpy()), wanted, atol=1e-4)
    assert fused
    assert fused == [module.fused_attn for module in made.modules() if hasattr(module, "fused_attn")]


def test_weights_that_are_too_many_for_one_onnx_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx

    monkeypatch.setattr(onnx_file, "LARGEST", 1000)
    model = model_of(description(), 1)
    assert onnx_file.count_bytes(model) > 4 * sum(p.numel() for p in model.parameters()) > 1000
    write_onnx(tmp_path / "model.onnx", model, description())
    assert (tmp_path / "model.onnx.data").stat().st_size > (tmp_path / "model.onnx").stat().st_size
    images = torch.randn(3, 3, 16, 16)
    with torch.inference_mode():
        wanted = model(images).numpy()
    np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images.numpy()), wanted, atol=1e-3)
    told = {entry.key for entry in onnx.load(tmp_path / "model.onnx", load_external_data=False).metadata_props}
    assert {"classes", "preprocessing"} <= told


class Undecided(nn.Module):
    """A model that torch's exporter cannot write: what it does depends on the pixels."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images if images.sum() > 0 else -images


def test_what_onnx_cannot_express_is_said_in_one_plain_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        write_onnx(tmp_path / "model.onnx", Undecided(), description())
    said = str(caught.value)
    assert said.startswith("torch cannot write 'test_resnet' as ONNX (")
    assert said.endswith(" Hint: Use --no-onnx.")
    assert [word for word in ("\x1b", "<class", "step 1", "\n") if word in said] == []


def test_onnx_that_is_not_valid_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise onnx.checker.ValidationError("Nodes in a graph must be topologically sorted\n==> Context: ")

    monkeypatch.setattr(onnx.checker, "check_model", refuse)
    with pytest.raises(UserError, match=r"is no valid ONNX \(Nodes in a graph must be topologically sorted\)\. Hint"):
        write_onnx(tmp_path / "model.onnx", nn.Flatten(), description())


def test_tensors_with_two_names(tmp_path: Path) -> None:
    """CoaT's position encodings: saved, loaded and exported, each name with a copy of its own."""
    described = architecture({"model": "coat_tiny", "options": {}, "image_size": 32}, CLASSES, 3)
    model = model_of(described, 1)
    tensors = model.state_dict()
    assert len({tensor.data_ptr() for tensor in tensors.values()}) < len(tensors)
    save_model(tmp_path / "model.safetensors", model, described, provenance={})
    loaded, _ = load_model(tmp_path / "model.safetensors")
    form = {"kind": "affine", "scale": np.ones(5), "shift": np.zeros(5), "fine_tuning": FINE_TUNING}
    assert write_model(tmp_path / "folder", loaded, described, form, None)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        wanted = model(images)
        for other in (loaded.eval(), load_exported(tmp_path / "folder")):
            torch.testing.assert_close(other(images), wanted, atol=1e-4, rtol=1e-4)
    readable = (tmp_path / "folder" / "config.json").stat().st_mode
    assert (tmp_path / "folder" / "model.safetensors").stat().st_mode == readable


def test_timm_loads_it_with_nothing_else(tmp_path: Path) -> None:
    model = model_of(description(), 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scale, shift = np.array([1.0, 2.0, 1.0, 0.5, 1.0]), np.array([0.0, 3.0, 0.0, 0.0, 3.0])
    form = {"kind": "affine", "scale": scale, "shift": shift, "fine_tuning": FINE_TUNING}
    assert write_model(tmp_path, model, description(), form, None)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    for name, value in loaded.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(value, before[name]), name
    np.testing.assert_allclose(loaded.fc.bias.detach(), scale * before["fc.bias"].numpy() + shift, rtol=1e-6)
    np.testing.assert_allclose(loaded.fc.weight.detach(), scale[:, None] * before["fc.weight"].numpy(), rtol=1e-6)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["label_names"] == list(CLASSES)
    assert config["pretrained_cfg"]["crop_mode"] == "squash"
    assert config["pretrained_cfg"]["input_size"] == [3, 16, 16]


def test_grey_images(tmp_path: Path) -> None:
    grey = description(channels=1)
    form = {"kind": "affine", "scale": np.ones(5), "shift": np.zeros(5), "fine_tuning": FINE_TUNING}
    model = model_of(grey, 1)
    pixels = PIXELS[..., :1].copy()
    wanted = extract(model, grey, pixels, torch.device("cpu"))[1].astype(np.float64)
    write_model(tmp_path, model, grey, form, None)
    rows, _ = compare(tmp_path, grey, pixels, wanted, onnx=False)
    assert [row["compared"] for row in rows] == ["folder", "timm_transform"]
    assert rows[0]["max_abs_difference"] < 1e-5


def test_a_folder_that_gives_other_logits_is_refused(tmp_path: Path) -> None:
    _, wanted = exported("alg", description(), tmp_path)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    weights["fc.bias"][0] += 1
    assert TOLERANCE * np.abs(wanted).max() < 0.05  # far smaller errors would be found, too
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UserError) as caught:
        compare(tmp_path, description(), PIXELS, np.asarray(wanted, np.float64), onnx=False)
    assert "the exported classifier (folder) is 1 off finecal's logits. So nothing was written." in str(caught.value)


def test_a_model_of_finecal_alone_is_refused(tmp_path: Path) -> None:
    plane = architecture({"model": "finecal_mlp", "options": {}, "image_size": 8}, CLASSES, 1)
    form = {"kind": "affine", "scale": np.ones(5), "shift": np.zeros(5), "fine_tuning": FINE_TUNING}
    with pytest.raises(UserError) as caught:
        write_model(tmp_path, build(plane, weights="random"), plane, form, None)
    assert str(caught.value) == (
        "'finecal_mlp' cannot be exported. It is finecal's own model, which timm alone cannot load."
    )


def test_a_calibrator_that_is_not_fitted_yet(tmp_path: Path) -> None:
    """It came into the study after the calibration, or its options have changed."""
    path = tmp_path / "calibration.parquet"
    use = {name: {"calibrator": name, "options": {}} for name in ("none", "alg", "pcv")}
    rows = state_rows("alg", ["train_fine_tuning"], {"gamma": 2.5})
    options = {name: use[name] for name in ("none", "alg")}
    fitted = pa.Table.from_pylist(rows, schema=schemas.own_columns(schemas.CALIBRATION))
    write_table(path, fitted, provenance=provenance({"options": options}))
    assert read_fitted_state(path, "alg", use["alg"]) == {"gamma": 2.5}
    assert read_fitted_state(path, "none", use["none"]) == {}
    for name, told, one in (
        ("pcv", "'pcv' is not fitted yet", use["pcv"]),
        ("alg", "'alg' is not fitted with these options yet", {**use["alg"], "options": {"more": 1}}),
    ):
        with pytest.raises(UserError) as caught:
            read_fitted_state(path, name, one)
        assert str(caught.value) == (
            f"{path}: {told}. It has alg, none. Hint: snakemake {path} fits what the study has now."
        )


# ------------------------------------------------------------------ which methods fold


class Sometimes(AddGamma):
    """Adds γ where the first logit is large: not one shift for every sample."""

    def apply(self, inputs: Unlabelled, state: Any, fine_tuning: Any) -> Any:
        return inputs.logits + (inputs.logits[:, :1] > 50) * np.where(fine_tuning, 0.0, state["gamma"])


def test_a_method_is_tried_before_it_is_folded() -> None:
    found = affine(AddGamma(), {"gamma": 2.5}, FINE_TUNING, {})
    assert found is not None
    np.testing.assert_array_equal(found[0], np.ones(5))
    np.testing.assert_array_equal(found[1], [0, 2.5, 0, 0, 2.5])
    assert affine(Sometimes(), {"gamma": 2.5}, FINE_TUNING, {}) is None
    with pytest.raises(UserError) as caught:
        export_form(Sometimes(), frozenset(), {"gamma": 2.5}, FINE_TUNING, Head(np.ones((5, 2)), np.zeros(5)))
    assert str(caught.value).startswith("this calibrator cannot be exported.")


def test_a_head_without_bias_is_not_folded() -> None:
    model = build(description(), weights="random")
    model.fc = nn.Linear(96, 5, bias=False)
    before = model.fc.weight.detach().clone()
    assert not fold(model, np.full(5, 2.0), np.ones(5))
    assert torch.equal(model.fc.weight, before)


def test_the_interval_of_an_accuracy_at_its_ends() -> None:
    assert accuracy_interval(1.0, 50) == pytest.approx((50 / (50 + 1.959964**2), 1.0))
    assert accuracy_interval(0.0, 50)[0] == pytest.approx(0.0, abs=1e-12)
