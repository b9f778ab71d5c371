"""Compose study files by `extends`: a file says only what differs from others.

The files are applied one after the other, each after those that it extends; one that several of them extend is
applied once, before all of them. What is given later replaces what was given before: an axis (data sets, tasks,
backbones, recipes, splits, seeds, calibrators) as a whole, since a list of five recipes should mean five; settings
(`MERGED`) key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from finecal.config.yaml_loader import parse_yaml
from finecal.errors import UserError, unknown
from finecal.io.outside import read_text
from finecal.paths import WORKFLOW

STUDIES = WORKFLOW / "studies"
# Its files are no studies: they leave out where the images are, and are there to be extended.
BASES = STUDIES / "bases"
EXTENDS = "extends"

# The mappings that are merged key by key. An optimiser's own options are not: they belong to the optimiser.
MERGED = {
    ("training",),
    ("training", "augmentation"),
    ("pretraining",),
    ("pretraining", "training"),
    ("pretraining", "training", "augmentation"),
    ("pseudo_splits",),
}

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Which file gives which key, so that errors name the file to edit.

    Attributes
    ----------
    file
        The study's own file, as its user names it.
    parts
        Key path → the file that gives its value.
    """

    file: str
    parts: Mapping[Keys, str] = field(default_factory=dict)

    def at(self, *keys: str, wrong: str | None = None) -> str:
        """Return `file: key.path`, with the file that gives the value at the path or, if none does, above it.

        A value of another file than the study's own names both: its user may never have seen the other one.
        `wrong` is a key below the path that is not named, but decides which file it is.
        """
        path = keys if wrong is None else (*keys, wrong)
        files = [self.parts[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.parts]
        file = files[0] if files else self.file
        if file != self.file:
            file = f"{file} (extended by {self.file})"
        return f"{file}: {'.'.join(keys)}" if keys else file


class _File(NamedTuple):
    path: Path
    name: str


def study_names() -> tuple[str, ...]:
    """Return the names of the built-in studies, sorted."""
    found = (path for path in STUDIES.rglob("*.yaml") if path.parent != BASES)
    return tuple(sorted(path.relative_to(STUDIES).with_suffix("").as_posix() for path in found))


def base_names() -> tuple[str, ...]:
    """Return the names of the built-in bases, which can only be extended, sorted."""
    return tuple(sorted(path.stem for path in BASES.glob("*.yaml")))


def base_description(name: str) -> str:
    """Return what a base is for."""
    return " ".join(str(_read(read_text(BASES / f"{name}.yaml"), name)["description"]).split())


def compose(name: str) -> tuple[dict[str, Any], Origin]:
    """Return the keys of a study and of those it extends, and where each comes from.

    Raises
    ------
    UserError
        If a file is missing, is not YAML or not a mapping, or extends itself.
    """
    file = _find(name, Path(), where="studies")
    return compose_text(read_text(file.path), name, folder=file.path.parent, chain=(file,))


def compose_text(
    text: str, name: str, *, folder: Path = Path(), chain: tuple[_File, ...] = ()
) -> tuple[dict[str, Any], Origin]:
    """Compose a study as `compose` does, from the text of a file in `folder`."""
    layers: dict[Path, tuple[str, dict[str, Any]]] = {}
    own = _read(text, name)
    for base in _bases(own, name, folder):
        _collect(base, chain, layers)
    values: dict[str, Any] = {}
    parts: dict[Keys, str] = {}
    for file, layer in (*layers.values(), (name, own)):
        _apply(layer, file, values, parts)
    if EXTENDS not in own:
        values.pop(EXTENDS, None)
    return values, Origin(name, parts)


def _find(name: str, folder: Path, where: str) -> _File:
    """Find a built-in study by its name, or a file by its path, which is relative to `folder`."""
    if name in study_names():
        return _File(STUDIES / f"{name}.yaml", name)
    is_extended = where.endswith(EXTENDS)
    if name in base_names():
        if is_extended:
            return _File(BASES / f"{name}.yaml", name)
        raise UserError(
            f"{name!r} is no study: it does not say where the images are", where=where,
            why=f"It is there to be extended by a file of your own: `extends: {name}`, and `datasets` and `tasks`",
        )  # fmt: skip
    path = folder / name
    if path.suffix not in (".yaml", ".yml") and not path.is_file():  # some of the built-in ones are in folders, too
        raise unknown("study", name, (*study_names(), *(base_names() if is_extended else ())), where=where)
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}", where=where, why="A study is a built-in name or a YAML file")
    return _File(path, str(path))


def _collect(file: _File, chain: tuple[_File, ...], layers: dict[Path, tuple[str, dict[str, Any]]]) -> None:
    """Append what a file extends, then the file itself, each once."""
    place = file.path.resolve()
    if place in [known.path.resolve() for known in chain]:
        way = " → ".join(known.name for known in (*chain, file))
        raise UserError("this study extends itself", where=f"{chain[-1].name}: {EXTENDS}", why=way)
    if place in layers:
        return
    raw = _read(read_text(file.path), file.name)
    for base in _bases(raw, file.name, file.path.parent):
        _collect(base, (*chain, file), layers)
    layers[place] = (file.name, raw)


def _read(text: str, name: str) -> dict[str, Any]:
    raw = parse_yaml(text, where=name)
    if not isinstance(raw, dict):
        raise UserError("a study is a mapping of keys to values", where=name)
    return raw


def _bases(raw: dict[str, Any], name: str, folder: Path) -> list[_File]:
    given = raw.get(EXTENDS, [])
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(base, str) for base in names):
        raise UserError(
            f"{given!r} is not allowed", where=f"{name}: {EXTENDS}",
            why="It is the name of a built-in study, the path of a file, or a list of them",
        )  # fmt: skip
    return [_find(base, folder, where=f"{name}: {EXTENDS}") for base in names]


def _apply(layer: dict[str, Any], file: str, values: dict[str, Any], parts: dict[Keys, str], at: Keys = ()) -> None:
    """Put a file's keys over `values`, both below the key path `at`."""
    for key, value in layer.items():
        here = (*at, str(key))
        if here in MERGED and isinstance(value, dict) and isinstance(values.get(key), dict):
            values[key] = dict(values[key])
            _apply(value, file, values[key], parts, here)
            continue
        values[key] = value
        for inner in [known for known in parts if known[: len(here)] == here]:
            del parts[inner]
        parts[here] = file
