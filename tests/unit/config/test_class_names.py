"""Classes in a study: what YAML takes for a number, and which class a number means."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from finecal.config import ClassesSplit
from finecal.config.split_resolution import class_numbers
from finecal.config.types import ClassNames
from finecal.config.yaml_loader import parse_yaml
from finecal.errors import UserError

ONE_TO_TEN = tuple(map(str, range(1, 11)))
TEXT_ORDER = tuple(sorted(ONE_TO_TEN))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-3", -3), ("+4", 4), ("10", 10), ("01", "01"), ("010", "010"), ("08", "08"), ("00", "00"),
        ("1_000", "1_000"), ("0x1F", "0x1F"), ("0b1", "0b1"), ("1:30", "1:30"), ("01.5", "01.5"), ("1e-3", 0.001),
        ("1E5", 1e5), ("1.", 1.0), (".5", 0.5), ("-0.1e3", -100.0), ("1.5e3", 1500.0), ("1e", "1e"),
        (".inf", float("inf")), ("no", False),
    ],
)  # fmt: skip
def test_what_is_a_number(text: str, value: Any) -> None:
    found = parse_yaml(f"a: {text}", where="x")["a"]
    assert found == value
    assert type(found) is type(value)


def names_of(given: list[Any], classes: tuple[str, ...]) -> list[str]:
    split = ClassesSplit.model_validate({"kind": "classes", "fine_tuning": given})
    return [classes[number] for number in class_numbers(split.fine_tuning, classes, "x")]


@pytest.mark.parametrize(
    ("given", "classes", "wanted"),
    [
        ([0, 2], ("cat", "dog", "eel"), ["cat", "eel"]),
        ([0, 2], ("0", "1", "2"), ["0", "2"]),  # place and name say the same
        (["2", "10"], TEXT_ORDER, ["10", "2"]),
        ([3], TEXT_ORDER, ["3"]),  # 1, 10, 2, 3: by chance the fourth
        ([100, 200], ("100", "200", "300"), ["100", "200"]),  # there are no such places
        (["01", "02"], ("01", "02", "03"), ["01", "02"]),
        (["cafe\u0301"], ("caf\u00e9", "tea"), ["caf\u00e9"]),
    ],
)
def test_which_classes_are_meant(given: list[Any], classes: tuple[str, ...], wanted: list[str]) -> None:
    assert names_of(given, classes) == wanted


@pytest.mark.parametrize(
    ("given", "classes", "message"),
    [
        ([1, 2, 3], ONE_TO_TEN, "x: 1 can mean two classes. The class at place 1, counted from 0, is '2', and another"),
        ([1], TEXT_ORDER, "The class at place 1, counted from 0, is '10', and another one is called '1'."),
        ([1], ("01", "02", "03"), "Hint: Give classes that are called by numbers by name, in quotes: '01' or '02'."),
        ([10, "10"], ONE_TO_TEN, "class '10' is given more than once"),
        (["2-4"], ONE_TO_TEN, "Hint: Ranges are not read: give each class by its name or its number."),
        (["0..3"], ONE_TO_TEN, "unknown class '0..3'. Known, closest first: "),
        ([11], ONE_TO_TEN, "class number 11 is out of range. 0 to 9 are allowed."),
    ],
)
def test_numbers_that_are_refused(given: list[Any], classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as caught:
        names_of(given, classes)
    assert message in str(caught.value)


def test_names_are_text_however_yaml_reads_them() -> None:
    read = TypeAdapter(ClassNames).validate_python
    assert read(parse_yaml("a: [1, 02, ten]", where="x")["a"]) == ("1", "02", "ten")
    for given in ("no", "~", "2024-01-01"):
        with pytest.raises(ValidationError, match="write it in quotes"):
            read(parse_yaml(f"a: [{given}]", where="x")["a"])


def test_a_mistake_is_told_of_the_name() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ClassNames).validate_python([False, "cat", ["dog"]])
    places = [error["loc"][-1] for error in caught.value.errors()]
    assert places == [0, 2]
