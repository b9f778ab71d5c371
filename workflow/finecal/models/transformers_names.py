"""How transformers names the tensors of its image classifiers, beside timm's names."""

from __future__ import annotations

from finecal.models.renaming import Table

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

TABLES = (
    Table(
        "transformers' DINOv2", ("VisionTransformer",), r"(dinov2\.)?embeddings\.mask_token",
        (_PROJECTION, *_LAYERS), left_out=r"embeddings\.mask_token", joined=_JOINED,
    ),
    Table(
        "transformers' ViT", ("VisionTransformer",), r"((?:vit|vit_msn|deit|dinov2)\.)?embeddings\.cls_token",
        (_PROJECTION, *_LAYERS), left_out=r"pooler\..*", joined=_JOINED,
    ),
    Table(
        "transformers' ConvNeXt", ("ConvNeXt",), r"(convnext(?:v2)?\.)?embeddings\.patch_embeddings\.weight", _CONVNEXT,
    ),
    Table(
        "transformers' Swin", ("SwinTransformer",), r"(swin\.)?embeddings\.norm\.weight", _SWIN,
        left_out=r".*\.relative_position_index", joined=_JOINED,
    ),
    Table("transformers' ResNet", ("ResNet",), r"(resnet\.)?embedder\.embedder\.convolution\.weight", _RESNET),
)  # fmt: skip
