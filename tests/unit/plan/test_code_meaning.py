"""What counts as a change of code, and what does not."""

from __future__ import annotations

import ast

import pytest

from finecal.errors import UserError
from finecal.plan import code_meaning
from finecal.plan.code_meaning import definitions

SOURCE = '''
"""A module."""
from __future__ import annotations

import numpy as np
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FACTOR = 2.0


class Scaled:
    """Scales."""

    factor: float = FACTOR

    def apply(self, values, *, shift=0.0):
        """Scale and shift."""
        # first the factor
        return [f"{self.factor * value + shift:.2f}" for value in values if value is not None]


def total(values):
    import math

    try:
        return math.fsum(values)
    except TypeError:
        pass
    return 0.0
'''


def meaning(source: str) -> set[str]:
    return set(definitions(source, "test"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another docstring, of\n\nseveral lines."""'),
        ('    """Scales."""\n', ""),
        ("        # first the factor\n", ""),
        ("FACTOR = 2.0\n\n\n", "FACTOR = 2.0  # a comment\n"),
        ("import numpy as np\n", "import os\n"),
        ("    from pathlib import Path", "    from fractions import Fraction"),
        ("    import math\n\n", ""),
        ("value + shift:.2f", "value   +   shift:.2f"),
        ('[f"{self.factor * value + shift:.2f}" for', "[\n    f'{self.factor * value + shift:.2f}'\n    for"),
        ("2.0", "2.00"),
    ],
)
def test_no_change(old: str, new: str) -> None:
    assert old in SOURCE
    assert meaning(SOURCE.replace(old, new)) == meaning(SOURCE)


def test_the_order_of_definitions_does_not_count() -> None:
    head, _, rest = SOURCE.partition("class Scaled")
    scaled, _, total = rest.partition("\n\ndef total")
    assert meaning(f"{head}def total{total}\n\nclass Scaled{scaled}") == meaning(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2.0", "FACTOR = 3.0"),
        ("factor: float", "factor: int"),
        ("shift=0.0", "shift=1.0"),
        ("*, shift", "shift"),
        (":.2f", ":.3f"),
        ("self.factor * value + shift", "self.factor * (value + shift)"),
        ("is not None", "is None"),
        ("except TypeError", "except ValueError"),
        ("class Scaled:", "class Scaled(dict):"),
        ("def total", "def sum_of"),
        ("    return 0.0", "    return 0"),
        ("FACTOR = 2.0", "FACTOR = 2.0\nprint(FACTOR)"),
    ],
)
def test_change(old: str, new: str) -> None:
    assert old in SOURCE
    assert meaning(SOURCE.replace(old, new)) != meaning(SOURCE)


def test_a_name_that_is_bound_twice_keeps_its_order() -> None:
    assert meaning("a = 1\na = 2\n") != meaning("a = 2\na = 1\n")
    assert meaning("a = 1\nb = 2\n") == meaning("b = 2\na = 1\n")


def test_no_python() -> None:
    with pytest.raises(UserError, match="not readable as Python") as error:
        definitions("def f(:\n", "own.py")
    assert error.value.where == "own.py"


def test_an_empty_text_in_a_format() -> None:
    """Python 3.12.1 has one where 3.11 and 3.13 have none."""
    one, other = ast.parse('f"{x:>{width}}"'), ast.parse('f"{x:>{width}}"')
    spec = next(node for node in ast.walk(other) if isinstance(node, ast.FormattedValue)).format_spec
    assert isinstance(spec, ast.JoinedStr)
    ends = isinstance(spec.values[-1], ast.Constant)
    spec.values = spec.values[:-1] if ends else [*spec.values, ast.Constant("")]
    assert ast.dump(one) != ast.dump(other)
    assert code_meaning._written(one) == code_meaning._written(other)
