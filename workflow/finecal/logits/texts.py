"""Tables that are text: CSV with whatever divides columns and decimals, JSON lines; also compressed."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from finecal.errors import UserError
from finecal.io.outside import is_count

ROOM = 1 << 24  # bytes of a line of JSON
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_json_lines(path: Path) -> pa.Table:
    """Return a table of which each line is a row; lists are columns of lists."""
    return pa.json.read_json(str(path), read_options=pa.json.ReadOptions(block_size=ROOM))


def read_csv(path: Path) -> pa.Table:
    """Return a table; what divides its columns is what stands most often in its first line."""
    stream = pa.input_stream(str(path))
    lines = stream.read(1 << 16).split(b"\n")
    if lines[0].startswith(UTF_16):
        raise UserError("it is text in UTF-16", where=str(path), hint="Save it in UTF-8")
    above = 0  # remarks, and the line in which Excel names the delimiter
    while above < len(lines) - 1 and re.match(rb"\s*#|sep=.\s*$", lines[above]):
        above += 1
    delimiter = _delimiter(lines[above:], str(path))
    table = pa.csv.read_csv(
        str(path), parse_options=pa.csv.ParseOptions(delimiter=delimiter),
        read_options=pa.csv.ReadOptions(skip_rows=above),
        convert_options=pa.csv.ConvertOptions(decimal_point=_decimal_point(lines[above + 1 :], delimiter)),
    )  # fmt: skip
    numbers = [name for name in table.column_names if _NUMBER.fullmatch(name)]
    if 2 * len(numbers) > table.num_columns and not all(is_count(name.strip()) for name in numbers):
        raise UserError("the first line has numbers", where=str(path), why="It must have the names of the columns")
    for place, name in enumerate(table.column_names):
        column = table[name]
        if pa.types.is_string(column.type) and len(column) and _LIST.match(str(column[0])):
            table = table.set_column(place, name, _lists(column.to_pylist(), name, path))
    return table


_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


def _delimiter(lines: list[bytes], where: str) -> str:
    """Return what divides the columns: what stands most often in the line of their names, the first."""
    found = max((b",", b";", b"\t", b"|"), key=lines[0].count)
    fields = [line.split() for line in lines[:2]]
    spaces = len(fields[0]) == len(fields[-1]) > 1 and _NUMBER.fullmatch(fields[-1][0].decode("latin-1"))
    if not lines[0].count(found) and spaces:
        raise UserError(
            "its columns are divided by spaces", where=where, why="Commas, semicolons, tabs and | are understood",
            hint='numpy.savetxt(FILE, …, delimiter=",", header="logit_0,logit_1,…", comments="")',
        )  # fmt: skip
    return found.decode()


def _decimal_point(lines: list[bytes], delimiter: str) -> str:
    """Return the decimal comma where more fields have one than a point; between commas it cannot be told."""
    if delimiter == ",":
        return "."
    fields = [field.strip(b' "\r') for line in lines for field in line.split(delimiter.encode())]
    commas, points = (
        sum(bool(re.fullmatch(rb"[-+]?\d+%s\d+([eE][-+]?\d+)?" % sign, one)) for one in fields)
        for sign in (b",", rb"\.")
    )
    return "," if commas > points else "."


# As pandas writes lists, NumPy's arrays and torch's tensors.
_LIST = re.compile(r"(?:tensor\(|array\()?\[+")


def _lists(texts: list[str], name: str, path: Path) -> pa.Array:
    """Return lists of numbers that were written as text."""
    if any("..." in text for text in texts):
        why = "NumPy leaves out the middle of long arrays when it writes them as text"
        raise UserError(f"the column {name!r} has lists with '...'", where=str(path), why=why)
    inner = [_LIST.sub("", text, count=1).partition("]") for text in texts]
    if any("[" in rest for _, _, rest in inner):
        raise UserError(f"the column {name!r} has lists in lists", where=str(path), why="One list per row is needed")
    return pa.array([[float(one) for one in text.replace(",", " ").split()] for text, _, _ in inner])
