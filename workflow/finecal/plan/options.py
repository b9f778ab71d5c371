"""The resolved options of every stage of a study: pure data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from finecal.config import Study, Training, plugin_options
from finecal.config.preprocessing import STRETCH, TIMM
from finecal.config.split_resolution import resolved_split
from finecal.config.types import neutral_values, resolved_options
from finecal.models import locations, timm_names
from finecal.paths import ALL_CLASSES

Options = dict[str, Any]
# Stage and its coordinates, as `finecal.plan.plan.Plan.options` takes them → plain types only.
Resolved = tuple[tuple[str, ...], Options]
# The recipe of runs that are checkpoints.
IMPORTED = "imported"


def resolve_options(name: str, study: Study) -> Iterator[Resolved]:
    """Yield the options of every stage of a study; `name` is for errors.

    Raises
    ------
    UserError
        If options of a plugin, or a file with names of classes, are wrong.
    """
    for dataset, use in study.datasets.items():
        source = use.source or dataset
        options = resolved_options(study.data_set(dataset).options)
        prepare = {"source": source, "options": options, "validation_fraction": use.validation_fraction}
        yield ("prepare", dataset), prepare
        for split, spec in study.splits.items():
            yield ("split", dataset, split), resolved_split(study, dataset, spec)
        yield ("split", dataset, ALL_CLASSES), {"kind": "all"}
        for backbone in study.backbones:
            yield from _of_backbone(name, study, dataset, backbone)
            if frame := _of_frame(study, backbone):
                yield ("frame", dataset, backbone), {**prepare, "backbone": frame}
    for kind, uses in (("backbones", study.backbones), ("recipes", study.recipes)):
        for entry, known in uses.items():
            if known.expect:
                yield ("expect", f"{kind}.{entry}.expect"), dict[str, Any](known.expect.items())
    for calibrator, use_ in study.calibrators.items():
        built_in = use_.calibrator or calibrator
        options = resolved_options(plugin_options("calibrator", built_in, use_.options))
        yield ("calibrator", calibrator), {"calibrator": built_in, "options": options}


def _of_backbone(name: str, study: Study, dataset: str, backbone: str) -> Iterator[Resolved]:
    use = study.backbones[backbone]
    model = {
        **resolved_options(use), "model": timm_names.current(use.model or backbone), "image_size": study.image_size,
    }  # fmt: skip
    model.pop("preprocessing", None)
    model = {**_with_names(model, f"{name}: backbones.{backbone}"), **_preprocessing(study, backbone)}
    pretraining = resolved_options(study.pretraining)
    yield ("pretrain", dataset, backbone), {"backbone": model, "pretraining": pretraining}
    for stage in ("class_means", "extract_pretrained", "extract"):
        yield (stage, dataset, backbone), {"image_size": study.image_size}
    for recipe, recipe_use in study.recipes.items():
        if recipe_use.weights:
            imported: Options = {
                "image_size": study.image_size, "recipe": IMPORTED, "weights": recipe_use.weights,
                "training": dict.fromkeys(Training.model_fields.keys() - neutral_values(Training).keys()),
            }  # fmt: skip
            if recipe_use.class_names is not None:
                imported["class_names"] = recipe_use.class_names
            if recipe_use.at_chance:
                imported["at_chance"] = True
            yield ("finetune", dataset, backbone, recipe), _with_names(imported, f"{name}: recipes.{recipe}")
            continue
        built_in = recipe_use.recipe or recipe
        options = {
            "image_size": study.image_size,
            "recipe": built_in,
            "options": resolved_options(plugin_options("recipe", built_in, recipe_use.options)),
            "training": resolved_options(study.training_of(recipe)),
        }
        yield ("finetune", dataset, backbone, recipe), options
        pseudo_splits = resolved_options(study.pseudo_splits)
        yield ("pseudo_splits", dataset, backbone, recipe), {**options, "pseudo_splits": pseudo_splits}


def _preprocessing(study: Study, backbone: str) -> Options:
    """Return the option `preprocessing`; nothing for `stretch`, with which results are what they always were."""
    said = study.preprocessing_of(backbone)
    if said == STRETCH:
        return {}
    return {"preprocessing": said if isinstance(said, str) else said.model_dump(mode="json", exclude_none=True)}


def _of_frame(study: Study, backbone: str) -> Options:
    """Return what decides how a backbone is shown images; nothing if it is shown stored squares."""
    use, found = study.backbones[backbone], _preprocessing(study, backbone)
    said = found.get("preprocessing", {"like": STRETCH})
    if said != TIMM and said["like"] == STRETCH:
        return {}
    frame: Options = {"model": use.model or backbone, "image_size": study.image_size, **found}
    return frame | ({"weights": use.weights} if use.weights else {})


def changed_options(earlier: Mapping[str, Any], later: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Say which options differ, by key path with both values.

    >>> list(changed_options({"training": {"lr": 0.03, "epochs": 2}}, {"training": {"lr": 0.02, "epochs": 2}}))
    ['training.lr: 0.03 → 0.02']
    """
    for path, one, other in different_options(earlier, later, prefix):
        yield f"{path}: {_show(one)} → {_show(other)}"


def different_options(
    one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield key path and both values of each option that differs; None stands for an option that is missing."""
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if (a or b) and a != b and all(part is None or isinstance(part, Mapping) for part in (a, b)):
            yield from different_options(a or {}, b or {}, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", a, b


def _show(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def own_weights(pretrain: Options) -> str | None:
    """Return the path of the user's own checkpoint that the stage's options name as pretrained weights."""
    backbone = pretrain["backbone"]
    folder = locations.folder_of(backbone["model"]) if pretrain["pretraining"]["weights"] == "hub" else None
    weights: str | None = backbone.get("weights", folder)
    return weights


def _with_names(options: Options, where: str) -> Options:
    """Return the options with the names of classes as a list, where they are given in a file."""
    named = dict(options)
    if "class_names" in options:
        named["class_names"] = locations.read_class_names(options["class_names"], f"{where}.class_names")
    if (use := options.get("zero_shot")) is not None:
        names = locations.read_class_names(use["class_names"], f"{where}.zero_shot.class_names")
        named["zero_shot"] = {**use, "class_names": names}
    return named
