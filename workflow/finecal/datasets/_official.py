"""What the published code of the paper has of its data sets: lists of training and test files, and orders of classes.

They are fetched from its repository at one commit, checked by hash, and only read: the orders of the classes stand in a
Python file, which is parsed and not run.
"""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from finecal.download.spec import Download
from finecal.errors import UserError, unknown

if TYPE_CHECKING:
    from finecal.data.image_files import ImageFiles

REPOSITORY = "OSU-MLB/Fine-Tuning-Is-Fine-If-Calibrated"
COMMIT = "2bc54b1edc2796f83d50bf049ddf102484051a51"
LICENCE = "MIT"
# Path in the repository → bytes, SHA-256.
FILES = {
    "asset/ImageNet/image_list/R_testing.txt": (
        229752, "d4b44e7b6925a0d38088ea353f3d05c448fb59a3f1045550d4796e7bf077f66a"),
    "asset/ImageNet/image_list/R_training.txt": (
        933413, "71e301e132ede714bd7e224420f91d9071033e3e520963755ec31343ca68a3eb"),
    "asset/ImageNet/image_list/S_testing.txt": (
        396942, "99ad5cef647d9faf0451167542acaea0f0c0a5df27ea4346efd5099d7a099d89"),
    "asset/ImageNet/image_list/S_training.txt": (
        1623016, "ae6ca5465090424ba23415e13aab962d960fa901f821c06c35254905fef276d0"),
    "asset/OfficeHome/image_list/Art_testing.txt": (
        18366, "813e33eff83fdf9ebec2c145319a84fd24171cd379ae402e65887c23defb17c6"),
    "asset/OfficeHome/image_list/Art_training.txt": (
        41036, "ffe17ecef2d41ac8e259ca2bc97cbd73340af3e618eead5a26a803d8243d0654"),
    "asset/OfficeHome/image_list/Clipart_testing.txt": (
        37631, "cecdace9f6bbf8e032b0d47acf7e1d5b846596074dd1e26d8750f478ea6ef0b9"),
    "asset/OfficeHome/image_list/Clipart_training.txt": (
        85874, "35ed52cbeedb7e67b78b411a662c096ef45e9cbb7fe9f7eee527331f646144a2"),
    "asset/OfficeHome/image_list/Product_testing.txt": (
        39038, "0925f97e5db34422ac16393726a227177a4a23a6262b0e601d7e2cd6eb30a2f5"),
    "asset/OfficeHome/image_list/Product_training.txt": (
        88291, "c7c9c1acc56d1b73dfca73dbe33243c5a0b034d5a42d4337f57b6a0b7704882a"),
    "asset/OfficeHome/image_list/Real_World_testing.txt": (
        42374, "823a644f8390dfd96cc5fa7163c242209b8d5d74589f4debbb7a2311cb91c5be"),
    "asset/OfficeHome/image_list/Real_World_training.txt": (
        95899, "314dcb2633e38889657768d0786d8204a828735c5320b6a3868348c10ca41817"),
    "py/HT_HARDCODED.py": (
        8088, "ba81d39c31071791b141944a996f28d08c6c7110e955fd3807d161bec7ff4bac"),
}  # fmt: skip
CLASS_ORDERS = "py/HT_HARDCODED.py"


def official_file(path: str) -> Download:
    """A file of the repository, by its path there; it is kept under its own name."""
    size, sha256 = FILES[path]
    urls = (
        f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/{path}",
        f"https://cdn.jsdelivr.net/gh/{REPOSITORY}@{COMMIT}/{path}",
    )
    return Download(PurePosixPath(path).name, urls, bytes=size, sha256=sha256)


def class_order(folder: Path, name: str) -> tuple[int, ...]:
    """The order of the classes, those of S first: the numbers that a Python file assigns to a name.

    A list or a tuple of integers is looked for, also within a call such as `torch.tensor([...])`. The file is parsed,
    nothing in it is run.

    Raises
    ------
    UserError
        If the file is no Python, does not assign the name, or assigns something else or a class twice.
    """
    file = folder / PurePosixPath(CLASS_ORDERS).name
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
        raise UserError(f"{name} is no list of different class numbers", where=str(file))
    return order


def _integers(node: ast.expr) -> tuple[int, ...]:
    """The integers of a list or a tuple, or of the first argument of a call; none if there are others."""
    if isinstance(node, ast.Call) and node.args:
        return _integers(node.args[0])
    if not isinstance(node, (ast.List, ast.Tuple)):
        return ()
    values = [entry.value for entry in node.elts if isinstance(entry, ast.Constant) and type(entry.value) is int]
    return tuple(values) if len(values) == len(node.elts) else ()


def listed(training: Path, test: Path, folder: Path, *, size: int, fit: str) -> ImageFiles:
    """The images of two lists below a folder, first those for training; the classes are called as their folders."""
    import numpy as np

    from finecal.data.image_files import ImageFiles
    from finecal.datasets._lists import named_by_folder, read_list

    lists = [read_list(training), read_list(test)]
    entries = [entry for one in lists for entry in one]
    return ImageFiles(
        files=tuple(folder / name for name, _ in entries),
        labels=np.array([label for _, label in entries], dtype=np.int32),
        test=np.repeat([False, True], [len(one) for one in lists]),
        classes=named_by_folder(entries),
        root=folder,
        size=size,
        fit=fit,  # type: ignore[arg-type]  # checked by `Stored`
    )
