"""Check what concerns several fields of a study: names and files that must exist, and what goes together."""

from __future__ import annotations

from finecal import registry
from finecal.config import ClusteredSplit, OfficialSplit, Study, ZeroShot, plugin_options
from finecal.config.class_coverage import check_presence, check_source
from finecal.config.error_messages import as_user_error
from finecal.config.extends import Origin
from finecal.config.head_rows import check_rows, check_words
from finecal.config.input_sizes import check_input_size, check_stored_sizes
from finecal.config.official_splits import official_source
from finecal.config.split_resolution import clustered_with, split_size
from finecal.errors import UserError, closest, unknown
from finecal.models import locations, timm_names


def check_meaning(study: Study, where: Origin) -> None:
    """Check a study whose single fields are valid.

    Raises
    ------
    UserError
        For the first mistake, with its key path.
    """
    for name in study.backbones:
        _check_backbone(study, name, where)
    for key, uses, kind, attribute in (
        ("datasets", study.datasets, "dataset", "source"),
        ("recipes", study.recipes, "recipe", "recipe"),
        ("calibrators", study.calibrators, "calibrator", "calibrator"),
    ):
        for name, use in uses.items():
            if getattr(use, "weights", None):
                continue  # no recipe but a checkpoint: `_check_imported`
            built_in = getattr(use, attribute) or name
            if registry.is_own(built_in):
                _check_own(kind, built_in, where.at(key, name, attribute))
            elif built_in not in registry.names(kind):
                hint = "" if getattr(use, attribute) else f"A name of your own needs `{attribute}:` with a built-in one"
                found = unknown(kind.replace("dataset", "data set"), built_in, registry.names(kind))
                raise UserError(found.what, where=where.at(key, name), why=found.why, hint=hint)
            options = registry.load(kind, built_in).Options
            with as_user_error(where, options, use.options, at=(key, name, "options")):
                plugin_options(kind, built_in, use.options)
    _check_heads(study, where)
    for name, recipe in study.recipes.items():
        if recipe.weights:
            _check_imported(study, name, where)
        with as_user_error(where, type(study.training), recipe.training, at=("recipes", name, "training")):
            study.training_of(name)
    _check_tasks(study, where)
    check_stored_sizes(study, where)
    _check_validation(study, where)
    for dataset in study.datasets:
        for backbone in study.backbones:
            _check_rows(study, dataset, backbone, where)
        for split in study.splits:
            _check_split(study, dataset, split, where)


def _check_backbone(study: Study, name: str, where: Origin) -> None:
    """Check that the model exists and the user's own files are there."""
    backbone, location = study.backbones[name], where.at("backbones", name)
    model = backbone.model or name
    folder = locations.folder_of(model)
    if folder is not None:
        locations.weights_files(folder, f"{location}.model")
        timm_names.check_model(locations.read_config(folder)["architecture"], location)
    elif not model.startswith(locations.HUB):
        timm_names.check_model(model, location)
    if backbone.zero_shot is not None:
        _check_zero_shot(backbone.zero_shot, model, f"{location}.zero_shot")
    elif backbone.weights:
        locations.weights_files(backbone.weights, f"{location}.weights")
    elif study.pretraining.weights == "random" and study.pretraining.training is None:
        raise UserError(
            "a model with random weights needs `training`", where=where.at("pretraining"),
            hint=f"Or give {name!r} a checkpoint (`backbones.{name}.weights`), or take the hub's (`weights: hub`)",
        )  # fmt: skip
    check_input_size(study, name, location)
    if backbone.class_names is not None and not backbone.weights and folder is None:
        raise UserError("`class_names` belong to `weights`", where=location)
    locations.read_class_names(backbone.class_names, f"{location}.class_names")


def _check_rows(study: Study, dataset: str, name: str, where: Origin) -> None:
    """Check that it is known which row of a head that is taken as it is stands for which class."""
    backbone, location = study.backbones[name], where.at("backbones", name)
    if backbone.zero_shot is not None:
        check_words(study.data_set(dataset), dataset, backbone.zero_shot.class_names, f"{location}.zero_shot")
        return
    own = backbone.weights or locations.folder_of(backbone.model or name)
    if own and study.pretraining.training is None and backbone.class_names is None:
        check_rows(study.data_set(dataset), own, location)


def _check_zero_shot(use: ZeroShot, model: str, where: str) -> None:
    """Check what can be checked without open_clip, which need not be installed to look at results."""
    if ":" in model:
        raise UserError(
            f"{model!r} has weights of its own", where=where,
            why="The weights are CLIP's: give timm's name of its image tower, without a tag",
        )  # fmt: skip
    locations.clip_files(use.model, f"{where}.model")
    locations.read_class_names(use.class_names, f"{where}.class_names")


def _check_imported(study: Study, name: str, where: Origin) -> None:
    """Check that nothing asks to train a recipe that is a checkpoint."""
    locations.read_class_names(study.recipes[name].class_names, where.at("recipes", name, "class_names"))
    for calibrator, use in study.calibrators.items():
        if "pseudo_splits" in registry.calibrator_record(use.calibrator or calibrator).reads:
            raise UserError(
                f"{calibrator} needs further trainings, the recipe {name!r} is a checkpoint and is not trained",
                where=where.at("calibrators", calibrator), hint="Leave it out, or give the trained recipes a study of "
                "their own",
            )  # fmt: skip


def _check_own(kind: str, path: str, where: str) -> None:
    """Check that a file of the user's own is there and defines what its kind needs."""
    try:
        registry.load(kind, path)
    except UserError as error:
        inside = f" ({error.where})" if error.where and error.where != path else ""
        raise UserError(f"{error.what}{inside}", where=where, why=error.why, hint=error.hint) from error


def _check_validation(study: Study, where: Origin) -> None:
    """Check that data sets hold out validation data if a calibrator reads it."""
    reading = [
        name
        for name, use in study.calibrators.items()
        if "validation" in registry.calibrator_record(use.calibrator or name).reads
    ]
    for dataset, use in study.datasets.items():
        if reading and not use.validation_fraction:
            raise UserError(
                f"{', '.join(reading)} read{'s' * (len(reading) == 1)} validation data, "
                f"the data set {dataset!r} holds none out",
                where=where.at("datasets", dataset, "validation_fraction"),
                hint="Set it, for example to 0.1, or leave these calibrators out",
            )  # fmt: skip


def _check_heads(study: Study, where: Origin) -> None:
    """Check that every calibrator works with every head."""
    cosine = [name for name, backbone in study.backbones.items() if backbone.head == "cosine"]
    for name, use in study.calibrators.items():
        if cosine and registry.calibrator_record(use.calibrator or name).linear_head_only:
            raise UserError(
                f"{use.calibrator or name} works with linear heads only", where=where.at("calibrators", name),
                why=f"The head of {cosine[0]!r} is cosine: its logits do not depend on the lengths of its rows",
            )  # fmt: skip


def _check_tasks(study: Study, where: Origin) -> None:
    for dataset in study.tasks:
        if dataset not in study.datasets:
            raise unknown("data set", dataset, study.datasets, where=where.at("tasks"))
    for dataset in study.datasets:
        data_set = study.data_set(dataset)
        data_set.check(where.at("datasets", dataset, "options"))
        known = data_set.domains()
        if not study.tasks.get(dataset):
            raise UserError(f"no task for the data set {dataset!r}", where=where.at("tasks"), why=_task_form(known))
        for task in study.tasks[dataset]:
            source, _, target = task.partition("-")
            if source not in known or target not in known or source == target:
                offered = closest(task, [f"{a}-{b}" for a in known for b in known if a != b])
                raise UserError(
                    f"{task!r} is no task of {dataset!r}", where=where.at("tasks", dataset), why=_task_form(known),
                    hint=f"The closest is {offered[0]!r}" if offered else "",
                )  # fmt: skip


def _task_form(domains: tuple[str, ...]) -> str:
    return f"A task is `source-target`, two different domains of {', '.join(domains)}"


def _check_split(study: Study, dataset: str, name: str, where: Origin) -> None:
    """Check that a split works for a data set, as far as its classes are known before any job has run."""
    location = where.at("splits", name)
    data_set, split = study.data_set(dataset), study.splits[name]
    if isinstance(split, OfficialSplit):
        if not data_set.official_tasks():
            raise UserError(
                f"the data set {dataset!r} has no official split",
                where=location,
                why="Kinds that work: random, clustered, classes, present",
            )
        official_source(study, dataset, split, location)
    if isinstance(split, ClusteredSplit):
        clustered_with(study, dataset, split, location)
    check_source(study, dataset, split, where)
    classes = data_set.classes()
    if classes is None:
        return
    size = check_presence(study, dataset, name, classes, where) or split_size(split, classes, location)
    reads = {n: registry.calibrator_record(u.calibrator or n).reads for n, u in study.calibrators.items()}
    for calibrator, read in reads.items():
        if "pseudo_splits" in read and size < 2:
            raise UserError(
                f"{calibrator} needs at least 2 fine-tuning classes, this split of {dataset!r} has {size}",
                where=location, why="Pseudo cross-validation splits S once more",
            )  # fmt: skip
