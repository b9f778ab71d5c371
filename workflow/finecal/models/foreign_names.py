"""State dicts of other libraries' models: translated to timm's names where a table knows them, else called foreign."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from finecal.errors import UserError
from finecal.models import torchvision_names, transformers_names
from finecal.models.joined_heads import layers_of, split_state
from finecal.models.renaming import Table, find_names, rename
from finecal.models.state_dicts import State

TABLES: tuple[Table, ...] = (*transformers_names.TABLES, *torchvision_names.TABLES)
NAMES_SHOWN = 3


def translate(state: State, model: nn.Module, name: str, file: Path) -> State | None:
    """Return the tensors under timm's names; None if no table knows theirs.

    Raises
    ------
    UserError
        If they are of another family than the model, or the two differ in what no shape tells.
    """
    for table in TABLES:
        found = find_names(state, table)
        if found is None:
            continue
        if not any(kind.__name__ in table.classes for kind in type(model).__mro__):
            raise UserError(
                f"these are the weights of {table.origin}, and {name!r} is a {type(model).__name__}", where=str(file),
                why=f"Their counterpart in timm is a {' or a '.join(table.classes)}",
                hint="Give the name of timm's model of the same size",
            )  # fmt: skip
        if (problem := table.problem(found, model, name)) is not None:
            what, hint = problem
            raise UserError(
                f"these weights of {table.origin} would give other logits",
                where=str(file),
                why=what[:1].upper() + what[1:],
                hint=hint,
            )
        return rename(found, table, split_state(model.state_dict(), layers_of(model)))
    return None


def error(state: State, wanted: State, file: Path, model: str) -> UserError | None:
    """Return the error for names that are not timm's; None if most of the file's or of the model's are."""
    common = sum(name in state for name in wanted)
    if 2 * common >= min(len(wanted), len(state)):
        return None
    return UserError(
        f"the names of its tensors are not those of {model!r}", where=str(file),
        why=f"It has {_first(state)}; timm's are {_first(wanted)}. Names that timm knows are translated, and those of "
        "some classifiers of transformers and torchvision (docs/origins.md)",
        hint="Check `model`; or load the weights into timm's model yourself and save its state_dict()",
    )  # fmt: skip


def _first(state: State) -> str:
    return ", ".join([*map(repr, list(state)[:NAMES_SHOWN]), *["…"] * (len(state) > NAMES_SHOWN)])
