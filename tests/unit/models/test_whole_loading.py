"""No tensor of another's weights on the hub stays random without a word; timm's own are loaded as timm does."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from timm.models import _builder

from finecal.models.whole_loading import whole_loading

MODEL = "test_resnet"


def load(monkeypatch: pytest.MonkeyPatch, source: str, without: str, classes: int = 3) -> Any:
    """Make timm load a file of four classes that lacks some tensors, as if it came from the hub."""
    torch.manual_seed(0)
    state = timm.create_model(MODEL, num_classes=4).state_dict()
    state = {name: tensor for name, tensor in state.items() if not without or not name.startswith(without)}
    monkeypatch.setattr(_builder, "load_state_dict_from_hf", lambda *_, **__: state)
    overlay = {"source": source, "hf_hub_id": "somebody/model", "num_classes": 4}
    with whole_loading():
        return timm.create_model(MODEL, pretrained=True, num_classes=classes, pretrained_cfg_overlay=overlay)


@pytest.mark.parametrize("classes", [3, 4])
def test_whole_weights_are_loaded(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(monkeypatch, "hf-hub", "", classes)
    torch.manual_seed(0)
    wanted = timm.create_model(MODEL, num_classes=4).state_dict()
    assert torch.equal(model.state_dict()["layer1.0.conv1.weight"], wanted["layer1.0.conv1.weight"])
    assert torch.equal(model.fc.weight, wanted["fc.weight"]) == (classes == 4)


def test_a_missing_block_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"it lacks 10 tensors: layer1\.0\.conv1\.weight, layer1\.0\.bn1\.weight, "):
        load(monkeypatch, "hf-hub", "layer1.")


def test_timm_knows_which_of_its_own_lack_something(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, "", "layer1.0.bn1.").num_classes == 3


def test_timm_s_loader_is_its_own_afterwards() -> None:
    before = _builder.load_pretrained
    with whole_loading():
        assert _builder.load_pretrained is not before
    assert _builder.load_pretrained is before
