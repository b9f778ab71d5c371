"""Checkpoints of the same models in transformers and torchvision, which have names of their own for the tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from origins import Origin, Written, shaken
from torch import nn
from torchvision.models import convnext, swin_transformer, vision_transformer

CLASSES = 4
NAMES = {0: "ant", 1: "bee", 2: "cod", 3: "dab"}


class Logits(nn.Module):
    """A model of transformers that returns logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images).logits


def of_transformers(kind: str, **options: Any) -> Callable[[], Written]:
    """A folder with a small model of a kind such as `ViT`."""

    def write() -> Written:
        import transformers

        config = getattr(transformers, f"{kind}Config")(**options, id2label=NAMES)
        model = shaken(getattr(transformers, f"{kind}ForImageClassification")(config))
        model.save_pretrained("folder")
        return "folder", Logits(model)

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


def of_torchvision(make: Callable[[], nn.Module]) -> Callable[[], Written]:
    def write() -> Written:
        torch.manual_seed(0)
        model = shaken(make())
        torch.save(model.state_dict(), "weights.pth")
        return "weights.pth", model

    return write


VIT = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}
HF_VIT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32,
}  # fmt: skip
CONVNEXT = {"dims": (8, 16, 24, 32), "depths": (1, 1, 2, 1)}
HF_DINO = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
}  # fmt: skip
HF_CONVNEXT = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
SWIN = {"embed_dim": 16, "depths": (2, 1, 2), "num_heads": (1, 2, 4), "window_size": 4}
HF_SWIN = {"embed_dim": 16, "depths": [2, 1, 2], "num_heads": [1, 2, 4], "window_size": 4, "image_size": 64}
HF_RESNET = {"embedding_size": 64, "depths": [1, 1, 1, 1], "num_labels": CLASSES}


def tv_convnext() -> nn.Module:
    sizes = [(8, 16, 1), (16, 24, 1), (24, 32, 2), (32, None, 1)]
    return convnext.ConvNeXt([convnext.CNBlockConfig(*one) for one in sizes], num_classes=CLASSES)


def tv(name: str) -> Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(num_classes=CLASSES)


OF_LIBRARIES = [
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
        "transformers", "`DeiTForImageClassification`", "deit_tiny_patch16_224", of_transformers("DeiT", **HF_VIT), VIT,
        refused="folder/model.safetensors: these weights are not those of 'deit_tiny_patch16_224'. Tensors: 1 "
        "unexpected (embeddings.distillation_token (1, 1, 32)); 1 of another shape (pos_embed (1, 6, 32) instead of "
        "(1, 5, 32)). Hint: Check the model's name, its options, `image_size` and the number of channels.",
    ),
    Origin("torchvision", "ResNet", "resnet18", of_torchvision(tv("resnet18"))),
    Origin(
        "torchvision", "ViT", "vit_tiny_patch16_224",
        of_torchvision(lambda: vision_transformer.VisionTransformer(32, 16, 2, 2, 32, 64, num_classes=CLASSES)), VIT,
    ),
    Origin("torchvision", "ConvNeXt", "convnext_tiny", of_torchvision(tv_convnext), CONVNEXT),
    Origin(
        "torchvision", "Swin", "swin_tiny_patch4_window7_224",
        of_torchvision(
            lambda: swin_transformer.SwinTransformer(
                [4, 4], 16, [2, 1, 2], [1, 2, 4], [4, 4], num_classes=CLASSES
            )
        ), SWIN, 64,
    ),
    Origin("torchvision", "EfficientNet", "efficientnet_b0", of_torchvision(tv("efficientnet_b0"))),
    Origin(
        "torchvision", "EfficientNet, as a model that pads otherwise", "tf_efficientnet_b0",
        of_torchvision(tv("efficientnet_b0")),
        refused="weights.pth: these weights of torchvision's EfficientNet would give other logits. This model "
        "pads as TensorFlow does, torchvision's does not. Hint: Take the model without `tf_`.",
    ),
    Origin("torchvision", "MobileNetV2", "mobilenetv2_100", of_torchvision(tv("mobilenet_v2"))),
    Origin(
        "torchvision", "MobileNetV3, `options: {bn_eps: 0.001}`", "mobilenetv3_small_100",
        of_torchvision(tv("mobilenet_v3_small")), {"bn_eps": 0.001},
    ),
    Origin(
        "torchvision", "MobileNetV3 without these options", "mobilenetv3_small_100",
        of_torchvision(tv("mobilenet_v3_small")),
        refused="weights.pth: these weights of torchvision's MobileNetV3 would give other logits. BatchNorm adds "
        "0.001 to the variance in torchvision's model and 1e-05 in this one. Hint: Give the backbone `options: "
        "{bn_eps: 0.001}`.",
    ),
    Origin("torchvision", "DenseNet", "densenet121", of_torchvision(tv("densenet121"))),
    Origin("torchvision", "RegNet", "regnety_004", of_torchvision(tv("regnet_y_400mf"))),
    Origin("torchvision", "ResNet, as another model", "inception_v3", of_torchvision(tv("resnet18")), size=80,
        refused="weights.pth: the names of its tensors are not those of 'inception_v3'. It has 'conv1.weight', "
        "'bn1.weight', 'bn1.bias', …; timm's are 'Conv2d_1a_3x3.conv.weight', 'Conv2d_1a_3x3.bn.weight', "
        "'Conv2d_1a_3x3.bn.bias', …. Names that timm knows are translated, and those of some classifiers of "
        "transformers and torchvision (docs/origins.md). Hint: Check `model`; or load the weights into timm's model "
        "yourself and save its state_dict().",
    ),
]  # fmt: skip
