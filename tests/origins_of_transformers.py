"""Checkpoints of the same models in transformers, which has names of its own for the tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from origins import CLASSES, CONVNEXT, SWIN, VIT, Origin, Written, shaken
from torch import nn

NAMES = {0: "ant", 1: "bee", 2: "cod", 3: "dab"}


class Logits(nn.Module):
    """A model of transformers that returns logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images).logits


def of_transformers(
    kind: str,
    head: str = "ForImageClassification",
    *,
    max_shard_size: int | str = "1GB",
    give: str = "folder",
    **options: Any,
) -> Callable[[], Written]:
    """A folder with a small model of a kind such as `ViT`."""

    def write() -> Written:
        import transformers

        config = getattr(transformers, f"{kind}Config")(**options, id2label=NAMES)
        model = shaken(getattr(transformers, f"{kind}{head}")(config))
        model.save_pretrained("folder", max_shard_size=max_shard_size)
        return give, Logits(model)

    return write


def in_lightning(kind: str, **options: Any) -> Callable[[], Written]:
    """A module of Lightning with a model of transformers, whose names there are not those of its files."""

    def write() -> Written:
        import pytorch_lightning as lightning
        import transformers

        class Module(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                config = getattr(transformers, f"{kind}Config")(**options, id2label=NAMES)
                self.model = shaken(getattr(transformers, f"{kind}ForImageClassification")(config))
                self.criterion = nn.CrossEntropyLoss(weight=torch.ones(CLASSES))

        module = Module()
        trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
        trainer.strategy.connect(module)
        trainer.save_checkpoint("last.ckpt")
        return "last.ckpt", Logits(module.model)

    return write


def timm_wrapper() -> Written:
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    config = TimmWrapperConfig(architecture="test_resnet", num_labels=CLASSES, id2label=NAMES)
    model = shaken(TimmWrapperForImageClassification(config))
    model.save_pretrained("folder")
    assert json.loads(Path("folder", "config.json").read_text())["model_args"] is None
    return "folder", Logits(model)


HF_VIT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32,
}  # fmt: skip
HF_BEIT = {**HF_VIT, "layer_scale_init_value": 0.1}
HF_DINO = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
}  # fmt: skip
HF_CONVNEXT = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
HF_SWIN = {"embed_dim": 16, "depths": [2, 1, 2], "num_heads": [1, 2, 4], "window_size": 4, "image_size": 64}
HF_RESNET = {"embedding_size": 64, "depths": [1, 1, 1, 1], "num_labels": CLASSES}
BEIT = {**VIT, "init_values": 0.1}

OF_TRANSFORMERS = [
    Origin("transformers", "`TimmWrapper`, as `weights`", "test_resnet", timm_wrapper),
    Origin("transformers", "`TimmWrapper`, as `local-dir:`", "local-dir:folder", timm_wrapper),
    Origin(
        "transformers", "`ViTForImageClassification`", "vit_tiny_patch16_224", of_transformers("ViT", **HF_VIT), VIT,
    ),
    Origin(
        "transformers", "the same with other attention", "vit_tiny_patch16_224",
        of_transformers("ViT", **HF_VIT), {**VIT, "num_heads": 4},
        refused="folder/model.safetensors: these weights are not those of 'vit_tiny_patch16_224'. Its attention "
        "has 2 heads, this model's 4. Hint: Check the model's name and its options.",
    ),
    Origin(
        "transformers", "the same as `local-dir:`", "local-dir:folder", of_transformers("ViT", **HF_VIT), VIT,
        refused="folder/config.json: this folder is one of transformers (ViTForImageClassification), not timm's. "
        "Hint: Give timm's name of the same model as `model`, and the folder as `weights`.",
    ),
    Origin(
        "transformers", "`ConvNextForImageClassification`", "convnext_tiny",
        of_transformers("ConvNext", **HF_CONVNEXT), CONVNEXT,
    ),
    Origin(
        "transformers", "`ConvNextV2ForImageClassification`", "convnextv2_tiny",
        of_transformers("ConvNextV2", **HF_CONVNEXT), CONVNEXT,
    ),
    Origin(
        "transformers", "`SwinForImageClassification`", "swin_tiny_patch4_window7_224",
        of_transformers("Swin", **HF_SWIN), SWIN, 64,
    ),
    Origin(
        "transformers", "`ResNetForImageClassification`, basic blocks", "resnet10t",
        of_transformers("ResNet", layer_type="basic", hidden_sizes=[64, 128, 256, 512], **HF_RESNET),
        {"stem_type": "", "avg_down": False, "stem_width": 64},
    ),
    Origin(
        "transformers", "`ResNetForImageClassification`, bottlenecks", "resnet26",
        of_transformers(
            "ResNet", layer_type="bottleneck", embedding_size=64, depths=[2, 2, 2, 2],
            hidden_sizes=[256, 512, 1024, 2048],
        ),
    ),
    Origin(
        "transformers", "`Dinov2ForImageClassification`, `options: {global_pool: token_and_mean}`",
        "vit_small_patch14_dinov2", of_transformers("Dinov2", **HF_DINO),
        {**VIT, "mlp_ratio": 4, "global_pool": "token_and_mean"}, 28,
    ),
    Origin(
        "transformers", "the same without these options", "vit_small_patch14_dinov2",
        of_transformers("Dinov2", **HF_DINO), {**VIT, "mlp_ratio": 4}, 28,
        refused="folder/model.safetensors: its head reads 64 features, this model's 32. Hint: DINOv2's classifier "
        "reads the class token beside the mean of the patches: give the backbone `options: {global_pool: "
        "token_and_mean}`.",
    ),
    Origin(
        "transformers", "`ViTForImageClassification` in Lightning", "vit_tiny_patch16_224",
        in_lightning("ViT", **HF_VIT), VIT,
    ),
    Origin(
        "transformers", "`SwinForImageClassification` in Lightning", "swin_tiny_patch4_window7_224",
        in_lightning("Swin", **HF_SWIN), SWIN, 64,
    ),
    Origin(
        "transformers", "`DeiTForImageClassification`, `options: {reg_tokens: 1}`", "deit_tiny_patch16_224",
        of_transformers("DeiT", **HF_VIT), {**VIT, "reg_tokens": 1},
    ),
    Origin(
        "transformers", "`DeiTForImageClassification` without these options", "deit_tiny_patch16_224",
        of_transformers("DeiT", **HF_VIT), VIT,
        refused="folder/model.safetensors: these weights of transformers' ViT would give other logits. It has a token "
        "of distillation among its patches. Hint: Give the backbone `options: {reg_tokens: 1}`.",
    ),
    Origin(
        "transformers", "`DeiTForImageClassificationWithTeacher`", "deit_tiny_patch16_224",
        of_transformers("DeiT", "ForImageClassificationWithTeacher", **HF_VIT), {**VIT, "reg_tokens": 1},
        refused="folder/model.safetensors: these weights of transformers' ViT would give other logits. It averages "
        "the logits of two classifiers, which read two tokens; this model has one classifier. Hint: Take timm's model "
        "of the same size whose name has `_distilled`.",
    ),
    Origin(
        "transformers", "`DeiTForImageClassificationWithTeacher`, as `deit_tiny_distilled_patch16_224`",
        "deit_tiny_distilled_patch16_224", of_transformers("DeiT", "ForImageClassificationWithTeacher", **HF_VIT), VIT,
    ),
    Origin(
        "transformers", "`Dinov2WithRegistersForImageClassification`, `options: {global_pool: token_and_mean}`",
        "vit_small_patch14_reg4_dinov2", of_transformers("Dinov2WithRegisters", **HF_DINO),
        {**VIT, "mlp_ratio": 4, "global_pool": "token_and_mean"}, 28,
    ),
    Origin(
        "transformers", "`BeitForImageClassification`", "beit_base_patch16_224",
        of_transformers("Beit", use_relative_position_bias=True, **HF_BEIT), BEIT,
    ),
    Origin(
        "transformers", "`BeitForImageClassification`, one table of positions for all layers",
        "beit_base_patch16_224",
        of_transformers("Beit", use_shared_relative_position_bias=True, **HF_BEIT),
        {**BEIT, "use_rel_pos_bias": False, "use_shared_rel_pos_bias": True},
    ),
    Origin(
        "transformers", "`BeitForImageClassification` in Lightning, positions of patches", "beit_base_patch16_224",
        in_lightning("Beit", use_absolute_position_embeddings=True, use_mean_pooling=False, **HF_BEIT),
        {**BEIT, "use_rel_pos_bias": False, "use_abs_pos_emb": True, "global_pool": "token", "use_fc_norm": False},
    ),
    Origin(
        "transformers", "`Data2VecVisionForImageClassification`", "beit_base_patch16_224",
        of_transformers("Data2VecVision", use_relative_position_bias=True, **HF_BEIT), BEIT,
    ),
    Origin(
        "transformers", "`Swinv2ForImageClassification`", "swinv2_tiny_window8_256",
        of_transformers("Swinv2", **HF_SWIN), SWIN, 64,
    ),
    Origin(
        "transformers", "`Swinv2ForImageClassification` with other windows", "swinv2_tiny_window8_256",
        of_transformers("Swinv2", **HF_SWIN), {**SWIN, "window_size": 8}, 64,
        refused="folder/model.safetensors: these weights are not those of 'swinv2_tiny_window8_256'. Its windows have "
        "4 × 4 patches, this model's 8 × 8. Hint: Check the model's name and its options.",
    ),
    Origin(
        "transformers", "`Swinv2ForImageClassification`, pretrained with other windows", "swinv2_tiny_window8_256",
        of_transformers("Swinv2", pretrained_window_sizes=[3, 3, 2], **HF_SWIN),
        {**SWIN, "pretrained_window_sizes": [3, 3, 2]}, 64,
    ),
    Origin(
        "transformers", "in parts, `model.safetensors.index.json`", "vit_tiny_patch16_224",
        of_transformers("ViT", **HF_VIT, max_shard_size=20_000), VIT,
    ),
    Origin(
        "transformers", "one of the parts", "vit_tiny_patch16_224",
        of_transformers("ViT", **HF_VIT, max_shard_size=20_000, give="folder/model-00001-of-00005.safetensors"), VIT,
        refused="folder/model-00001-of-00005.safetensors: this is one of 5 parts. Hint: Give the list of the parts, "
        "'folder/model.safetensors.index.json', or its folder.",
    ),
]  # fmt: skip
