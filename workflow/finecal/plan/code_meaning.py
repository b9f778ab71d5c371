"""What Python source means, apart from how it is written: comments, docstrings, blank lines and imports left out.

The syntax tree is written out by hand rather than by `ast.dump` or `ast.unparse`, whose form changes from one version
of Python to the next: a digest must outlive an update of Python.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator

from finecal.errors import UserError

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# How a node is used or was spelled, which follows from where it stands or changes nothing.
_LEFT_OUT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def definitions(source: str, name: str) -> list[str]:
    """Digests of the definitions in a module, in the order in which they stand.

    A function, a class or a variable that is bound once has a digest of its own, wherever in the module it stands. All
    other statements, whose order matters, have one together.

    Parameters
    ----------
    source
        The text of the module.
    name
        What errors call it.

    Raises
    ------
    UserError
        If it is not valid Python.
    """
    try:
        statements = [node for node in _stripped(ast.parse(source)) if not _for_types_only(node)]
    except (SyntaxError, ValueError) as error:
        raise UserError(f"not readable as Python ({error})", where=name) from error
    bound = [_bound(node) for node in statements]
    once = [name for name in bound if name and bound.count(name) == 1]
    single = [_written(node) for node, name in zip(statements, bound, strict=True) if name in once]
    ordered = [_written(node) for node, name in zip(statements, bound, strict=True) if name not in once]
    return [_digest(text) for text in (*single, *(["\n".join(ordered)] if ordered else []))]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bound(node: ast.stmt) -> str:
    """The name that a statement defines; empty for other statements."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _for_types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse


def _stripped(node: ast.AST) -> list[ast.stmt]:
    """The statements of a body without its docstring and imports."""
    body: list[ast.stmt] = getattr(node, "body", [])
    if isinstance(node, _DOCUMENTED) and body and _is_text(body[0]):
        body = body[1:]
    return [statement for statement in body if not isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass))]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _written(value: object) -> str:
    """A node as text: its kind and those of its fields that hold something."""
    if isinstance(value, ast.AST):
        return f"{type(value).__name__}({','.join(_fields(value))})"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return repr(value)


def _fields(node: ast.AST) -> Iterator[str]:
    for name in node._fields:
        value = getattr(node, name, None)
        if name == "body" and isinstance(value, list):
            value = _stripped(node)
        if isinstance(value, list) and name in ("orelse", "finalbody"):
            value = [one for one in value if not isinstance(one, (ast.Import, ast.ImportFrom, ast.Pass))]
        if isinstance(node, ast.JoinedStr):  # Python 3.12 ends a format with an empty text: f"{x:>{width}}"
            value = [one for one in node.values if not (isinstance(one, ast.Constant) and one.value == "")]
        if name not in _LEFT_OUT and value is not None and value != []:
            yield f"{name}={_written(value)}"
