"""How torchvision names the tensors of its models, beside timm's names. Its ResNets have timm's."""

from __future__ import annotations

import re

from timm.layers import Conv2dSame
from torch import nn

from finecal.models.renaming import Problem, Table
from finecal.models.state_dicts import State

_VIT_LAYER = r"encoder\.layers\.encoder_layer_(\d+)\."
_VIT = (
    (r"class_token", "cls_token"),
    (r"conv_proj\.(.+)", r"patch_embed.proj.\1"),
    (r"encoder\.pos_embedding", "pos_embed"),
    (_VIT_LAYER + r"ln_(\d)\.(.+)", r"blocks.\1.norm\2.\3"),
    (_VIT_LAYER + r"self_attention\.in_proj_(.+)", r"blocks.\1.attn.qkv.\2"),
    (_VIT_LAYER + r"self_attention\.out_proj\.(.+)", r"blocks.\1.attn.proj.\2"),
    (_VIT_LAYER + r"mlp\.(?:0|linear_1)\.(.+)", r"blocks.\1.mlp.fc1.\2"),
    (_VIT_LAYER + r"mlp\.(?:3|linear_2)\.(.+)", r"blocks.\1.mlp.fc2.\2"),
    (r"encoder\.ln\.(.+)", r"norm.\1"),
    (r"heads\.head\.(.+)", r"head.\1"),
)


def _stage(match: re.Match[str]) -> int:
    """`features` has the stages at its odd numbers, what is before them at the even ones."""
    return (int(match[1]) - 1) // 2


_BLOCK = r"features\.([1357])\.(\d+)\."
_CONVNEXT_LAYERS = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}
_CONVNEXT = (
    (r"features\.0\.([01])\.(.+)", r"stem.\1.\2"),
    (_BLOCK + r"layer_scale", lambda m: f"stages.{_stage(m)}.blocks.{m[2]}.gamma"),
    (
        _BLOCK + r"block\.([0235])\.(.+)",
        lambda m: f"stages.{_stage(m)}.blocks.{m[2]}.{_CONVNEXT_LAYERS[m[3]]}.{m[4]}",
    ),
    (r"features\.([246])\.([01])\.(.+)", lambda m: f"stages.{int(m[1]) // 2}.downsample.{m[2]}.{m[3]}"),
    (r"classifier\.0\.(.+)", r"head.norm.\1"),
    (r"classifier\.2\.(.+)", r"head.fc.\1"),
)
_SWIN = (
    (r"features\.0\.0\.(.+)", r"patch_embed.proj.\1"),
    (r"features\.0\.2\.(.+)", r"patch_embed.norm.\1"),
    (_BLOCK + r"mlp\.0\.(.+)", lambda m: f"layers.{_stage(m)}.blocks.{m[2]}.mlp.fc1.{m[3]}"),
    (_BLOCK + r"mlp\.3\.(.+)", lambda m: f"layers.{_stage(m)}.blocks.{m[2]}.mlp.fc2.{m[3]}"),
    (_BLOCK + r"((?:norm|attn).+)", lambda m: f"layers.{_stage(m)}.blocks.{m[2]}.{m[3]}"),
    (r"features\.([246])\.(.+)", lambda m: f"layers.{int(m[1]) // 2}.downsample.{m[2]}"),
    (r"head\.(.+)", r"head.fc.\1"),
)
# The models of which torchvision's BatchNorm adds 0.001 to the variance; else it is torch's 0.00001.
_LARGE_EPS = re.compile(r"(?:tf_)?(?:efficientnet_b[567]|efficientnetv2_|mobilenetv3_)")


def _compare_convolutions(state: State, model: nn.Module, name: str) -> Problem | None:
    """Compare padding and BatchNorm's constant, which no shape tells."""
    if any(isinstance(module, Conv2dSame) for module in model.modules()):
        return "this model pads as TensorFlow does, torchvision's does not", "Take the model without `tf_`"
    eps = 1e-3 if _LARGE_EPS.match(name) else 1e-5
    found = next((module.eps for module in model.modules() if isinstance(module, nn.BatchNorm2d)), eps)
    if found != eps:
        return (
            f"BatchNorm adds {eps:g} to the variance in torchvision's model and {found:g} in this one",
            f"Give the backbone `options: {{bn_eps: {eps:g}}}`",
        )
    return None


_IN_ORDER = ("features", "classifier")
TABLES = (
    Table("torchvision's ViT", ("VisionTransformer",), r"encoder\.pos_embedding", _VIT),
    Table("torchvision's ConvNeXt", ("ConvNeXt",), r"features\.1\.0\.layer_scale", _CONVNEXT),
    Table(
        "torchvision's Swin", ("SwinTransformer",), r"features\.1\.0\.attn\.relative_position_bias_table", _SWIN,
        left_out=r".*\.relative_position_index",
    ),
    Table(
        "torchvision's EfficientNet", ("EfficientNet",), r"features\.1\.0\.block\.0\.0\.weight",
        ordered=_IN_ORDER, problem=_compare_convolutions,
    ),
    Table(
        "torchvision's MobileNetV2", ("EfficientNet",), r"features\.1\.conv\.0\.0\.weight",
        ordered=_IN_ORDER, problem=_compare_convolutions,
    ),
    Table(
        "torchvision's MobileNetV3", ("MobileNetV3",), r"features\.1\.block\.0\.0\.weight",
        ordered=_IN_ORDER, problem=_compare_convolutions,
    ),
)  # fmt: skip
