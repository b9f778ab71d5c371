"""The model is found among the tensors of a file, whatever stands before its names and beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from finecal.errors import UserError
from finecal.models.state_dicts import read_state
from finecal.models.wrappers import find_model, is_beside

BODY = ("stem.weight", "stem.num_batches_tracked", "layer.bias")
MODEL = {"stem.weight": torch.ones(2), "layer.bias": torch.zeros(3), "head.weight": torch.ones(4, 3)}
FILE = Path("weights.pth")


def under(prefix: str, state: dict[str, Tensor] = MODEL) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize("prefix", ["", "model.", "timm_model.", "anything.module.net."])
def test_prefixes_and_losses_go(prefix: str) -> None:
    beside = {"criterion.weight": torch.ones(4), "val_acc.tp": torch.ones(4), "arcface_loss.0.weight": torch.ones(2, 2)}
    assert find_model({**under(prefix), **beside}, BODY, FILE, alone=True) == MODEL


def test_averaged_weights_go_first() -> None:
    average = {name: tensor + 1 for name, tensor in MODEL.items()}
    for name in ("ema_model.module.", "swa_model.", "model_averaged."):
        found = find_model({**under("model."), **under(name, average)}, BODY, FILE, alone=True)
        assert found == average


def test_equal_models_are_one() -> None:
    assert find_model({**under("a."), **under("b.")}, BODY, FILE, alone=True) == MODEL


def test_what_is_after_the_model_is_an_error_where_its_head_is_needed() -> None:
    state = {**under("backbone."), "projection.weight": torch.ones(2, 2)}
    with pytest.raises(UserError, match=r"beside the model \(backbone\.…\) it holds projection\.weight"):
        find_model(state, BODY, FILE, alone=True)
    assert find_model(state, BODY, FILE, alone=False) == MODEL


def test_what_normalises_images_before_the_model_is_called_so() -> None:
    state = {**under("1."), "0.mean": torch.zeros(3), "0.std": torch.ones(3)}
    with pytest.raises(UserError, match=r"it holds 0\.mean, 0\.std\. .*give their numbers by hand \(`preprocessing: "):
        find_model(state, BODY, FILE, alone=True)


LAYERS = ("fc.weight", "head.weight", "accumulate.weight", "total.weight", "layer1.0.conv1.weight", "lossless.weight")


def test_layers_are_not_taken_for_losses() -> None:
    assert [name for name in LAYERS if is_beside(name)] == []


CONTENTS: dict[str, Any] = {
    "inside names": {"blocks.0._orig_mod.norm.weight": torch.ones(1)},
    "checkpointed": {"_fsdp_wrapped_module.blocks.0._checkpoint_wrapped_module.norm.weight": torch.ones(1)},
    "beside a count": {"n_averaged": torch.tensor(3), "blocks.0.norm.weight": torch.ones(1)},
}


@pytest.mark.parametrize("case", CONTENTS)
def test_parts_of_wrappers_inside_names(case: str, tmp_path: Path) -> None:
    torch.save(CONTENTS[case], tmp_path / "weights.pth")
    assert list(read_state(tmp_path / "weights.pth")) == ["blocks.0.norm.weight"]


def test_names_that_become_one(tmp_path: Path) -> None:
    torch.save({"a._orig_mod.b": torch.ones(1), "a.b": torch.ones(1)}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"two tensors are called 'a\.b' without what wrappers add"):
        read_state(tmp_path / "weights.pth")
