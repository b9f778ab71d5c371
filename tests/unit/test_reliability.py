"""docs/reliability.md promises nothing that no test has played: every row names its test, and quotes what is said."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from finecal.plan.code_digests import PACKAGE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
FAULTS = 40
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[(\w+)\])?`")


def rows() -> list[list[str]]:
    """The cells of the rows of all tables of faults: fault, what is lost, what is said, test."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if "`tests/" in line]
    return [row for row in cells if len(row) == 4]


@cache
def definitions(file: str) -> frozenset[str]:
    """The names of the functions and classes of a file of tests."""
    kinds = ast.FunctionDef | ast.ClassDef
    return frozenset(
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) if isinstance(node, kinds)
    )


@cache
def said(file: str) -> str:
    """All texts of a module, those of f-strings in pieces, without what stands between words."""
    tree = ast.parse(Path(file).read_text("utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return " ".join(" ".join(texts).split())


@cache
def said_by_finecal() -> str:
    return " ".join(said(str(file)) for file in sorted(PACKAGE.rglob("*.py")))


def test_enough_kinds_of_faults_are_played() -> None:
    assert len({row[0] for row in rows()}) == len(rows()) >= FAULTS


@pytest.mark.parametrize("row", rows(), ids=[row[0] for row in rows()])
def test_a_row_has_a_test_and_its_sentence(row: list[str]) -> None:
    _, lost, sentence, test = row
    assert lost
    found = TEST.findall(test)
    assert found, test
    for file, name, parameter in found:
        assert name in definitions(file), f"{file} has no {name}"
        assert not parameter or parameter in definitions(file), f"{file} has no {parameter}"
    texts = f"{said_by_finecal()} {' '.join(said(str(ROOT / file)) for file, _, _ in found)}"
    for quoted in re.findall(r"“(.*?)”", sentence):
        for part in (part.strip(" ,.:;") for part in quoted.split("…")):
            assert part in texts, f"nobody says: {part}"
