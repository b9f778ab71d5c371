"""Check the models of a plan as far as their code tells, without their weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from finecal import registry
from finecal.config import plugin_options
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
