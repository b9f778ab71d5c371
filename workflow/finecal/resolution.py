"""The resolved options of every stage of a study: pure data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from finecal import sources
from finecal.config import Study, Training, plugin_options
from finecal.paths import ALL_CLASSES
from finecal.splits import resolved_split

Options = dict[str, Any]
# Stage and its coordinates, as `finecal.plan.Plan.options` takes them → plain types only.
Resolved = tuple[tuple[str, ...], Options]
# The recipe of runs that are checkpoints.
IMPORTED = "imported"


def resolved(name: str, study: Study) -> Iterator[Resolved]:
    """What every stage of a study is told, `name` for errors.

    Raises
    ------
    UserError
        If options of a plugin, or a file with names of classes, are wrong.
    """
    for dataset, use in study.datasets.items():
        source = use.source or dataset
        options = plugin_options("dataset", source, use.options).model_dump(mode="json")
        prepare = {"source": source, "options": options, "validation_fraction": use.validation_fraction}
        yield ("prepare", dataset), prepare
        for split, spec in study.splits.items():
            yield ("split", dataset, split), resolved_split(study, dataset, spec)
        yield ("split", dataset, ALL_CLASSES), {"kind": "all"}
        for backbone in study.backbones:
            yield from _of_backbone(name, study, dataset, backbone)
    for calibrator, use_ in study.calibrators.items():
        built_in = use_.calibrator or calibrator
        options = plugin_options("calibrator", built_in, use_.options).model_dump(mode="json")
        yield ("calibrator", calibrator), {"calibrator": built_in, "options": options}


def _of_backbone(name: str, study: Study, dataset: str, backbone: str) -> Iterator[Resolved]:
    use = study.backbones[backbone]
    model = {**use.model_dump(mode="json"), "model": use.model or backbone, "image_size": study.image_size}
    model = _with_own(model, f"{name}: backbones.{backbone}")
    pretraining = study.pretraining.model_dump(mode="json")
    yield ("pretrain", dataset, backbone), {"backbone": model, "pretraining": pretraining}
    yield ("means", dataset, backbone), {"image_size": study.image_size}
    yield ("extract", dataset, backbone), {"image_size": study.image_size}
    for recipe, recipe_use in study.recipes.items():
        if recipe_use.weights:
            imported = {
                "image_size": study.image_size, "recipe": IMPORTED, "weights": recipe_use.weights,
                "class_names": recipe_use.class_names, "training": dict.fromkeys(Training.model_fields),
            }  # fmt: skip
            yield ("finetune", dataset, backbone, recipe), _with_own(imported, f"{name}: recipes.{recipe}")
            continue
        built_in = recipe_use.recipe or recipe
        options = {
            "image_size": study.image_size,
            "recipe": built_in,
            "options": plugin_options("recipe", built_in, recipe_use.options).model_dump(mode="json"),
            "training": study.training_of(recipe).model_dump(mode="json"),
        }
        yield ("finetune", dataset, backbone, recipe), options
        pseudo_splits = study.pseudo_splits.model_dump(mode="json")
        yield ("pseudo", dataset, backbone, recipe), {**options, "pseudo_splits": pseudo_splits}


def own_weights(pretrain: Options) -> str | None:
    """The user's own checkpoint that a pretrained model comes from, from the options of the stage: a path."""
    backbone = pretrain["backbone"]
    folder = sources.folder_of(backbone["model"]) if pretrain["pretraining"]["weights"] == "hub" else None
    weights: str | None = backbone.get("weights", folder)
    return weights


def _with_own(options: Options, where: str) -> Options:
    """The names of classes as a list; without what is not given, since an option that is new must rerun nothing."""
    named = {**options, "class_names": sources.class_names(options["class_names"], f"{where}.class_names")}
    if (use := named.get("zero_shot")) is not None:
        names = sources.class_names(use["class_names"], f"{where}.zero_shot.class_names")
        named["zero_shot"] = {**use, "class_names": names}
    return {
        key: value
        for key, value in named.items()
        if value is not None or key not in ("weights", "class_names", "zero_shot")
    }
