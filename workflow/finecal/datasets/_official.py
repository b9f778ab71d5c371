"""Read the files of the paper's published code: lists of training and test files, and orders of classes.

They are fetched from its repository at one commit (see downloads.csv) and checked by hash. The orders of the classes
stand in a Python file, which is parsed and not run.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from finecal.errors import UserError, unknown

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles

LICENCE = "MIT"
CLASS_ORDERS = "HT_HARDCODED.py"


def read_class_order(folder: Path, name: str) -> tuple[int, ...]:
    """Read the order of the classes, those of S first: the numbers that a Python file assigns to a name.

    The value is a list or a tuple of integers, or a call with one, such as `torch.tensor([...])`. The file is parsed,
    not run.

    Raises
    ------
    UserError
        If the file is not Python, does not assign the name, or assigns something else or a class twice.
    """
    file = folder / CLASS_ORDERS
    try:
        statements = ast.parse(file.read_text("utf-8")).body
    except FileNotFoundError as error:
        raise UserError("this file is missing", where=str(file)) from error
    except (SyntaxError, ValueError) as error:
        raise UserError(f"not readable as Python ({error})", where=str(file)) from error
    found: dict[str, ast.expr] = {}
    for statement in statements:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {target.id: statement.value for target in targets if isinstance(target, ast.Name)}
    if name not in found:
        raise unknown("class order", name, found, where=str(file))
    order = _integers(found[name])
    if not order or len(set(order)) < len(order) or min(order) < 0:
        raise UserError(f"{name} is not a list of different class numbers", where=str(file))
    return order


def _integers(node: ast.expr) -> tuple[int, ...]:
    """Return the integers of a list or a tuple, or of the first argument of a call; nothing if it has other values."""
    if isinstance(node, ast.Call) and node.args:
        return _integers(node.args[0])
    if not isinstance(node, (ast.List, ast.Tuple)):
        return ()
    values = [entry.value for entry in node.elts if isinstance(entry, ast.Constant) and type(entry.value) is int]
    return tuple(values) if len(values) == len(node.elts) else ()


def read_lists(training: Path, test: Path, folder: Path, *, size: int, fit: str) -> ImageFiles:
    """Read two lists of images below a folder, first those for training; classes are named by their folders."""
    import numpy as np

    from finecal.data.image_files import ImageFiles
    from finecal.datasets._lists import name_classes_by_folder, read_list

    lists = [read_list(training), read_list(test)]
    entries = [entry for one in lists for entry in one]
    return ImageFiles(
        files=tuple(folder / name for name, _ in entries),
        labels=np.array([label for _, label in entries], dtype=np.int32),
        test=np.repeat([False, True], [len(one) for one in lists]),
        classes=name_classes_by_folder(entries),
        root=folder,
        size=size,
        fit=fit,  # type: ignore[arg-type]  # checked by `Stored`
    )
