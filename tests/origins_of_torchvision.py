"""Checkpoints of the same models in torchvision, which has names of its own for the tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision
from origins import CLASSES, CONVNEXT, SWIN, VIT, Origin, Written, shaken
from torch import nn
from torchvision.models import convnext, swin_transformer, vision_transformer


def of_torchvision(make: Callable[[], nn.Module]) -> Callable[[], Written]:
    def write() -> Written:
        torch.manual_seed(0)
        model = shaken(make())
        torch.save(model.state_dict(), "weights.pth")
        return "weights.pth", model

    return write


def tv_convnext() -> nn.Module:
    sizes = [(8, 16, 1), (16, 24, 1), (24, 32, 2), (32, None, 1)]
    return convnext.ConvNeXt([convnext.CNBlockConfig(*one) for one in sizes], num_classes=CLASSES)


def tv(name: str) -> Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(num_classes=CLASSES)


OF_TORCHVISION = [
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
