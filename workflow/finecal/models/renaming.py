"""Rename the tensors of other libraries' models to timm's names, by tables of rules.

A conversion is only taken if every tensor of timm's model gets one of the same shape (`checkpoints.load_as`). What
shapes do not tell, such as the padding, a table's `problem` compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from finecal.models.state_dicts import State
from finecal.models.wrappers import PREFIXES, is_beside

# What a table says that its model does otherwise than timm's, and what helps; empty where they agree.
Problem = tuple[str, str]
Rule = tuple[str, str | Callable[[re.Match[str]], str]]


@dataclass(frozen=True)
class Table:
    """How a library names the tensors of a family of models.

    Attributes
    ----------
    origin
        The library and its model, for messages.
    classes
        Names of the classes of timm's models that do the same.
    signature
        Matches one name that only this family has, after any prefix of a wrapper. Its first group, if there is one, is
        the family's own prefix, which is removed from all names; where it is missing, only known wrappers may stand
        before.
    rules
        Pattern of a whole name → timm's name; the first that matches. Names without a rule stay.
    left_out
        Matches names of tensors that timm's model computes itself or has no use for.
    joined
        Parts of names → the part of the one tensor that they become together, in this order: query, key and value.
    ordered
        First parts of names, if the modules are timm's one after the other instead of by rules.
    change
        Makes timm's tensors of those that are not the same under another name.
    problem
        Compares what shapes do not tell.
    """

    origin: str
    classes: tuple[str, ...]
    signature: str
    rules: Sequence[Rule] = ()
    left_out: str = r"(?!)"
    joined: Mapping[str, str] = field(default_factory=dict)
    ordered: tuple[str, ...] = ()
    change: Callable[[State], State] = field(default=lambda state: state)
    problem: Callable[[State, nn.Module, str], Problem | None] = field(default=lambda state, model, name: None)


def find_names(state: State, table: Table) -> State | None:
    """Return the tensors that a table is about, without prefixes of wrappers; None if they are of another family."""
    found = [match for key in state if (match := re.fullmatch(rf"((?:\w+\.)*?)(?:{table.signature})", key))]
    if len(found) != 1:
        return None
    outer, *roots = found[0].groups()
    if roots == [None] and any(f"{part}." not in PREFIXES for part in outer.split(".")[:-1]):
        return None  # a prefix of another family
    root = "".join(filter(None, roots))
    inner = {key.removeprefix(outer): tensor for key, tensor in state.items() if key.startswith(outer)}
    inner = {key.removeprefix(root): tensor for key, tensor in inner.items() if not is_beside(key)}
    return {key: tensor for key, tensor in inner.items() if not re.fullmatch(table.left_out, key)}


def rename(state: State, table: Table, wanted: State) -> State:
    """Return the tensors of `find_names` under timm's names, with axes of length 1 as in `wanted`."""
    state = table.change(state)
    renamed = _in_order(state, table.ordered, wanted) if table.ordered else _by_rules(state, table)
    return {key: _shaped(tensor, wanted.get(key)) for key, tensor in renamed.items()}


def _by_rules(state: State, table: Table) -> State:
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        name = key
        for pattern, template in table.rules:
            if match := re.fullmatch(pattern, key):
                name = template(match) if callable(template) else match.expand(template)
                break
        part = next((part for part in table.joined if f".{part}." in name), "")
        whole = name.replace(f".{part}.", f".{table.joined[part]}.") if part else name
        parts.setdefault(whole, {})[part] = tensor
    return {
        name: found[""] if "" in found else torch.cat([found[part] for part in table.joined if part in found])
        for name, found in parts.items()
    }


def _in_order(state: State, first: tuple[str, ...], wanted: State) -> State:
    """Pair the modules of the state, by the numbers in their names, with timm's in the order of their definition."""
    theirs = _modules(state)
    order = sorted(theirs, key=lambda name: _place(name, first))
    renamed: State = {}
    for name, own in zip(order, _modules(wanted), strict=False):
        renamed |= {f"{own}.{leaf}": state[f"{name}.{leaf}"] for leaf in theirs[name]}
    if len(order) != len(_modules(wanted)):
        return dict(state)  # another depth: the caller reports names that do not fit
    return renamed


def _modules(state: State) -> dict[str, list[str]]:
    """Module → names of its own tensors."""
    found: dict[str, list[str]] = {}
    for key in state:
        module, _, leaf = key.rpartition(".")
        found.setdefault(module, []).append(leaf)
    return found


def _place(name: str, first: tuple[str, ...]) -> list[tuple[int, int, str]]:
    top, *rest = name.split(".")
    numbered = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in rest]
    return [(first.index(top) if top in first else len(first), 0, top), *numbered]


def _shaped(tensor: Tensor, wanted: Tensor | None) -> Tensor:
    """Reshape a linear layer to a 1 × 1 convolution and the like; other tensors stay as they are."""
    if wanted is None or tensor.shape == wanted.shape:
        return tensor
    one, other = ([length for length in shape if length != 1] for shape in (tensor.shape, wanted.shape))
    return tensor.reshape(wanted.shape) if one == other else tensor
