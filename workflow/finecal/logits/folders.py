"""A folder of files with the same columns, as Spark, pyarrow and Hugging Face's datasets write them, as one table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError, counted, join_names
from finecal.io import large
from finecal.logits.labels import Words, as_words
from finecal.logits.subsets import WORDS

NAMED = (".parquet", ".pq", ".arrow", ".feather", ".ipc")
# Of Hugging Face's datasets: what functions have made of the data, which is not the data.
NO_DATA = ("cache-", "indices")
SUBSET = "subset"
_WORDS = {word for words in WORDS.values() for word in words}


@dataclass(frozen=True)
class Parts:
    """Tables below each other; `told` is what the folders of each say of all its rows: column → value."""

    where: str
    tables: tuple[Any, ...]
    told: tuple[Mapping[str, str], ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def names(self) -> list[str]:
        return [*self.tables[0].names, *self.told[0]]

    def is_matrix(self, name: str) -> bool:
        return name not in self.told[0] and bool(self.tables[0].is_matrix(name))

    def is_number(self, name: str) -> bool:
        return name not in self.told[0] and bool(self.tables[0].is_number(name))

    def kind(self, name: str) -> str:
        return "text" if name in self.told[0] else str(self.tables[0].kind(name))

    def matrix(self, name: str) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] | None = None
        start = 0
        for table in self.tables:
            part = table.matrix(name)
            if found is None:
                found = large.empty((self.rows, *part.shape[1:]), part.dtype)
            if part.shape[1:] != found.shape[1:]:
                raise UserError(
                    f"the column {name!r} has lists of {part.shape[1]:,}, in {self.tables[0].where} of "
                    f"{found.shape[1]:,}",
                    where=table.where,
                )
            found[start : start + len(part)] = part
            start += len(part)
        assert found is not None
        return found

    def values(self, name: str) -> npt.NDArray[Any] | Words:
        if name in self.told[0]:
            told = np.array([one[name] for one in self.told])
            return as_words(np.repeat(told, [table.rows for table in self.tables]))
        found = [table.values(name) for table in self.tables]
        first = found[0]
        if not any(isinstance(one, Words) for one in found):
            return np.concatenate([np.asarray(one) for one in found])
        if not all(isinstance(one, Words) for one in found):
            raise UserError(f"the column {name!r} is text in some files and numbers in others", where=self.where)
        assert isinstance(first, Words)
        words = [one for one in found if isinstance(one, Words)]
        if all(one.words == first.words for one in words):
            return Words(np.concatenate([one.codes for one in words]), first.words, first.ordered)
        return as_words(np.concatenate([np.asarray(one.words)[one.codes] for one in words]))


def files_of_folder(folder: Path) -> list[Path]:
    """Return the files of a folder, and of those below it, that have tables, in the order of their names."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in NAMED
        and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
        and not file.name.startswith(NO_DATA)
    )


def open_folder(folder: Path, open_one: Callable[[Path], Any]) -> Parts:
    """Open the tables of a folder as one.

    What folders below it are called (`subset=test`, or `train` and `test` beside each other) is a column, and so are
    the words that its files begin with (`train.parquet` and `test.parquet`).

    Raises
    ------
    UserError
        If there is none, the columns differ, or there are several folders that do not say what they are.
    """
    where, files = str(folder), files_of_folder(folder)
    if not files:
        there = sorted(one.name for one in folder.iterdir())
        raise UserError(
            "this folder has no Parquet or Arrow files", where=where,
            why=f"It has {join_names(there, 6) or 'nothing'}", hint="Name the file with the logits",
        )  # fmt: skip
    tables = tuple(map(open_one, files))
    for table in tables:
        if missing := {*tables[0].names} ^ {*table.names}:
            raise UserError(
                f"{join_names(sorted(missing), 3)}: not in all files of the folder", where=table.where,
                why=f"A folder is read as one table, here of {counted(len(files), 'file')}", hint="Name one file",
            )  # fmt: skip
    told = [_told(file.relative_to(folder).parts[:-1], where) for file in files]
    if not any(told) and all(of_files := [_of_name(file) for file in files]):
        told = of_files
    if len({tuple(one) for one in told}) > 1 or (not any(told) and len({file.parent for file in files}) > 1):
        several = sorted({str(file.parent.relative_to(folder)) for file in files})
        raise UserError(
            f"there are files in several folders ({join_names(several, 4)})", where=where,
            why="Names such as subset=test, or train and test, say what they are", hint="Name one of them",
        )  # fmt: skip
    return Parts(where, tables, tuple({k: v for k, v in one.items() if k not in tables[0].names} for one in told))


def _of_name(file: Path) -> dict[str, str]:
    """Return what a name says that begins with a subset: `train.parquet`, `test-00000-of-00002.parquet` of the Hub."""
    word = re.split(r"[-_.]", file.name.lower(), maxsplit=1)[0]
    return {SUBSET: word} if word in _WORDS else {}


def _told(parts: tuple[str, ...], where: str) -> dict[str, str]:
    """Return what the names of folders say."""
    told = dict(part.split("=", 1) for part in parts if "=" in part)
    for part in parts:
        if "=" not in part and part.lower() in _WORDS:
            told[SUBSET] = part
    return told
