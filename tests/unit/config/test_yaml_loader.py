"""YAML as data: small, plain, and with an end."""

from __future__ import annotations

import pytest

from finecal.config.yaml_loader import MOST, parse_yaml
from finecal.errors import UserError


def error_of(text: str) -> str:
    with pytest.raises(UserError) as error:
        parse_yaml(text, where="my.yaml")
    return str(error.value)


def test_a_small_text_cannot_mean_a_large_value() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 8)]
    assert f"not readable as YAML: more than {MOST:,} values" in error_of("\n".join(lines))
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]", where="my.yaml") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}


def test_a_value_cannot_contain_itself() -> None:
    assert error_of("a: 1\nb: &b [1, *b]") == "my.yaml, line 2: not readable as YAML: a value contains itself."


def test_deep_nesting_is_refused() -> None:
    assert error_of(f"{'[' * 101}{']' * 101}") == "my.yaml, line 1: not readable as YAML: nested too deeply."


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.getcwd []", "!!python/name:os.system x"])
def test_tags_of_python_are_refused(text: str) -> None:
    assert "could not determine a constructor for the tag" in error_of(text)


def test_no_text_has_a_zero_byte() -> None:
    assert error_of('a: "b\\0"') == "my.yaml, line 1: not readable as YAML: a text with a zero byte."
