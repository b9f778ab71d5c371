"""Declare columns with their meanings as field metadata; take parts of a table's schema."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

DESCRIPTION, LENGTH = b"description", b"length"

TEXT, INT32, INT64, FLOAT32, FLOAT64 = pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.float64()


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """Return a column with its meaning."""
    return pa.field(name, kind, metadata={DESCRIPTION: description})


def list_column(name: str, kind: pa.DataType, description: str, length: str = "") -> pa.Field:
    """Return a column of lists of numbers.

    The name inside the type is the one that Parquet gives it: a table read and written again has the same bytes.

    Parameters
    ----------
    kind
        Type of an element.
    length
        Symbol of the length, such as "C", where all lists of a file have the same one, which is then a part of the type
        in the file; empty where the lists have no fixed length.
    """
    metadata = {DESCRIPTION: description, **({LENGTH: length} if length else {})}
    return pa.field(name, pa.list_(pa.field("element", kind)), metadata=metadata)


def bytes_column(name: str, description: str, length: str) -> pa.Field:
    """Return a column of byte strings, all of the same length in a file; `length` is its symbol."""
    return pa.field(name, pa.binary(), metadata={DESCRIPTION: description, LENGTH: length})


DATASET = column("dataset", TEXT, "name of the data set in the study")
DOMAIN = column("domain", TEXT, "name of the domain")
SOURCE = column("source", TEXT, "source domain")
TASK = column("task", TEXT, "source and target domain, `source-target`")
BACKBONE = column("backbone", TEXT, "name of the model in the study")
RECIPE = column("recipe", TEXT, "name of the fine-tuning recipe in the study")
SPLIT = column("split", TEXT, "name of the split of the classes into S and U; `all` for oracle fine-tuning")
SEED = column("seed", INT64, "seed of the fine-tuning run")
# The columns in front of the files of a run and of a pretrained model.
OF_RUN = (DATASET, TASK, BACKBONE, RECIPE, SPLIT, SEED)
OF_PRETRAINED = (DATASET, SOURCE, BACKBONE)
_COORDINATES = {field.name: field for field in (*OF_RUN, SOURCE, DOMAIN)}

CLASS = column("class", INT32, "class number, from 0")
CLASS_NAME = column("name", TEXT, "name of the class")
GROUP = column("group", TEXT, "fine_tuning (S) or absent (U)")
SAMPLE = column("sample", INT32, "number of the sample in images.parquet")
LABEL = column("label", INT32, "class number, from 0")
SUBSET = column("subset", TEXT, "train, validation or test")
FOLD = "number of the pseudo-split, from 0"
CALIBRATOR = column("calibrator", TEXT, "name of the calibrator in the study")
READS = column("reads", TEXT, "data the calibrator reads: see `finecal list calibrators`")


def coordinate(name: str, kind: pa.DataType) -> pa.Field:
    """Return the field of a constant column in front of a table, with its meaning if it is a coordinate."""
    return _COORDINATES.get(name, pa.field(name, kind))


def own_columns(schema: pa.Schema) -> pa.Schema:
    """Return the columns of a table without the coordinates in front, which are the wildcards of its path."""
    return pa.schema([field for field in schema if field.name not in _COORDINATES])


def select(schema: pa.Schema, *names: str) -> pa.Schema:
    """Return some columns of a table, to read only these; any type stands for one that depends on a length.

    Raises
    ------
    KeyError
        If the table has no such column.
    """
    fields = [schema.field(name) for name in names]
    return pa.schema([pa.field(f.name, pa.null()) if has_length(f) else f for f in fields])


def without(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Return a table's schema without some columns."""
    left_out = set(names)
    return pa.schema([field for field in schema if field.name not in left_out])


def sized(schema: pa.Schema, **lengths: int) -> pa.Schema:
    """Return a table's schema as it is in a file: with lengths, by column, where types depend on them."""
    fields = []
    for field in schema:
        if field.name in lengths:
            length = lengths[field.name]
            is_list = pa.types.is_list(field.type)
            field = field.with_type(pa.list_(field.type.value_field, length) if is_list else pa.binary(length))
        fields.append(field)
    return pa.schema(fields)


def has_length(field: pa.Field) -> bool:
    """Return whether the type of a column in a file depends on a length."""
    return LENGTH in (field.metadata or {})


def description(field: pa.Field) -> str:
    """Return what a column means."""
    return str((field.metadata or {})[DESCRIPTION].decode())


def type_name(field: pa.Field) -> str:
    """Return the type of a column in words, with the symbol of its length.

    >>> type_name(list_column("logits", FLOAT32, "", "C")), type_name(CLASS), type_name(bytes_column("x", "", "H × W"))
    ('list of C float32', 'int32', 'H × W bytes')
    """
    length = (field.metadata or {}).get(LENGTH, b"").decode()
    if pa.types.is_binary(field.type):
        return f"{length} bytes"
    if pa.types.is_list(field.type):
        return f"list of {length} {_NAMES[field.type.value_type]}".replace("  ", " ")
    return _NAMES[field.type]


_NAMES = {TEXT: "text", INT32: "int32", INT64: "int64", FLOAT32: "float32", FLOAT64: "float64", pa.bool_(): "bool"}
