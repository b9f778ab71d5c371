"""Names of the rows of a head, as a model's files give them. Reads no weights and needs no torch."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors

from finecal.errors import UserError, join_names
from finecal.io.outside import is_count, reading
from finecal.models.header import METADATA

IMAGENET = 1000  # its list of names has the same words for different classes
SHOWN = 5
# What transformers calls classes that nobody has named.
_UNNAMED = re.compile(r"LABEL_\d+")


def label_names(config: Mapping[str, Any], where: str = "config.json") -> tuple[str, ...] | None:
    """Return the names of the head's rows in a configuration of timm or transformers; None if it has none.

    timm writes `label_names`, formerly `labels`, at the top or in `pretrained_cfg`: a list, or a mapping of numbers to
    names. transformers writes `id2label`.

    Raises
    ------
    UserError
        If it is no such list or mapping, or a name is there twice; ImageNet's own list has such names.
    """
    inner = config.get("pretrained_cfg")
    places = [config, *([inner] if isinstance(inner, Mapping) else [])]
    forms = [(key, place[key]) for place in places for key in ("label_names", "labels") if place.get(key)]
    if not forms and (given := config.get("id2label")):
        forms = [("id2label", given)]
    if not forms:
        return None
    key, given = forms[0]
    names = as_names(_in_order(given, f"{where}: {key}"))
    if key == "id2label" and all(_UNNAMED.fullmatch(name) for name in names):
        return None
    if len(names) != IMAGENET:
        check_distinct(names, f"{where}: {key}")
    else:
        _check_imagenet(names, f"{where}: {key}")
    return names


def _in_order(given: Any, where: str) -> list[Any]:
    """Return the names in the order of the rows, as `in_order` does; raise UserError if they have none."""
    if (found := in_order(given)) is not None:
        return found
    raise UserError(
        "the names of the head's rows are neither a list nor a mapping of the numbers 0, 1, … to names", where=where
    )


def in_order(given: Any) -> list[Any] | None:
    """Return a list, or the names of a mapping of numbers to names or names to numbers in the order of the numbers.

    None if it is neither, or the numbers are not 0, 1, ….
    """
    if isinstance(given, (list, tuple)):
        return list(given)
    if isinstance(given, Mapping):
        for pairs in (given.items(), [(value, key) for key, value in given.items()]):
            if all(is_count(str(number)) for number, _ in pairs):
                named = {int(number): name for number, name in pairs}
                if sorted(named) == list(range(len(given))):
                    return [named[number] for number in sorted(named)]
    return None


def as_names(given: Iterable[Any]) -> tuple[str, ...]:
    """Return names as text in which é is one letter, as the data set's classes are compared."""
    return tuple(unicodedata.normalize("NFC", str(name)) for name in given)


def check_distinct(names: Sequence[str], where: str) -> None:
    """Raise UserError if a name is there twice."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        quoted = join_names([repr(name) for name in twice], SHOWN)
        raise UserError(
            f"the class {quoted} is there twice" if len(twice) == 1 else f"the classes {quoted} are there twice",
            where=where, why="Each row of a head is another class, so each needs a name of its own",
        )  # fmt: skip


def _check_imagenet(names: Sequence[str], where: str) -> None:
    from finecal.models.imagenet_classes import are_imagenet

    if len({*names}) < len(names) and not are_imagenet(names):
        check_distinct(names, where)


def names_in_file(file: Path) -> tuple[str, ...] | None:
    """Return the names in the metadata of a file of weights that finecal has written; None in other files.

    Raises
    ------
    UserError
        If it is no safetensors file though it is so called, or finecal's metadata do not name the classes.
    """
    if file.suffix != ".safetensors":
        return None
    with reading(file, "safetensors"), safetensors.safe_open(file, framework="numpy") as opened:
        described = (opened.metadata() or {}).get(METADATA)
    try:
        names = as_names(json.loads(described)["architecture"]["classes"]) if described else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"its metadata {METADATA!r} do not name the classes", where=str(file),
            why="finecal writes them as JSON with `architecture.classes`",
        ) from error  # fmt: skip
    check_distinct(names or (), str(file))
    return names
