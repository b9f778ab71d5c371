"""CLIP's zero-shot classifier as a pretrained model: timm's image tower with a head made from class names.

CLIP (Radford et al. 2021, "Learning transferable visual models from natural language supervision", section 3.1) embeds
images and texts in one space. A text such as "a photo of a vase." for each class makes a classifier without an image:
the logit of class c is s · cos(image, text_c). That is a cosine head whose rows are the embeddings of the texts, so
the model is fine-tuned, saved and exported as any other. open_clip, an optional extra, is needed only to create it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from finecal.errors import UserError, unknown
from finecal.models.build import Architecture, build
from finecal.models.locations import HUB, LOCAL, check_open_clip
from finecal.models.prompts import prompt_names

BATCH = 64  # texts per forward pass
TOLERANCE = 1e-3  # relative to the largest value: float32 sums in another order differ by less
# Exceptions of open_clip, and of loading the weights of another model.
FAILURES = (
    OSError, RuntimeError, ValueError, ImportError, AssertionError, TypeError, KeyError, AttributeError,
    UnpicklingError, SafetensorError,
)  # fmt: skip


def load_clip(use: Mapping[str, Any], where: str) -> tuple[nn.Module, Any]:
    """Load CLIP with both towers, in evaluation mode, and its tokeniser, from the cache or the network.

    Parameters
    ----------
    use
        `model` and `pretrained` of `backbones.NAME.zero_shot`.

    Raises
    ------
    UserError
        If open_clip is missing or does not know the names, or the weights cannot be fetched or are another model's.
    """
    check_open_clip(where)
    import open_clip

    name, tag = use["model"], use["pretrained"]
    if not name.startswith((HUB, LOCAL)):
        _check_names(name, tag, where)
    # open_clip logs every file to the root logger, which also gets other modules' warnings.
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)
    try:
        clip = open_clip.create_model(name, pretrained=tag, require_pretrained=True, weights_only=True)
        tokenizer = open_clip.get_tokenizer(name)
    except FAILURES as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"CLIP {name!r} could not be loaded ({reason})", where=where,
            hint="On a machine without network, fetch it before on one with network, into the same cache (HF_HOME)",
        ) from error  # fmt: skip
    finally:
        root.setLevel(level)
    if getattr(clip, "logit_bias", None) is not None:
        raise UserError(
            f"the logits of {name!r} have a bias", where=where,
            why="Such models (SigLIP) are trained for pairs, not for a choice among classes",
        )  # fmt: skip
    return clip.eval(), tokenizer


def _check_names(name: str, tag: str | None, where: str) -> None:
    from open_clip import get_model_config, list_models, list_pretrained_tags_by_model
    from open_clip.pretrained import get_pretrained_cfg

    if name not in list_models():
        raise unknown("CLIP model", name, list_models(), where=f"{where}.model", limit=5)
    tags = list_pretrained_tags_by_model(name)
    if tag not in tags:
        raise unknown(f"weights of {name}", tag, tags, where=f"{where}.pretrained")
    # open_clip only warns, but the embeddings would be wrong.
    wanted, has = (bool(config.get("quick_gelu")) for config in (get_pretrained_cfg(name, tag), get_model_config(name)))
    if wanted != has:
        other = name.removesuffix("-quickgelu") if has else f"{name}-quickgelu"
        raise UserError(
            f"the weights {tag!r} are for a model with{'' if wanted else 'out'} QuickGELU, {name!r} is none",
            where=f"{where}.pretrained", hint=f"Take the model {other!r}",
        )  # fmt: skip


@torch.inference_mode()
def embed_names(clip: nn.Module, tokenizer: Any, names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """Return rows (C, D) float32 of length 1: the normalised mean of the templates' embeddings (section 3.1.4)."""
    texts = [template.replace("{}", name) for name in names for template in templates]
    parts = [clip.encode_text(tokenizer(texts[k : k + BATCH])).float() for k in range(0, len(texts), BATCH)]  # type: ignore[operator]
    embedded = functional.normalize(torch.cat(parts), dim=-1)
    return functional.normalize(embedded.reshape(len(names), len(templates), -1).mean(dim=1), dim=-1)


def build_classifier(
    use: Mapping[str, Any], description: Architecture, dataset: str, where: str
) -> tuple[nn.Module, Architecture]:
    """Build the described model with CLIP's image tower and a head made from the names of its classes.

    Parameters
    ----------
    use
        `backbones.NAME.zero_shot`: model, pretrained, templates, class_names.

    Returns
    -------
    The model, and the description with CLIP's normalisation, scale and width of the embedding.

    Raises
    ------
    UserError
        As for `load_clip` and `prompt_names`, and if the timm model of the description is not this CLIP's image tower.
    """
    names = prompt_names(description.classes, use["class_names"], dataset, where)
    clip, tokenizer = load_clip(use, where)
    rows = embed_names(clip, tokenizer, names, use["templates"]).clone()
    visual: Any = clip.visual
    # Check before building the tower, which would have the wrong size.
    size = visual.image_size[0] if isinstance(visual.image_size, tuple) else int(visual.image_size)
    if size != description.image_size:
        raise UserError(
            f"the images have {description.image_size} pixels a side, {use['model']!r} sees {size}", where=where,
            hint=f"Give the study `image_size: {size}`",
        )  # fmt: skip
    mean, std = tuple(visual.image_mean), tuple(visual.image_std)
    if description.channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    scale = float(clip.logit_scale.detach().exp())  # type: ignore[operator]
    made = replace(description, head="cosine", head_scale=scale, projection=rows.shape[1], mean=mean, std=std)
    model = build(made, weights="random")
    state = {**_tower_weights(clip, made, where), "head.weight": rows, "head.scale": torch.tensor(scale)}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise _tower_error(description.model, use["model"], where) from error
    _check_tower(model, clip, made, use["model"], where)
    return model, made


def _tower_weights(clip: nn.Module, made: Architecture, where: str) -> dict[str, Tensor]:
    """Return the image tower's weights under timm's names; timm calls the projection of such a model its head."""
    plain = replace(made, head="linear", projection=0, classes=tuple(map(str, range(made.projection))))
    overlay = {
        "state_dict": clip.state_dict(), "num_classes": made.projection, "label_offset": 0, "custom_load": False,
        "input_size": (3, made.image_size, made.image_size),
    }  # fmt: skip
    try:
        state = build(plain, weights="random", overlay=overlay).state_dict()
    except FAILURES as error:
        raise _tower_error(made.model, "CLIP", where) from error
    bias = state.pop("head.bias", None)  # zeros, since CLIP's projection has no bias
    assert bias is None or not bool(bias.any())
    state["fc_norm.weight"] = state.pop("head.weight")
    return state


@torch.inference_mode()
def _check_tower(model: nn.Module, clip: nn.Module, made: Architecture, name: str, where: str) -> None:
    """Raise UserError if timm's tower and CLIP's give different features.

    Weights of the right shapes are not enough: the towers may differ in activations and normalisations.
    """
    shape = (2, made.channels, made.image_size, made.image_size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    wanted = clip.encode_image(images.expand(-1, 3, -1, -1)).float()  # type: ignore[operator]
    model.eval()
    found = model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]
    model.train()
    if not torch.allclose(found, wanted, rtol=0, atol=TOLERANCE * float(wanted.abs().max())):
        raise _tower_error(made.model, name, where)


def _tower_error(model: str, clip: str, where: str) -> UserError:
    return UserError(
        f"timm's {model!r} is not the image tower of {clip!r}", where=where,
        why="It must be the same vision transformer, with the same activation",
        hint="timm's names of such towers have `_clip_`, and those of OpenAI's weights `_clip_quickgelu_`",
    )  # fmt: skip
