"""Files of a user's own model: a checkpoint, or a folder that timm can load. Reads no weights."""

from __future__ import annotations

import importlib.util
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finecal.errors import UserError, how_to_install, unknown
from finecal.io.outside import read_lines, reading
from finecal.models import timm_names
from finecal.models.row_names import as_names, check_distinct, label_names, names_in_file
from finecal.models.transformers_config import PREPROCESSOR, is_transformers
from finecal.models.weight_files import FORMATS, WRITTEN, check_name, find_weights, no_config_error, parts

LOCAL, HUB = "local-dir:", "hf-hub:"
CONFIG = "config.json"
CLIP_CONFIG = "open_clip_config.json"
# What of an image's preparation timm's configuration of weights may say.
SAID = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
# Suffixes of the vocabulary and the configuration of a tokeniser.
TOKENISER = (".json", ".txt", ".model")


def folder_of(model: str) -> str | None:
    """Return the folder in a model's name `local-dir:FOLDER`; None for other names."""
    return model.removeprefix(LOCAL) if model.startswith(LOCAL) else None


def weights_files(path: str, where: str) -> tuple[Path, ...]:
    """Return the files of a checkpoint: first the weights, or the list of their parts; of a folder also config.json.

    Raises
    ------
    UserError
        If something is missing, or the file is no checkpoint by its name.
    """
    place = Path(path)
    if place.is_dir():
        config = place / CONFIG
        if not config.is_file():
            raise no_config_error(place, CONFIG, where)
        preprocessor = place / PREPROCESSOR
        return find_weights(place, where), config, *([preprocessor] if preprocessor.is_file() else [])
    if not place.is_file():
        raise UserError(f"there is no file {path!r}", where=where, why="The path is relative to the working directory")
    check_name(place, where)
    parts(place)
    return (place,)


def checkpoint_files(path: str, where: str, *, named: bool) -> tuple[Path, ...]:
    """Return the files that decide what a checkpoint gives: its own, and a config.json beside it with class names.

    Parameters
    ----------
    named
        Whether the study names the rows of the head, so that no config.json beside the file is read for them.

    Raises
    ------
    UserError
        As for `weights_files`.
    """
    files = weights_files(path, where)
    beside = files[0].parent / CONFIG
    read = not named and files[0].name in WRITTEN and beside.is_file()  # as models/checkpoints.py does
    divided = parts(files[0])
    whole = files if divided == files[:1] else (*files, *divided)
    return (*whole, beside) if read and beside not in files else whole


def config_files(weights: str) -> tuple[Path, ...]:
    """Return the files that say how a checkpoint's images are prepared: a folder's, or timm's beside its file."""
    place = Path(weights)
    if not place.is_dir() and place.name not in WRITTEN:
        return ()
    folder = place if place.is_dir() else place.parent
    return tuple(file for name in (CONFIG, PREPROCESSOR) if (file := folder / name).is_file())


def transform_config(weights: str) -> dict[str, Any] | None:
    """Return timm's configuration of a checkpoint, which says how images are prepared; None if nothing says it."""
    config = config_of(weights, weights)
    if config is None or is_transformers(config):
        return None
    # timm writes it below `pretrained_cfg`; older files have it at the top.
    found: dict[str, Any] = config.get("pretrained_cfg") or config
    return found if isinstance(found, dict) and any(found.get(part) for part in SAID) else None


def cached_config(model: str) -> dict[str, Any] | None:
    """Return timm's configuration of `hf-hub:ORGANISATION/NAME` if it was fetched before; nothing is fetched here."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = model.removeprefix(HUB).partition("@")
    path = try_to_load_from_cache(repository, CONFIG, revision=revision or None)
    if not isinstance(path, str):
        return None
    config = _read_json(Path(path))
    found: dict[str, Any] = config.get("pretrained_cfg") or config
    return found


def clip_files(model: str, where: str) -> tuple[Path, ...]:
    """Return the files of a user's own CLIP, `local-dir:FOLDER`: weights, configuration and tokeniser.

    For other names there are none.

    Raises
    ------
    UserError
        If something is missing.
    """
    name = folder_of(model)
    if name is None:
        return ()
    folder = Path(name)
    if not (folder / CLIP_CONFIG).is_file():
        raise UserError(
            f"there is no {CLIP_CONFIG} in the folder {name!r}", where=where,
            why="A folder is one that open_clip has written; the path is relative to the working directory",
        )  # fmt: skip
    weights = sorted(file for file in folder.iterdir() if file.suffix in FORMATS)
    if not weights:
        raise UserError(f"the folder {name!r} has no file of weights", where=where)
    of_tokeniser = sorted(file for file in folder.iterdir() if file.suffix in TOKENISER and file.name != CLIP_CONFIG)
    return (*weights, folder / CLIP_CONFIG, *of_tokeniser)


def has_open_clip() -> bool:
    """Return whether the extra `clip` is installed, without importing it."""
    return importlib.util.find_spec("open_clip") is not None


def check_open_clip(where: str) -> None:
    """Raise UserError if open_clip, which makes zero-shot heads, is not installed."""
    if not has_open_clip():
        raise UserError(
            "a zero-shot head is made with open_clip, which is not installed", where=where,
            hint=how_to_install("clip"),
        )  # fmt: skip


def read_any_config(folder: str | Path) -> dict[str, Any]:
    """Read the config.json of a folder of transformers, or of timm as `read_config` does."""
    config = _read_json(Path(folder) / CONFIG)
    return config if is_transformers(config) else read_config(folder)


def _read_json(path: Path) -> Any:
    with reading(path, "JSON"):
        return json.loads(path.read_text("utf-8-sig"))


def read_config(folder: str | Path) -> dict[str, Any]:
    """Read the config.json of a timm folder, or of transformers' wrapper around a timm model.

    Raises
    ------
    UserError
        If it is missing, is not JSON, or does not name a timm model.
    """
    path = Path(folder) / CONFIG
    config = _read_json(path)
    name = config.get("architecture") if isinstance(config, dict) else None
    if is_transformers(config):
        kind = ", ".join(map(str, config.get("architectures") or [config["model_type"]]))
        raise UserError(
            f"this folder is one of transformers ({kind}), not timm's", where=str(path),
            hint="Give timm's name of the same model as `model`, and the folder as `weights`",
        )  # fmt: skip
    if not isinstance(name, str):
        raise UserError("the key 'architecture' is missing", where=str(path), why="It is timm's name of the model")
    if not timm_names.is_model(name):
        raise unknown("timm model", name, timm_names.architectures(), where=str(path), limit=5)
    # transformers' wrapper writes null where it has no arguments.
    found: dict[str, Any] = {key: value for key, value in config.items() if value is not None}
    return found


def names_of_rows(path: str | Path, where: str) -> tuple[str, ...] | None:
    """Return the names of the head's rows of a checkpoint: of its config.json, or of a file that finecal has written.

    None if nothing names them.
    """
    config, file = config_of(path, where), weights_files(str(path), where)[0]
    return names_in_file(file) if config is None else label_names(config, str(file.parent / CONFIG))


def config_of(path: str | Path, where: str) -> dict[str, Any] | None:
    """Return the config.json, of timm or of transformers, that belongs to a checkpoint; None if there is none."""
    file, *config = weights_files(str(path), where)
    if config:
        return read_any_config(file.parent)
    if file.name not in WRITTEN:
        return None
    try:
        return read_any_config(file.parent)
    except UserError:  # a file of another purpose
        return None


def read_class_names(given: str | Sequence[str] | None, where: str) -> list[str] | None:
    """Read the names that a study gives a head's rows: a list, or a text file with one per line."""
    if given is None:
        return None
    if isinstance(given, str):
        given = read_lines(given, where=f"{where}: {given}")
    names = as_names(given)
    if not names:
        raise UserError("there is no class name", where=where)
    check_distinct(names, where)
    return list(names)


def fill(pattern: str, coordinates: Mapping[str, Any], where: str) -> str:
    """Fill `{split}`, `{seed}` and the like into a path.

    >>> fill("models/{split}_{seed}.pth", {"split": "half0", "seed": 3}, "")
    'models/half0_3.pth'
    """
    for name in placeholders(pattern, where):
        if name not in coordinates:
            raise unknown("placeholder", f"{{{name}}}", [f"{{{key}}}" for key in coordinates], where=where)
    return pattern.format(**coordinates)


def placeholders(pattern: str, where: str) -> list[str]:
    """Return the names in braces."""
    try:
        return [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        raise UserError(
            f"{pattern!r} is not a valid path pattern ({error})", where=where, why="Braces hold names: {split}"
        ) from error
