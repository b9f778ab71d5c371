"""How transformers names the tensors of its image classifiers, beside timm's names."""

from __future__ import annotations

from torch import nn

from finecal.models.joined_heads import layers_of
from finecal.models.renaming import Problem, Table
from finecal.models.state_dicts import State

# Names are those in files, and those of `state_dict()` since transformers 5, which differ.
_PROJECTION = (r"embeddings\.patch_embeddings\.projection\.(.+)", r"patch_embed.proj.\1")
_LAYER = r"(?:encoder\.)?layers?\.(\d+)\."
_LAYERS = (
    (_LAYER + r"attention\.(?:attention\.)?([qkv])(?:uery|ey|alue|_proj)\.(.+)", r"blocks.\1.attn.\2.\3"),
    (_LAYER + r"attention\.(?:output\.dense|o_proj)\.(.+)", r"blocks.\1.attn.proj.\2"),
    (_LAYER + r"layernorm_before\.(.+)", r"blocks.\1.norm1.\2"),
    (_LAYER + r"layernorm_after\.(.+)", r"blocks.\1.norm2.\2"),
    (_LAYER + r"intermediate\.dense\.(.+)", r"blocks.\1.mlp.fc1.\2"),
    (_LAYER + r"output\.dense\.(.+)", r"blocks.\1.mlp.fc2.\2"),
    (_LAYER + r"layer_scale(\d)\.lambda1", r"blocks.\1.ls\2.gamma"),
    (_LAYER + r"mlp\.weights_in\.(.+)", r"blocks.\1.mlp.fc1.\2"),
    (_LAYER + r"mlp\.(?:weights_out|down_proj)\.(.+)", r"blocks.\1.mlp.fc2.\2"),
    (_LAYER + r"((?:norm|mlp).+)", r"blocks.\1.\2"),
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.(?:distillation_token|register_tokens)", "reg_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"layernorm\.(.+)", r"norm.\1"),
    (r"classifier\.(.+)", r"head.\1"),
)
_JOINED = {"q": "qkv", "k": "qkv", "v": "qkv", "gate_proj": "fc1", "up_proj": "fc1"}
_CONVNEXT = (
    (r"embeddings\.patch_embeddings\.(.+)", r"stem.0.\1"),
    (r"embeddings\.layernorm\.(.+)", r"stem.1.\1"),
    (r"encoder\.stages\.(\d+)\.downsampling_layer\.(.+)", r"stages.\1.downsample.\2"),
    (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.dwconv\.(.+)", r"stages.\1.blocks.\2.conv_dw.\3"),
    (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layernorm\.(.+)", r"stages.\1.blocks.\2.norm.\3"),
    (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.pwconv(\d)\.(.+)", r"stages.\1.blocks.\2.mlp.fc\3.\4"),
    (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.grn\.(.+)", r"stages.\1.blocks.\2.mlp.grn.\3"),
    (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter", r"stages.\1.blocks.\2.gamma"),
    (r"layernorm\.(.+)", r"head.norm.\1"),
    (r"classifier\.(.+)", r"head.fc.\1"),
)
_SWIN_BLOCK = r"encoder\.layers\.(\d+)\.blocks\.(\d+)\."
_SWIN = (
    _PROJECTION,
    (r"embeddings\.norm\.(.+)", r"patch_embed.norm.\1"),
    (_SWIN_BLOCK + r"attention\.(?:self\.)?([qkv])(?:uery|ey|alue|_proj)\.(.+)", r"layers.\1.blocks.\2.attn.\3.\4"),
    (_SWIN_BLOCK + r"attention\.(?:output\.dense|o_proj)\.(.+)", r"layers.\1.blocks.\2.attn.proj.\3"),
    (_SWIN_BLOCK + r"attention\..*\b(relative_position_bias_table)", r"layers.\1.blocks.\2.attn.\3"),
    (_SWIN_BLOCK + r"layernorm_before\.(.+)", r"layers.\1.blocks.\2.norm1.\3"),
    (_SWIN_BLOCK + r"layernorm_after\.(.+)", r"layers.\1.blocks.\2.norm2.\3"),
    (_SWIN_BLOCK + r"(?:intermediate\.dense|mlp\.fc1)\.(.+)", r"layers.\1.blocks.\2.mlp.fc1.\3"),
    (_SWIN_BLOCK + r"(?:output\.dense|mlp\.fc2)\.(.+)", r"layers.\1.blocks.\2.mlp.fc2.\3"),
    # timm merges patches at the beginning of a stage, transformers at the end of the one before.
    (r"encoder\.layers\.(\d+)\.downsample\.(.+)", lambda m: f"layers.{int(m[1]) + 1}.downsample.{m[2]}"),
    (r"layernorm\.(.+)", r"norm.\1"),
    (r"classifier\.(.+)", r"head.fc.\1"),
)

# SwinV2 adds the three biases to the product with the joined matrix, and has none for keys.
_SWIN_V2 = (
    (
        _SWIN_BLOCK + r"attention\.self\.(query|value)\.bias",
        lambda m: f"layers.{m[1]}.blocks.{m[2]}.attn.{m[3][0]}_bias",
    ),
    (_SWIN_BLOCK + r"attention\.self\.continuous_position_bias_mlp\.(.+)", r"layers.\1.blocks.\2.attn.cpb_mlp.\3"),
    (_SWIN_BLOCK + r"attention\.self\.logit_scale", r"layers.\1.blocks.\2.attn.logit_scale"),
    *_SWIN,
)
# So does BEiT, whose files and state dicts have the table of positions at different places.
_TABLE = r"relative_position_bias\.relative_position_bias_table"
_BEIT = (
    _PROJECTION,
    (_LAYER + r"attention\.(?:attention\.)?(q|v)(?:uery|alue|_proj)\.bias", r"blocks.\1.attn.\2_bias"),
    (_LAYER + rf"(?:attention\.attention\.)?{_TABLE}", r"blocks.\1.attn.relative_position_bias_table"),
    (
        rf"(?:encoder\.relative_position_bias|shared_position_bias)\.{_TABLE.partition('.')[2]}",
        r"rel_pos_bias.relative_position_bias_table",
    ),
    (_LAYER + r"lambda_(\d)", r"blocks.\1.gamma_\2"),
    (r"pooler\.layernorm\.(.+)", r"fc_norm.\1"),
    *_LAYERS,
)

_RESNET_LAYER = r"encoder\.stages\.(\d+)\.layers\.(\d+)\."
_RESNET = (
    (r"embedder\.embedder\.convolution\.(.+)", r"conv1.\1"),
    (r"embedder\.embedder\.normalization\.(.+)", r"bn1.\1"),
    (_RESNET_LAYER + r"shortcut\.convolution\.(.+)", lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.0.{m[3]}"),
    (_RESNET_LAYER + r"shortcut\.normalization\.(.+)", lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.1.{m[3]}"),
    (
        _RESNET_LAYER + r"layer\.(\d)\.convolution\.(.+)",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.conv{int(m[3]) + 1}.{m[4]}",
    ),
    (
        _RESNET_LAYER + r"layer\.(\d)\.normalization\.(.+)",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.bn{int(m[3]) + 1}.{m[4]}",
    ),
    (r"classifier\.1\.(.+)", r"fc.\1"),
)


def _embed_class_first(state: State) -> State:
    """Add the class token's position to the token, as timm's models with registers have it."""
    positions, token = state["embeddings.position_embeddings"], state["embeddings.cls_token"]
    whole = {"embeddings.cls_token": token + positions[:, :1], "embeddings.position_embeddings": positions[:, 1:]}
    return {**state, **whole}


def _compare_tokens(state: State, model: nn.Module, name: str) -> Problem | None:
    """Compare the token of distillation, which DeiT has also where its one classifier does not read it."""
    if "cls_classifier.weight" in state:
        if layers_of(model) is not None:
            return None
        return (
            "it averages the logits of two classifiers, which read two tokens; this model has one classifier",
            "Take timm's model of the same size whose name has `_distilled`",
        )
    if "embeddings.distillation_token" in state and getattr(model, "reg_token", None) is None:
        if layers_of(model) is not None:
            return (
                "it has one classifier, and this model averages the logits of two",
                "Take the model without `_distilled`",
            )
        return "it has a token of distillation among its patches", "Give the backbone `options: {reg_tokens: 1}`"
    return None


def _name_both_classifiers(state: State) -> State:
    """Name the token and the classifiers of a DeiT that has two as timm's does."""
    if "cls_classifier.weight" not in state:
        return state
    names = {
        "embeddings.distillation_token": "dist_token", "cls_classifier.": "head.",
        "distillation_classifier.": "head_dist.",
    }  # fmt: skip
    return {
        next((own + key.removeprefix(name) for name, own in names.items() if key.startswith(name)), key): tensor
        for key, tensor in state.items()
    }


TABLES = (
    Table(
        "transformers' DINOv2 with registers", ("VisionTransformer",),
        r"(dinov2_with_registers\.)?embeddings\.register_tokens", (_PROJECTION, *_LAYERS),
        left_out=r"embeddings\.mask_token", joined=_JOINED, change=_embed_class_first,
    ),
    Table(
        "transformers' DINOv2", ("VisionTransformer",), r"(dinov2\.)?embeddings\.mask_token",
        (_PROJECTION, *_LAYERS), left_out=r"embeddings\.mask_token", joined=_JOINED,
    ),
    *(
        Table(f"transformers' {name}", ("Beit",), signature, _BEIT, left_out=r"embeddings\.mask_token", joined=_JOINED)
        for name, signature in (
            ("BEiT", r"(beit\.)embeddings\.cls_token"), ("Data2Vec", r"(data2vec_vision\.)embeddings\.cls_token"),
            ("BEiT", r"(?:encoder\.)?layers?\.0\.lambda_1"),
        )
    ),
    Table(
        "transformers' ViT", ("VisionTransformer",), r"((?:vit|vit_msn|deit|dinov2)\.)?embeddings\.cls_token",
        (_PROJECTION, *_LAYERS), left_out=r"pooler\..*", joined=_JOINED, change=_name_both_classifiers,
        problem=_compare_tokens,
    ),
    Table(
        "transformers' ConvNeXt", ("ConvNeXt",), r"(convnext(?:v2)?\.)?embeddings\.patch_embeddings\.weight", _CONVNEXT,
    ),
    *(
        Table(
            "transformers' SwinV2", ("SwinTransformerV2",), signature, _SWIN_V2,
            left_out=r".*\.relative_(?:position_index|coords_table)", joined=_JOINED,
        )
        for signature in (
            r"(swinv2\.)embeddings\.norm\.weight", r"encoder\.layers\.0\.blocks\.0\.attention\.self\.logit_scale",
        )
    ),
    Table(
        "transformers' Swin", ("SwinTransformer",), r"(swin\.)?embeddings\.norm\.weight", _SWIN,
        left_out=r".*\.relative_position_index", joined=_JOINED,
    ),
    Table("transformers' ResNet", ("ResNet",), r"(resnet\.)?embedder\.embedder\.convolution\.weight", _RESNET),
)  # fmt: skip
