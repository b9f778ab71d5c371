"""The declared tables: every column has a type and a meaning, and no type changes unnoticed."""

from __future__ import annotations

import hashlib
import inspect

import pyarrow as pa
import pytest

from finecal import paths, schemas

# Of names and types of all tables. A column that comes or goes also changes the code of the stage that writes it, so
# that the stage runs again; a type that changes does not: then raise STAGE_VERSION in finecal.plan.code_digests.
TYPES = "58e2752ff7d9"


def test_types_change_on_purpose_only() -> None:
    lines = [
        f"{table} {field.name} {schemas.type_name(field)}" for table, own in schemas.TABLES.items() for field in own
    ]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12] == TYPES, "see the comment at TYPES"


@pytest.mark.parametrize("table", schemas.TABLES)
def test_every_column_has_a_meaning(table: str) -> None:
    names = schemas.TABLES[table].names
    assert len(set(names)) == len(names)
    for field in schemas.TABLES[table]:
        assert schemas.description(field).strip(), field.name


def test_every_schema_is_in_the_reference() -> None:
    declared = [value for _, value in inspect.getmembers(schemas) if isinstance(value, pa.Schema)]
    listed = list(schemas.TABLES.values())
    assert len(declared) == len(listed)
    assert all(any(schema is one for one in listed) for schema in declared)


def test_tables_of_runs_begin_with_the_names_of_the_run() -> None:
    for table, schema in schemas.TABLES.items():
        if table.startswith("{run}/") or table == "tables/runs.parquet":
            assert tuple(schema.names[: len(paths.RUN_KEYS)]) == paths.RUN_KEYS, table


def test_aggregated_tables_are_declared() -> None:
    for file in paths.AGGREGATED.values():
        assert f"{{run}}/{file}" in schemas.TABLES


def test_parts_of_a_schema() -> None:
    assert schemas.own_columns(schemas.SPLIT).names == ["class", "name", "group"]
    assert schemas.without(schemas.SPLIT, ("group", "name")).names == ["dataset", "split", "class"]
    chosen = schemas.select(schemas.LOGITS, "logits", "label")
    assert [(field.name, field.type) for field in chosen] == [("logits", pa.null()), ("label", pa.int32())]
    with pytest.raises(KeyError):
        schemas.select(schemas.LOGITS, "alpha")


def test_lengths_become_a_part_of_the_type() -> None:
    sized = schemas.sized(schemas.IMAGES, pixels=64)
    assert sized.field("pixels").type == pa.binary(64)
    assert schemas.description(sized.field("pixels")) == schemas.description(schemas.IMAGES.field("pixels"))
    head = schemas.sized(schemas.HEAD, weight=3)
    assert head.field("weight").type == pa.list_(pa.float32(), 3)
    assert head.field("bias") == schemas.HEAD.field("bias")
