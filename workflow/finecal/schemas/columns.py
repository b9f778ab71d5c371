"""Columns with their meaning as field metadata, those that many tables share, and parts of a table's schema."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

DESCRIPTION, LENGTH = b"description", b"length"

TEXT, INT32, INT64, FLOAT32, FLOAT64 = pa.string(), pa.int32(), pa.int64(), pa.float32(), pa.float64()


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """A column with its meaning."""
    return pa.field(name, kind, metadata={DESCRIPTION: description})


def list_column(name: str, kind: pa.DataType, description: str, length: str = "") -> pa.Field:
    """A column of lists of numbers.

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
    """A column of byte strings, which all have the same length in a file; `length` says which, in symbols."""
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
    """The field of a constant column in front of a table; without a meaning if its name is no coordinate."""
    return _COORDINATES.get(name, pa.field(name, kind))


def own_columns(schema: pa.Schema) -> pa.Schema:
    """The columns of a table without the coordinates in front, which are the wildcards of its path."""
    return pa.schema([field for field in schema if field.name not in _COORDINATES])


def select(schema: pa.Schema, *names: str) -> pa.Schema:
    """Some columns of a table, to read no others; those whose type depends on a length may have any type.

    Raises
    ------
    KeyError
        If the table has no such column.
    """
    fields = [schema.field(name) for name in names]
    return pa.schema([pa.field(f.name, pa.null()) if has_length(f) else f for f in fields])


def without(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """A table's schema without some columns."""
    left_out = set(names)
    return pa.schema([field for field in schema if field.name not in left_out])


def sized(schema: pa.Schema, **lengths: int) -> pa.Schema:
    """A table's schema as it is in a file, where columns whose type depends on a length have one."""
    fields = []
    for field in schema:
        if field.name in lengths:
            length = lengths[field.name]
            is_list = pa.types.is_list(field.type)
            field = field.with_type(pa.list_(field.type.value_field, length) if is_list else pa.binary(length))
        fields.append(field)
    return pa.schema(fields)


def has_length(field: pa.Field) -> bool:
    """Whether the type of a column in a file depends on a length."""
    return LENGTH in (field.metadata or {})


def description(field: pa.Field) -> str:
    """What a column means."""
    return str((field.metadata or {})[DESCRIPTION].decode())


def type_name(field: pa.Field) -> str:
    """The type of a column in words, with the symbol of its length.

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
