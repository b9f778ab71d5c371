"""What finecal reads in timm's source is what timm has; what it refuses there cannot work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from timm.models import _registry
from timm.optim import list_optimizers
from torch.utils._device import DeviceContext

from finecal.errors import UserError
from finecal.models import timm_names
from finecal.models.joined_heads import join_classifiers
from finecal.models.last_layer import find_last_layer, take_convolution_as_linear
from finecal.plan.plan import Plan


def test_the_optimisers_are_timm_s() -> None:
    assert timm_names.optimizers() == set(list_optimizers())
    assert len(timm_names.optimizers()) >= 101


def test_the_earlier_names_are_timm_s() -> None:
    assert timm_names.deprecations() == _registry._deprecated_models
    assert timm_names.current("vit_tiny_patch16_224_in21k") == "vit_tiny_patch16_224.augreg_in21k"


class Unfilled(DeviceContext):
    """Tensors have no memory and are not filled: there is nothing to fill, and that takes two thirds of the time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        in_place = func.__name__.endswith("_") and not func.__name__.endswith("__")
        if in_place and func.__name__ != "requires_grad_":
            return args[0] if args else kwargs["tensor"]
        return super().__torch_function__(func, types, args, kwargs)


def has_linear_head(name: str) -> bool:
    with Unfilled(torch.device("meta")):
        model = timm.create_model(name, num_classes=5)
    if not hasattr(model, "get_classifier"):
        return False
    join_classifiers(model)
    take_convolution_as_linear(model)
    return find_last_layer(model) is not None


def refused(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in timm_names.OTHER_HEADS.values())


# One of each pattern, and neighbours that have a linear head.
SOME = (
    "mobilenetv5_300m_enc", "crossvit_tiny_240", "deit_tiny_distilled_patch16_224", "pit_ti_distilled_224",
    "efficientformer_l1", "efficientformerv2_s0", "efficientvim_m1", "levit_128s", "levit_256d", "levit_conv_512d",
    "swiftformer_xs", "dla46_c", "dpn48b", "resnetv2_18", "caformer_s18", "convformer_s18", "cpubone_nano", "iformer_t",
    "repvit_m0_9", "samvit_base_patch16_224", "sequencer2d_s",
    "deit_tiny_patch16_224", "pit_ti_224", "poolformer_s12", "resnet18", "vit_base_patch16_siglip_224", "test_vit",
)  # fmt: skip


def test_models_without_a_linear_head_are_known() -> None:
    assert [name for name in SOME if has_linear_head(name) == refused(name)] == []


@pytest.mark.slow
def test_all_models_without_a_linear_head_are_known() -> None:
    assert [name for name in timm.list_models() if has_linear_head(name) == refused(name)] == []


REFUSED = {
    "adahessian": "training.optimizer: the optimiser 'adahessian' needs second derivatives (create_graph=True), which "
    "trainings here do not compute.",
    "bnblion": "training.optimizer: the optimiser 'bnblion' is one of bitsandbytes, which is not installed.",
    "fusedadam": "training.optimizer: the optimiser 'fusedadam' is one of apex, which is not installed.",
}


def study(folder: Path, **changes: object) -> str:
    (folder / "mine.yaml").write_text(yaml.safe_dump({"extends": "digits", **changes}))
    return str(folder / "mine.yaml")


@pytest.mark.parametrize("name", REFUSED)
def test_optimisers_that_cannot_work_here(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    timm_names.optimizers()  # read before, since it looks for timm
    with pytest.raises(UserError) as caught:
        timm_names.check_optimizer(name)
    assert str(caught.value) == REFUSED[name].partition(": ")[2]
    monkeypatch.undo()
    if name == "adahessian":
        with pytest.raises(UserError) as caught:
            Plan([study(tmp_path, training={"optimizer": name})])
        assert str(caught.value).endswith(REFUSED[name])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("mobilenetv5_300m_enc", "is an encoder without classifier"),
    ],
)
def test_models_that_cannot_work_are_refused_before_any_job(name: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Plan([study(tmp_path, backbones=[name])])
    assert f"{name.partition('.')[0]!r} {what}. A model here needs a linear layer" in str(caught.value)


def test_an_earlier_name_is_the_present_model(tmp_path: Path) -> None:
    plan = Plan([study(tmp_path, backbones={"mine": {"model": "vit_small_patch16_224_dino"}})])
    assert plan.options("pretrain", "digits", "mine")["backbone"]["model"] == "vit_small_patch16_224.dino"
