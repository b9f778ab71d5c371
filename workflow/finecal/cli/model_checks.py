"""Check the models of a plan as far as their code tells, without their weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from finecal import registry
from finecal.config import Study, plugin_options
from finecal.config.input_sizes import compare_size, takes_weights_as_they_are
from finecal.config.preprocessing import TIMM
from finecal.errors import UserError
from finecal.models.locations import HUB
from finecal.plan.options import IMPORTED
from finecal.plan.plan import Plan

if TYPE_CHECKING:
    from torch import nn

# What the data set decides, and what does not matter here: the images of most data sets have colours.
CLASSES, CHANNELS = ("one", "another"), 3


def check_models(plan: Plan) -> None:
    """Check that timm creates each backbone, that its head is a plain one, and that its recipes suit it.

    Models whose configuration is on the hub only are left to the job that fetches them.

    Raises
    ------
    UserError
        If it does not.
    """
    from finecal.models.build import architecture
    from finecal.models.plain_head import check_without_weights

    for study in plan.studies.values():
        for backbone in study.backbones:
            _check_known_size(study, backbone)
    checked: dict[object, nn.Module] = {}
    for (dataset, name), options in plan.options_of("pretrain").items():
        backbone = options["backbone"]
        if backbone["model"].startswith(HUB):
            continue
        where = f"backbones.{name}"
        try:
            description = replace(architecture(backbone, CLASSES, CHANNELS), head="linear")
            key = repr(description)
            if key not in checked:
                checked[key] = check_without_weights(description)
        except UserError as error:
            raise UserError(error.what, where=where, why=error.why, hint=error.hint) from error
        _check_recipes(plan, dataset, name, checked[key])


def _check_known_size(study: Study, backbone: str) -> None:
    """Compare `image_size` with the size that timm notes of weights of its own, which are taken as they are."""
    import timm

    use = study.backbones[backbone]
    if use.weights or study.preprocessing_of(backbone) != TIMM or not takes_weights_as_they_are(study, backbone):
        return
    model = use.model or backbone
    name = model.removeprefix(f"{HUB}timm/").partition("@")[0]
    if ":" in name or (study.pretraining.weights != "hub" and name == model):
        return
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a tag that this timm does not know; others say so
        return
    if config is not None:
        compare_size(config.to_dict(), study.image_size, f"timm says of {name!r}", f"backbones.{backbone}")


def _check_recipes(plan: Plan, dataset: str, backbone: str, model: nn.Module) -> None:
    """Let the recipes that train a backbone look at its layers."""
    for coordinates, options in plan.options_of("finetune").items():
        name = options["recipe"]
        if coordinates[:2] != (dataset, backbone) or name == IMPORTED:
            continue
        try:
            registry.load("recipe", name).Recipe(plugin_options("recipe", name, options["options"])).check(model)
        except UserError as error:
            raise UserError(
                f"{error.what} ({backbone})", where=f"recipes.{coordinates[2]}", why=error.why, hint=error.hint
            ) from error
