"""Tables that are text: CSV with whatever divides columns and decimals, JSON lines; also compressed."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from finecal.errors import UserError

ROOM = 1 << 24  # bytes of a line of JSON
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_json_lines(path: Path) -> pa.Table:
    """Return a table of which each line is a row; lists are columns of lists."""
    return pa.json.read_json(str(path), read_options=pa.json.ReadOptions(block_size=ROOM))


def read_csv(path: Path) -> pa.Table:
    """Return a table; what divides its columns is what stands most often in its first line."""
    stream = pa.input_stream(str(path))
    first, _, rest = stream.read(1 << 16).partition(b"\n")
    if first.startswith(UTF_16):
        raise UserError("it is text in UTF-16", where=str(path), hint="Save it in UTF-8")
    delimiter = max((b",", b";", b"\t"), key=first.count).decode()
    comma = delimiter != "," and re.search(rb"\d,\d", rest) and not re.search(rb"\d\.\d", rest)
    table = pa.csv.read_csv(
        str(path), parse_options=pa.csv.ParseOptions(delimiter=delimiter),
        convert_options=pa.csv.ConvertOptions(decimal_point="," if comma else "."),
    )  # fmt: skip
    if all(re.fullmatch(r"\s*[-+]?\d+\.\d+(e[-+]?\d+)?\s*", name) for name in table.column_names):
        raise UserError("the first line has numbers", where=str(path), why="It must have the names of the columns")
    for place, name in enumerate(table.column_names):
        column = table[name]
        if pa.types.is_string(column.type) and len(column) and _LIST.match(str(column[0])):
            table = table.set_column(place, name, _lists(column.to_pylist(), name, path))
    return table


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
