"""Whatever counts things says `1 class` and `2 classes`: by `finecal.errors.counted`, which is also `display.count`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from finecal.errors import counted

PACKAGES = [path for path in (Path(__file__).parents[2] / "workflow").iterdir() if path.is_dir()]
THINGS = (
    "arrays|batches|bytes|calibrators|cells|characters|checkpoints|classes|columns|cores|datasets|digits|digests|"
    "dimensions|domains|entries|epochs|errors|features|figures|files|folders|folds|heads|hours|images|items|jobs|keys|"
    "labels|layers|lines|links|lists|logits|methods|minutes|mistakes|models|names|nodes|numbers|options|parameters|"
    "parts|patches|pictures|places|points|predictions|processes|prompts|retries|rows|runs|samples|seconds|seeds|splits|"
    "stages|studies|tables|tensors|times|tries|values|warnings|weights|words"
)
BEHIND = re.compile(rf"(?: (?!of\b|the\b|and\b|in\b|has\b|have\b|is\b|are\b|no\b)[a-z-]+){{0,2}}? (?:{THINGS})\b")
# Expressions that are no count, or one that is never 1.
NO_COUNT = re.compile(
    r"[A-Z_]+(\.[A-Z_]+)?$"  # a constant
    r"|' '\.join|.*_listed\(|.*\bname|dataset|target|kind|place|where|path|prefix|subset|one$|twice|label|start|side"
    r"|images_per_second|rate$|work\.trained|at_once$|strange|len\(strange\)|length$|given$"
)


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What is put together by hand: the line and the text of an f-string's place and of what follows it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"[a-z]\(e?s\)", node.value):
            yield node.lineno, node.value
        if not isinstance(node, ast.JoinedStr):
            continue
        for place, behind in zip(node.values, node.values[1:], strict=False):
            if not isinstance(place, ast.FormattedValue) or not isinstance(behind, ast.Constant):
                continue
            expression = ast.unparse(place.value)
            if place.conversion == -1 and BEHIND.match(str(behind.value)) and not NO_COUNT.match(expression):
                yield node.lineno, f"{{{expression}}}{behind.value}"


def found(source: str) -> list[str]:
    return [f"{line}: {text}" for line, text in texts(ast.parse(source))]


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ('f"{n} classes"', True),
        ('f"the head has {len(weight):,} test samples"', True),
        ('"{} file(s)"', True),
        ("f\"{counted(n, 'class')} of them\"", False),
        ('f"{name!r} has values"', False),
        ('f"{MOST} rows at once"', False),
        ('f"{n} of the classes"', False),
    ],
)
def test_a_count_that_is_written_by_hand_is_found(source: str, wrong: bool) -> None:
    assert bool(found(source)) == wrong


def test_no_message_counts_by_hand() -> None:
    said = [
        f"{file.name}:{line}"
        for package in PACKAGES
        for file in sorted(package.rglob("*.py"))
        for line in found(file.read_text("utf-8"))
    ]
    assert said == []


def test_one_is_one() -> None:
    assert counted(1, "class") == "1 class"
    assert counted(0, "class") == "0 classes"
    assert counted(1, "entry") == "1 entry"
    assert counted(1200, "day") == "1,200 days"
