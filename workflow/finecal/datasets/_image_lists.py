"""Read lists of image files: CSV or Parquet with the columns file and label, or a text of lines `path label`.

CSV and Parquet may also have the columns subset and domain. The text is the form of the paper's own lists.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finecal.datasets._image_files import class_name
from finecal.errors import UserError, unknown
from finecal.io.outside import read_text, reading

LISTS = (".csv", ".parquet", ".txt")
SUBSETS = ("train", "test")
# Other names of the column subset, and what stands in it.
DIVISIONS = frozenset({"split", "set", "partition", "phase", "fold", "usage", "train_test", "subsets"})
PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "eval", "dev"})
HEADS = ("path", "file")  # of the first column of a text, if its first line names the columns


@dataclass(frozen=True)
class Row:
    """An image file, the name of its class, and its subset, train or test; None if the list has no subsets.

    `number` is the row in the list, counted from 1; 0 for files of a folder.
    """

    file: Path
    label: str
    subset: str | None
    number: int = 0


def read_list(path: Path, domain: str, domains: tuple[str, ...], root: Path) -> list[Row]:
    """Read the rows of a domain; names of files are absolute, or relative to the folder `root`.

    Parameters
    ----------
    domains
        Allowed values of the column domain, if there is one.

    Raises
    ------
    UserError
        If the file cannot be read, a column is missing, a value is empty or unknown, a file is listed twice, or no row
        belongs to the domain. Rows are counted from 1, without the header.
    """
    found: dict[Path, int] = {}
    rows = []
    for number, row in enumerate(_read_records(path), start=1):
        where = f"{path}: row {number}"
        of_domain = _read_value(row, "domain", where, domains)
        file = root / (_read_value(row, "file", where) or "")
        label, subset = _read_value(row, "label", where) or "", _read_value(row, "subset", where, SUBSETS)
        if of_domain not in (None, domain):
            continue
        if found.setdefault(file, number) != number:
            raise UserError(f"{str(file)!r} is listed twice", where=where, why=f"It is in row {found[file]}, too")
        rows.append(Row(file, class_name(label), subset, number))
    if not rows:
        raise UserError(f"no row belongs to the domain {domain!r}", where=str(path))
    return rows


def _read_value(row: dict[str, Any], column: str, where: str, allowed: tuple[str, ...] | None = None) -> str | None:
    """Return a value as text; None if the list has no such column."""
    if column not in row:
        return None
    given = row[column]
    if isinstance(given, float) and given.is_integer():  # numbers beside missing ones, as pandas writes them
        given = int(given)
    if not isinstance(given, (str, int, type(None))) or isinstance(given, bool):
        raise UserError(f"the {column} {given!r} is neither text nor a whole number", where=where)
    value = "" if given is None else str(given).strip()
    if not value:
        raise UserError(f"the {column} is empty", where=where)
    if allowed is not None and value not in allowed:
        raise unknown(column, value, allowed, where=where)
    return value


def _read_records(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix.lower() == ".txt":
        return _read_lines(path)
    names, records = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    for column in ("file", "label"):
        if column not in names:
            raise UserError(
                f"the column {column!r} is missing", where=str(path), why=f"It has {', '.join(names)}",
                hint="The first line says `file,label`, with commas and without spaces around them",
            )  # fmt: skip
    if "subset" in names:
        return records
    return _without_divisions(records, [name for name in names if name.strip().lower() in DIVISIONS], path)


def _without_divisions(records: Iterator[dict[str, Any]], columns: list[str], path: Path) -> Iterator[dict[str, Any]]:
    """Refuse a division into training and testing under another name than `subset`, which would not be followed."""
    for row in records:
        for column in columns:
            if str(row.get(column)).strip().lower() in PARTS:
                raise UserError(
                    f"the column {column!r} divides the images, and is not read", where=str(path),
                    hint="Call it `subset`, with `train` or `test` in each row; or remove it",
                )  # fmt: skip
        yield row


def _read_parquet(path: Path) -> tuple[list[str], Iterator[dict[str, Any]]]:
    from finecal.io.parquet import read_table

    table = read_table(path)
    read = {"file", "label", "subset", "domain", *DIVISIONS}
    wanted = [name for name in table.column_names if name in read]
    return table.column_names, iter(table.select(wanted).to_pylist())


def _read_csv(path: Path) -> tuple[list[str], Iterator[dict[str, Any]]]:
    reader = csv.DictReader(_lines(path), strict=True)
    with reading(f"{path}: line 1", "CSV"):
        names = list(reader.fieldnames or ["nothing"])
    return names, _parse_rows(reader, path)


def _parse_rows(reader: csv.DictReader[str], path: Path) -> Iterator[dict[str, Any]]:
    try:
        for row in reader:
            if None in row:
                raise UserError("a row has more values than there are columns", where=f"{path}: line {reader.line_num}")
            yield row
    except csv.Error as error:
        raise UserError(f"not readable as CSV ({error})", where=f"{path}: line {reader.line_num}") from error


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read lines `path label`; the path may have spaces, the label has none. A first line may say just this.

    Lines that begin with `# ` are remarks.
    """
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.startswith("# "):
            continue
        parts = line.strip().rsplit(maxsplit=1)
        if len(parts) < 2:
            raise UserError(
                f"{line.strip()!r} is not a path and a label", where=f"{path}: line {number}",
                why="A list in text has a line `path label` for each image",
            )  # fmt: skip
        if number > 1 or parts[0] not in HEADS or parts[1] != "label":
            yield {"file": parts[0], "label": parts[1]}


def _lines(path: Path) -> list[str]:
    return read_text(path, encoding="utf-8-sig").splitlines()
