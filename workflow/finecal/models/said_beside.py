"""What a trainer has saved beside a state dict: how it calls the classes, and with which arguments it was run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from finecal.models.nested_states import NO_MODEL, PLAIN, as_tensor
from finecal.models.row_names import as_names, in_order

# Keys of the names of classes, as trainers call them; capitals and underscores do not count.
OF_NAMES = frozenset(
    {
        "classes", "classnames", "classtoidx", "idxtoclass", "class2idx", "idx2class", "labelnames", "id2label",
        "label2id", "labelmap", "idx2label", "label2idx", "categories", "labels", "names", "classmap",
    }
)  # fmt: skip
DEEPEST = 4
Names = tuple[str, ...]


def class_names_in(content: Any) -> tuple[Names, ...]:
    """Return the different lists of names that may be those of a head's rows, in their order.

    Names that are only the numbers of the rows say nothing.
    """
    found: dict[Names, None] = {}
    for key, value in _entries(content, 0):
        if key.lower().replace("_", "") in OF_NAMES and (names := _names(value)) is not None:
            found[names] = None
    return tuple(found)


def _entries(content: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values that are no tensors, at any depth."""
    inside = vars(content) if isinstance(content, argparse.Namespace) else content
    if not isinstance(inside, Mapping) or depth > DEEPEST:
        return
    for key, value in inside.items():
        if isinstance(key, str) and as_tensor(value) is None and not NO_MODEL.fullmatch(key):
            yield key, value
            yield from _entries(value, depth + 1)


def _names(given: Any) -> Names | None:
    if not isinstance(given, (list, tuple, Mapping)) or len(given) < 2:
        return None
    forms: list[Any] = [given]
    if isinstance(given, Mapping):
        if not all(isinstance(one, PLAIN) and as_tensor(one) is None for pair in given.items() for one in pair):
            return None
        forms.append({number: name for name, number in given.items()})  # names may be numbers in quotes
    for ordered in map(in_order, forms):
        if ordered is None or not all(isinstance(name, str) for name in ordered) or len({*ordered}) < len(ordered):
            continue
        return as_names(ordered) if any(name != str(row) for row, name in enumerate(ordered)) else None
    return None


def arguments_in(content: Any) -> tuple[Mapping[str, Any], str | None]:
    """Return the arguments of a command line that stand as `args`, and the name of a model that stands as `arch`."""
    if not isinstance(content, Mapping):
        return {}, None
    given, arch = content.get("args"), content.get("arch")
    found = vars(given) if isinstance(given, argparse.Namespace) else given
    return (found if isinstance(found, Mapping) else {}), (arch if isinstance(arch, str) else None)
