"""Read study files: every mistake becomes one error with its key path, its value and what is allowed."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from finecal import catalogue, plugins
from finecal.config import ClassesSplit, OfficialSplit, RandomSplit, Study, plugin_options
from finecal.errors import UserError, closest, unknown

STUDIES = Path(__file__).parent.parent / "studies"


def study_names() -> tuple[str, ...]:
    """The built-in studies."""
    return tuple(sorted(p.stem for p in STUDIES.glob("*.yaml")))


def load_study(name: str) -> Study:
    """Read and check a study, by its built-in name or by the path of a YAML file.

    Raises
    ------
    UserError
        If there is no such study, the file is no YAML, or anything in it is wrong.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else STUDIES / f"{name}.yaml"
    if not path.is_file():
        if path.parent == STUDIES:
            raise unknown("study", name, study_names(), where="studies")
        raise UserError(f"there is no file {name!r}", where="studies", why="A study is a built-in name or a YAML file")
    return parse_study(path.read_text("utf-8"), where=name)


def parse_study(text: str, *, where: str) -> Study:
    """As `load_study`, from the YAML text; `where` names it in errors."""
    try:
        raw = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise UserError(f"not readable as YAML: {' '.join(str(error).split())}", where=where) from error
    if not isinstance(raw, dict):
        raise UserError("a study is a mapping of keys to values", where=where)
    with translated(where, Study):
        study = Study.model_validate(raw)
    _check_meaning(study, where)
    return study


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: two equal keys are an error, and 1e-3 is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


class translated:  # noqa: N801 - a context manager, used like a function
    """Turn pydantic's errors and UserErrors inside the block into one UserError that names the key path."""

    def __init__(self, where: str, model: type[BaseModel]) -> None:
        self.where, self.model = where, model

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, ValidationError):
            raise _from_pydantic(error, self.where, self.model) from None


def _from_pydantic(error: ValidationError, where: str, model: type[BaseModel]) -> UserError:
    first, *others = error.errors()
    location = f"{where}: {'.'.join(str(p) for p in first['loc'])}" if first["loc"] else where
    more = f"{len(others)} more mistake{'s' * (len(others) > 1)} in this file" if others else ""
    kind, given = first["type"], first["input"]
    if kind == "extra_forbidden":
        found = unknown("key", first["loc"][-1], _keys_at(model, first["loc"][:-1]), where=where)
        path = ".".join(str(p) for p in first["loc"][:-1])
        return UserError(found.what, where=f"{where}: {path}" if path else where, why=found.why, hint=more)
    if kind == "missing":
        return UserError("this key is missing", where=location, why=_describe(model, first["loc"]), hint=more)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UserError):
        return UserError(cause.what, where=location, why=cause.why, hint=more)
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].upper() + message[1:]
    shown = repr(given) if len(repr(given)) < 80 else repr(given)[:76] + " ..."
    return UserError(f"{shown} is not allowed", where=location, why=message, hint=more)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]


def _models_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """The models that may stand at a key path; parts that are no field are keys of a mapping or a union's tag."""
    models = [model]
    for part in location:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        inner = [m for annotation in fields for m in _models_in(annotation)]
        tagged = [
            m for m in models if "kind" in m.model_fields and part in typing.get_args(m.model_fields["kind"].annotation)
        ]
        models = inner or tagged or models
    return models


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    return {key for m in _models_at(model, location) for key in m.model_fields}


def _describe(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    for parent in _models_at(model, location[:-1]):
        if location[-1] in parent.model_fields:
            return parent.model_fields[str(location[-1])].description or ""
    return ""


def _check_meaning(study: Study, where: str) -> None:
    """What no single field can know: names that must exist, combinations that cannot work."""
    for name, backbone in study.backbones.items():
        model = backbone.model or name
        if not catalogue.is_model(model):
            raise unknown("timm model", model, catalogue.architectures(), where=f"{where}: backbones.{name}", limit=5)
    for key, uses, kind, attribute in (
        ("datasets", study.datasets, "dataset", "source"),
        ("recipes", study.recipes, "recipe", "recipe"),
        ("calibrators", study.calibrators, "calibrator", "calibrator"),
    ):
        for name, use in uses.items():
            built_in = getattr(use, attribute) or name
            if built_in not in plugins.names(kind):
                hint = "" if getattr(use, attribute) else f"A name of your own needs `{attribute}:` with a built-in one"
                found = unknown(kind, built_in, plugins.names(kind))
                raise UserError(found.what, where=f"{where}: {key}.{name}", why=found.why, hint=hint)
            with translated(f"{where}: {key}.{name}.options", plugins.load(kind, built_in).Options):
                plugin_options(kind, built_in, use.options)
    for name in study.recipes:
        with translated(f"{where}: recipes.{name}.training", type(study.training)):
            study.training_of(name)
    _check_tasks(study, where)
    for dataset in study.datasets:
        for split in study.splits:
            _check_split(study, dataset, split, where)


def _check_tasks(study: Study, where: str) -> None:
    for dataset in study.tasks:
        if dataset not in study.datasets:
            raise unknown("data set", dataset, study.datasets, where=f"{where}: tasks")
    for dataset, use in study.datasets.items():
        module = plugins.load("dataset", use.source or dataset)
        domains = module.domains(module.Options.model_validate(use.options))
        if not study.tasks.get(dataset):
            raise UserError(f"no task for the data set {dataset!r}", where=f"{where}: tasks", why=_task_form(domains))
        for task in study.tasks[dataset]:
            source, _, target = task.partition("-")
            if source not in domains or target not in domains or source == target:
                offered = closest(task, [f"{a}-{b}" for a in domains for b in domains if a != b])[0]
                raise UserError(
                    f"{task!r} is no task", where=f"{where}: tasks.{dataset}", why=_task_form(domains),
                    hint=f"The closest is {offered!r}",
                )  # fmt: skip


def _task_form(domains: tuple[str, ...]) -> str:
    return f"A task is `source-target`, two different domains of {', '.join(domains)}"


def _check_split(study: Study, dataset: str, name: str, where: str) -> None:
    """Whether a split works for a data set whose classes are known before any job has run."""
    location = f"{where}: splits.{name}"
    use, split = study.datasets[dataset], study.splits[name]
    module = plugins.load("dataset", use.source or dataset)
    options = module.Options.model_validate(use.options)
    if isinstance(split, OfficialSplit) and not module.official_tasks(options):
        raise UserError(
            f"the data set {dataset!r} has no official split", where=location, why="Kinds that work: random, classes"
        )
    classes = module.classes(options)
    if classes is None:
        return
    size = split_size(split, classes, location)
    reads = {n: plugins.load("calibrator", u.calibrator or n).READS for n, u in study.calibrators.items()}
    for calibrator, read in reads.items():
        if "pseudo_splits" in read and size < 2:
            raise UserError(
                f"{calibrator} needs at least 2 fine-tuning classes, this split of {dataset!r} has {size}",
                where=location, why="Pseudo cross-validation splits S once more",
            )  # fmt: skip


def split_size(split: RandomSplit | ClassesSplit | OfficialSplit, classes: tuple[str, ...], where: str) -> int:
    """Number of fine-tuning classes of a split; UserError if S would be empty or all of Y."""
    total = len(classes)
    if isinstance(split, ClassesSplit):
        size = len(class_numbers(split.fine_tuning, classes, where))
    elif isinstance(split, RandomSplit):
        size = split.count if split.count is not None else round((split.fraction or 0) * total)
    else:
        return total
    if not 0 < size < total:
        what = "more classes than there are" if size > total else "all classes" if size == total else "no class"
        raise UserError(
            f"this split takes {what} for fine-tuning ({size} of {total})", where=where,
            why=f"S needs 1 to {total - 1} classes, so that both S and U have at least one",
        )  # fmt: skip
    return size


def class_numbers(given: tuple[str | int, ...], classes: tuple[str, ...], where: str) -> list[int]:
    """Class numbers of classes given by name or by number, sorted.

    A text is looked up as a name; a number counts from 0 in the data set's order of classes.
    """
    numbers = []
    for value in given:
        if isinstance(value, int) and not 0 <= value < len(classes):
            raise UserError(
                f"class number {value} is out of range", where=where, why=f"0 to {len(classes) - 1} are allowed"
            )
        if isinstance(value, str) and value not in classes:
            raise unknown("class", value, classes, where=where)
        numbers.append(value if isinstance(value, int) else classes.index(value))
    twice = sorted({n for n in numbers if numbers.count(n) > 1})
    if twice:
        raise UserError(f"class {classes[twice[0]]!r} is given more than once", where=where)
    return sorted(numbers)
