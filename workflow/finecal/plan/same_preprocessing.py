"""Both models of a run are shown the same images: what the checkpoint of the second says has to agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finecal.config.preprocessing import TIMM
from finecal.errors import UserError
from finecal.models.build import Architecture, architecture
from finecal.models.header import describe_input
from finecal.models.locations import transform_config
from finecal.models.stated_model import Stated
from finecal.models.statements import folder_statement


def check_same_preprocessing(
    checkpoint: str, use: Mapping[str, Any], description: Architecture, recipe: str, backbone: str
) -> None:
    """Refuse a checkpoint whose configuration asks for another preprocessing than its backbone has by default.

    Parameters
    ----------
    use
        The options of the backbone, as in the plan.
    description
        Its pretrained model.

    Raises
    ------
    UserError
        If they differ, or the checkpoint is a folder of another model.
    """
    stated = folder_statement(checkpoint, description.model)
    silent = transform_config(checkpoint) is None and (stated is None or not stated.preprocessing)
    if silent or use.get("preprocessing") != TIMM:
        return
    own = architecture({**use, "weights": checkpoint}, description.classes, description.channels)
    if (own.framing, own.mean, own.std) != (description.framing, description.mean, description.std):
        raise UserError(
            f"{checkpoint!r} was prepared in another way than the pretrained model", where=f"recipes.{recipe}",
            why=f"Its configuration says {describe_input(vars(own))}; the backbone's says "
            f"{describe_input(vars(description))}",
            hint=f"Say what is right at `backbones.{backbone}.preprocessing`: parts by hand, or `{{like: timm}}` "
            "for the backbone's",
        )  # fmt: skip


def check_stated_preprocessing(
    stated: Stated | None, use: Mapping[str, Any], description: Architecture, where: str, backbone: str
) -> None:
    """Refuse weights whose training prepared images in another way than the backbone does by default.

    Parameters
    ----------
    stated
        What the arguments say that stand beside the state dict.
    use, description
        As for `check_same_preprocessing`.

    Raises
    ------
    UserError
        If they differ.
    """
    if stated is None or use.get("preprocessing") != TIMM:
        return
    said = {"preprocessing": {"like": TIMM, **stated.preparation}, "image_size": stated.image_size or use["image_size"]}
    own = architecture({**use, **said}, description.classes, description.channels)
    if all(getattr(own, one) == getattr(description, one) for one in ("framing", "mean", "std", "image_size")):
        return
    raise UserError(
        "these weights were trained with another preprocessing", where=where,
        why=f"By {stated.by}: {describe_input(vars(own))}; the backbone: {describe_input(vars(description))}",
        hint=f"Say what is right at `backbones.{backbone}.preprocessing`: parts by hand, or `{{like: timm}}` for the "
        "backbone's; and at `image_size`",
    )  # fmt: skip
