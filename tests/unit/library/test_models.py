"""γ folded into a model gives the logits with γ, whatever its last layer is; a timm folder is loaded by timm alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from logits_cases import S, arrays
from PIL import Image
from torch import Tensor, nn

from finecal import UserError, calibrate, diagnose, read_table
from finecal.library.command import diagnose_files

IMAGES = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(0))
A = arrays()


class Table(nn.Module):
    """The logits of each image are stored: its first pixel is the row. The head is the identity, as a layer."""

    def __init__(self, logits: np.ndarray, *, bias: bool) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(logits))
        self.last = nn.Linear(6, 6, bias=bias)
        with torch.no_grad():
            self.last.weight.copy_(torch.eye(6))
            if bias:
                self.last.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.last(self.get_buffer("rows")[images.flatten(1)[:, 0].long()])
        return found


class Scaled(Table):
    """The last linear layer does not give the logits."""

    def forward(self, images: Tensor) -> Tensor:
        return 2 * super().forward(images)


NUMBERS = torch.arange(240).float().reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2)
LOADER = [(NUMBERS[k : k + 50], torch.from_numpy(A["label"][k : k + 50])) for k in range(0, 240, 50)]


@pytest.mark.parametrize("model", [Table(A["logits"], bias=True), Table(A["logits"], bias=False)])
def test_gamma_is_in_the_last_layer(model: Table) -> None:
    folded = calibrate(model, LOADER, S)
    assert type(folded) is Table
    gamma = folded.finecal["gamma"]
    r = diagnose(A["logits"], A["label"], S, subset=["train"] * 239 + ["test"])
    assert gamma == pytest.approx(r.gammas["alg"], rel=1e-3)
    wanted = A["logits"] + np.where(np.arange(6) < 3, 0, gamma)
    np.testing.assert_allclose(folded(NUMBERS).detach().numpy(), wanted, atol=1e-4)
    np.testing.assert_allclose(model(NUMBERS).detach().numpy(), A["logits"], atol=1e-6)  # as it was


def test_gamma_is_behind_a_model_whose_last_layer_cannot_hold_it() -> None:
    folded = calibrate(Scaled(A["logits"], bias=True), LOADER, S)
    wanted = 2 * A["logits"] + np.where(np.arange(6) < 3, 0, folded.finecal["gamma"])
    np.testing.assert_allclose(folded(NUMBERS).numpy(force=True), wanted, atol=1e-3)
    assert folded.state_dict().keys() >= {"shift", "model.last.weight"}


def test_with_a_pretrained_model_it_is_the_source_gap() -> None:
    before = Table(A["logits"] - np.where(np.arange(6) < 3, 4, 0).astype(np.float32), bias=True)
    folded = calibrate(Table(A["logits"], bias=True), LOADER, S, pretrained=before)
    assert folded.finecal["calibrator"] == "source_gap"
    assert folded.finecal["gamma"] == pytest.approx(4, abs=0.5)


def test_what_cannot_be_calibrated_is_said() -> None:
    model = Table(A["logits"], bias=True)
    with pytest.raises(UserError, match="the loader is empty"):
        calibrate(model, [], S)
    with pytest.raises(UserError, match="'pcv' reads pseudo_splits"):
        calibrate(model, LOADER, S, method="pcv")
    wrong = [(images, (labels + 1) % 6) for images, labels in LOADER]
    with pytest.raises(UserError, match="the labels start at 1"):
        calibrate(model, wrong, S)
    assert model.training  # as it was


def test_a_folder_for_timm(tmp_path: Path) -> None:
    """What `finecal export` writes, from the same code: model, ONNX, check and card."""
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=6).eval()
    r = diagnose(A["logits"], A["label"], S, subset=A["subset"], classes=list("abcdef"))
    folder = r.export(model, tmp_path / "mine")
    r.export(model, folder)  # its own folder it replaces
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.no_grad():
        wanted = r.apply(model(IMAGES))
        np.testing.assert_allclose(loaded(IMAGES), wanted, atol=1e-4)
    config = json.loads((folder / "config.json").read_text())
    assert config["label_names"] == list("abcdef")
    assert json.loads((folder / "calibration.json").read_text())["gamma"] == pytest.approx(r.gamma)
    assert set(read_table(folder / "check.parquet")["compared"].to_pylist()) >= {"folder", "onnx", "timm_transform"}
    card = (folder / "README.md").read_text("utf-8")
    for part in (r.advice, "`model.onnx` is the same classifier", "## Accuracy", "n = 120", "on images of noise"):
        assert part in card
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").write_text("")
    for wrong, place in ((model, "notes"), (nn.Linear(3, 6), "new")):
        with pytest.raises(UserError, match=r"something else under this name|not a model of timm"):
            r.export(wrong, tmp_path / place)
    assert not (tmp_path / "new").exists()


def test_the_command_line_exports_a_model_of_timm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=6).eval()
    timm.models.save_for_hf(model, str(tmp_path / "mine"), safe_serialization=True)
    np.savez(tmp_path / "tuned.npz", **A)
    given, out = ",".join(map(str, S)), tmp_path / "out"
    said = diagnose_files(tmp_path / "tuned.npz", given, out, beside={"model": str(tmp_path / "mine")})
    assert said.splitlines()[-1] == f"The calibrated model: {out / 'model'}"
    loaded = timm.create_model(f"local-dir:{out / 'model'}", pretrained=True).eval()
    r = diagnose(tmp_path / "tuned.npz", None, S)
    with torch.no_grad():
        np.testing.assert_allclose(loaded(IMAGES), r.apply(model(IMAGES)), atol=1e-4)
    assert r.advice in (out / "model/README.md").read_text("utf-8")
    other = timm.create_model("test_resnet", num_classes=3)
    timm.models.save_for_hf(other, str(tmp_path / "three"), safe_serialization=True)
    wrong = {"nope": "timm cannot load 'nope'", str(tmp_path / "three"): "the model has 3 classes, the logits have 6"}
    for name, message in wrong.items():
        with pytest.raises(UserError, match=message):
            diagnose_files(tmp_path / "tuned.npz", given, tmp_path / "other", beside={"model": name})
    assert not (tmp_path / "other").exists()


def test_a_model_that_was_made_with_arguments_of_its_own(tmp_path: Path) -> None:
    """One channel, another size, another pooling: timm notes them, and images decide what is compared."""
    torch.manual_seed(0)
    r = diagnose(A["logits"], A["label"], S, subset=A["subset"])
    made = {"in_chans": 1, "img_size": 64, "global_pool": "avg", "class_token": False}
    model = timm.create_model("test_vit", num_classes=6, **made).eval()
    picture = Image.fromarray(np.arange(80 * 90, dtype=np.uint8).reshape(80, 90))
    folder = r.export(model, tmp_path / "vit", images=[picture], onnx=False)
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        np.testing.assert_allclose(loaded(images), r.apply(model(images)), atol=1e-4)
    assert not (folder / "model.onnx").exists()
    with pytest.raises(UserError, match="the model has 5 classes"):
        r.export(timm.create_model("test_resnet", num_classes=5), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_export_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    r = diagnose(A["logits"], A["label"], S, subset=A["subset"])
    for name in [name for name in sys.modules if name.startswith("finecal.library.exporting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "timm.models._input", None)
    with pytest.raises(UserError, match=r"this needs timm, which is not installed.*finecal\[pipeline\]"):
        r.export(None, tmp_path / "mine")
