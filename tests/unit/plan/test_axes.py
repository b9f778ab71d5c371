"""What a study varies, and what is therefore drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal import registry
from finecal.cli.overview import describe_plan
from finecal.errors import UserError
from finecal.plan import axes
from finecal.plan.plan import Plan


def axes_of(folder: Path, **changes: Any) -> frozenset[str]:
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"extends": "digits", **changes}))
    return Plan([str(file)]).axes()


def test_the_main_study_varies_nothing() -> None:
    assert Plan(["digits"]).axes() == frozenset()


HALF = {"kind": "random", "fraction": 0.5}
FOUR = {"kind": "random", "count": 4}
FIVE = {"kind": "random", "count": 5}
FIRST_FIVE = {"kind": "classes", "fine_tuning": [0, 1, 2, 3, 4]}
VARIED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "sizes": ({"splits": {"a": HALF, "b": FOUR}}, {"class_size"}),
    "one size said in three ways": ({"splits": {"a": HALF, "b": FIVE, "c": FIRST_FIVE}}, set()),
    "learning rates": ({"recipes": {"full": None, "hot": {"recipe": "full", "training": {"lr": 1.0}}}}, {"training"}),
    "the same recipe twice": ({"recipes": {"full": None, "same": {"recipe": "full"}}}, set()),
    "something else of training": (
        {"recipes": {"full": None, "short": {"recipe": "full", "training": {"epochs": 1, "lr": 1.0}}}},
        set(),
    ),
    "models": ({"backbones": ["test_resnet", "test_vit"]}, {"backbone"}),
    "one model under two names": ({"backbones": {"test_resnet": None, "b": {"model": "test_resnet"}}}, set()),
}


@pytest.mark.parametrize("case", VARIED)
def test_what_varies(case: str, tmp_path: Path) -> None:
    changes, expected = VARIED[case]
    assert axes_of(tmp_path, **changes) == expected


def test_axes_of_two_studies_are_those_of_both(tmp_path: Path) -> None:
    """A study of one size beside another of another size can be compared."""
    file = tmp_path / "four.yaml"
    file.write_text(yaml.safe_dump({"extends": "digits", "splits": {"four": FOUR}}))
    assert Plan([str(file)]).axes() == frozenset()
    assert Plan(["digits", str(file)]).axes() == {"class_size"}


def test_every_axis_is_known() -> None:
    found = {axes.axis(kind, name) for kind in ("table", "figure") for name in registry.names(kind)}
    assert found - {None} <= set(axes.MEANING)


def test_what_needs_no_axis_is_always_made() -> None:
    assert {"main", "ausuc"} <= set(axes.applicable("table", frozenset()))
    assert {"gain", "curve", "relations", "anatomy"} <= set(axes.applicable("figure", frozenset()))
    assert set(axes.applicable("figure", frozenset(axes.MEANING))) == set(registry.names("figure"))


def test_asking_for_what_cannot_show_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axes, "axis", lambda kind, name: "class_size" if name == "gain" else None)
    monkeypatch.setattr(axes, "_built_in", lambda: ["digits"])
    assert "gain" not in axes.applicable("figure", frozenset())
    with pytest.raises(UserError) as caught:
        axes.check_applicable("figure", "gain", frozenset())
    assert str(caught.value) == (
        "studies: the figure 'gain' compares splits that put different numbers of classes into S, "
        "and the selected studies have none."
    )
    monkeypatch.setattr(axes, "_axes_of_study", lambda name: frozenset({"class_size"}))
    with pytest.raises(UserError, match=r"Hint: The built-in studies that do: digits \(snakemake --config 'studies="):
        axes.check_applicable("figure", "gain", frozenset({"recipe"}))
    axes.check_applicable("figure", "gain", frozenset({"class_size"}))


def test_check_says_what_can_be_compared() -> None:
    text = describe_plan(Plan(["small/class_size"]))
    assert "To compare: splits that put different numbers of classes into S.\n" in text
    assert ", class_size, " in text
    assert "To compare: nothing but methods.\n" in describe_plan(Plan(["digits"]))
