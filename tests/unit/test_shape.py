"""Functions and files stay short enough to be read at once, and the top of the package short enough to be surveyed."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from finecal.plan.code_digests import PACKAGE

LINES_OF_CODE = 60  # of a function, without docstrings, comments and blank lines
PARAMETERS = 7  # of a function, without self and cls
LINES = 250  # of a file
MODULES_AT_THE_TOP = 8

Function = ast.FunctionDef | ast.AsyncFunctionDef
NO_CODE = frozenset({
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
})  # fmt: skip


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def docstrings(tree: ast.AST) -> set[int]:
    """The lines of all docstrings."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, Function)) and ast.get_docstring(node) is not None:
            found |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return found


def lines_of_code(source: str, tree: ast.AST) -> set[int]:
    """The numbers of the lines that hold code."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            found |= set(range(token.start[0], token.end[0] + 1))
    return found - docstrings(tree)


def length(function: Function, code: set[int]) -> int:
    return len(code & set(range(function.lineno, (function.end_lineno or 0) + 1)))


def parameters(function: Function) -> int:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    bound = bool(positional) and positional[0].arg in ("self", "cls")
    return len(positional) - bound + len(given.kwonlyargs) + (given.vararg is not None) + (given.kwarg is not None)


def problems(source: str) -> list[str]:
    """What is too long in a module."""
    tree = ast.parse(source)
    code, lines = lines_of_code(source, tree), len(source.splitlines())
    found = [f"{lines} lines"] if lines > LINES else []
    for function in functions(tree):
        if length(function, code) > LINES_OF_CODE:
            found.append(f"{function.name} has {length(function, code)} lines of code")
        if parameters(function) > PARAMETERS:
            found.append(f"{function.name} has {parameters(function)} parameters")
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_modules_and_functions_are_short(file: Path) -> None:
    assert problems(file.read_text("utf-8")) == []


def test_few_modules_stand_beside_the_packages() -> None:
    assert len([file for file in PACKAGE.glob("*.py") if file.name != "__init__.py"]) <= MODULES_AT_THE_TOP


def test_what_is_too_long_is_found() -> None:
    body = "\n".join(f"    x{n} = (\n        {n},\n    )" for n in range(20))
    at_limit = f'def f(self, a, b, c, d, *, e, f, g):\n    """Two\n    lines."""\n\n    # why\n{body}\n'
    assert problems(at_limit.replace("    x0 = (\n        0,\n    )", "    x0 = (\n    0,)")) == []  # 60 with `def`
    assert problems(f"{at_limit}    return x1\n") == ["f has 62 lines of code"]
    assert problems("def f(a, b, c, d, *rest, e, f, **more): ...") == ["f has 8 parameters"]
    assert problems("x = 1\n" * 250) == []
    assert problems("\n" * 251) == ["251 lines"]
