"""Tensors of a checkpoint that are no plain numbers: refused by name, never taken for weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor

from finecal.errors import UserError
from finecal.models.build import architecture
from finecal.models.checkpoints import load_as, read_checkpoint

KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "float8_e4m3fn": lambda one: one.to(torch.float8_e4m3fn),
    "int8": lambda one: one.to(torch.int8),
    "sparse_coo": Tensor.to_sparse,
    "meta": lambda one: one.to("meta"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_tensor(kind: str, tmp_path: Path) -> None:
    torch.save({"fc.bias": torch.ones(2), "fc.weight": KINDS[kind](torch.ones(2, 3))}, tmp_path / "w.pth")
    with pytest.raises(UserError) as caught:
        read_checkpoint(tmp_path / "w.pth")
    assert "w.pth: " in str(caught.value)
    assert f"the tensor 'fc.weight' is of the kind {kind}." in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_other_widths(dtype: torch.dtype, tmp_path: Path) -> None:
    state = {"fc.weight": torch.ones(2, 3, dtype=dtype), "bn.num_batches_tracked": torch.tensor(3)}
    torch.save({"state": {"model": state}}, tmp_path / "w.pth")
    assert read_checkpoint(tmp_path / "w.pth").state.keys() == state.keys()


def test_statistics_that_are_no_plain_numbers(tmp_path: Path) -> None:
    """Named neither weight nor bias, they would be rounded without a word."""
    state = timm.create_model("test_resnet", num_classes=2).state_dict()
    torch.save({**state, "bn1.running_mean": state["bn1.running_mean"].to(torch.int8)}, tmp_path / "w.pth")
    described = architecture({"model": "test_resnet", "options": {}, "image_size": 32}, ("a", "b"), 3)
    with pytest.raises(UserError, match=r"the tensor 'bn1\.running_mean' is of the kind int8"):
        load_as(read_checkpoint(tmp_path / "w.pth"), described, keep_head=True)
