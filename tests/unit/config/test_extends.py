"""`extends`: which file wins, what is merged, and that errors name the file to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal.config.extends import compose, study_names
from finecal.config.load import load_study
from finecal.errors import UserError


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def composed(file: Path) -> dict[str, Any]:
    """All keys but `extends`."""
    return {key: value for key, value in compose(str(file))[0].items() if key != "extends"}


def error_of(name: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_study(str(name))
    return str(caught.value)


def test_a_built_in_study_is_extended_by_name(tmp_path: Path) -> None:
    write(tmp_path, mine="extends: digits\nseeds: [5]\n")
    mine, digits = load_study(str(tmp_path / "mine.yaml")), load_study("digits")
    assert mine.seeds == (5,)
    assert mine.extends == ("digits",)
    assert mine.model_dump(exclude={"seeds"}) == digits.model_dump(exclude={"seeds"})
    assert "extends" not in mine.model_dump()


def test_settings_are_merged_and_axes_replaced(tmp_path: Path) -> None:
    text = """
    extends: digits
    training: {epochs: 1, augmentation: {grayscale: 0.5}}
    pretraining: {training: {epochs: 3}}
    pseudo_splits: {validation_fraction: 0.4}
    splits: {mine: {kind: random, count: 2}}
    """
    write(tmp_path, mine=text)
    mine, digits = load_study(str(tmp_path / "mine.yaml")), load_study("digits")
    assert mine.training.epochs == 1
    assert mine.training.lr == digits.training.lr
    assert mine.training.augmentation.grayscale == 0.5
    assert mine.training.augmentation.crop_scale == digits.training.augmentation.crop_scale == (0.8, 1.0)
    assert mine.pretraining.weights == "random"
    assert mine.pretraining.training is not None
    assert mine.pretraining.training.epochs == 3
    assert mine.pretraining.training.lr == 0.1
    assert mine.pseudo_splits.folds == digits.pseudo_splits.folds == 3
    assert list(mine.splits) == ["mine"]


def test_options_of_an_optimiser_are_not_mixed(tmp_path: Path) -> None:
    base = "extends: digits\ntraining: {optimizer: adam, optimizer_options: {eps: 0.1}}\n"
    write(tmp_path, base=base, mine="extends: base.yaml\ntraining: {optimizer_options: {amsgrad: true}}\n")
    assert load_study(str(tmp_path / "mine.yaml")).training.optimizer_options == {"amsgrad": True}


def test_null_takes_a_mapping_away(tmp_path: Path) -> None:
    write(tmp_path, mine="extends: digits\npretraining: {weights: hub, training: null}\n")
    assert load_study(str(tmp_path / "mine.yaml")).pretraining.training is None


def test_a_shared_base_does_not_undo_what_is_built_on_it(tmp_path: Path) -> None:
    """`small` extends `base` too: its place behind `sizes` in the list does not bring back the splits of `base`."""
    write(
        tmp_path,
        base="a: base\nb: base\nc: base\n",
        sizes="extends: base.yaml\nb: sizes\nc: sizes\n",
        small="extends: base.yaml\nc: small\n",
        both="extends: [sizes.yaml, small.yaml]\n",
        other_way="extends: [small.yaml, sizes.yaml]\n",
    )
    assert composed(tmp_path / "both.yaml") == {"a": "base", "b": "sizes", "c": "small"}
    assert composed(tmp_path / "other_way.yaml") == {"a": "base", "b": "sizes", "c": "sizes"}


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write(tmp_path, base="a: 1\n")
    write(inner, mine="extends: ../base.yaml\n")
    monkeypatch.chdir("/")
    assert composed(inner / "mine.yaml") == {"a": 1}


# ------------------------------------------------------------------ errors


def inherited(folder: Path) -> str:
    """How errors call base.yaml, which mine.yaml extends: the user's file is named, too."""
    return f"{folder / 'base.yaml'} (extended by {folder / 'mine.yaml'})"


def test_a_wrong_key_names_the_file_it_stands_in(tmp_path: Path) -> None:
    base = yaml.safe_dump({"extends": "digits", "sedes": [1], "training": {"lr": -1, "epochs": 2}})
    write(tmp_path, base=base, mine="extends: base.yaml\ntraining: {epochs: 0}\n")
    assert error_of(tmp_path / "mine.yaml").startswith(f"{inherited(tmp_path)}: training.lr: -1 is not allowed.")
    write(tmp_path, base=base.replace("-1", "1"))
    assert error_of(tmp_path / "mine.yaml").startswith(f"{tmp_path / 'mine.yaml'}: training.epochs: 0 is not allowed.")
    write(tmp_path, mine="extends: base.yaml\n", base="extends: digits\nsedes: [1]\n")
    assert error_of(tmp_path / "mine.yaml").startswith(f"{inherited(tmp_path)}: unknown key 'sedes'.")


def test_meaning_is_checked_after_composition(tmp_path: Path) -> None:
    write(tmp_path, base="extends: digits\nsplits: {a: {kind: random, count: 12}}\n", mine="extends: base.yaml\n")
    assert error_of(tmp_path / "mine.yaml").startswith(f"{inherited(tmp_path)}: splits.a: this split takes more")


def test_a_key_that_no_file_has(tmp_path: Path) -> None:
    write(tmp_path, base="description: half a study\n", mine="extends: base.yaml\n")
    assert error_of(tmp_path / "mine.yaml").startswith(f"{tmp_path / 'mine.yaml'}: datasets: this key is missing.")


@pytest.mark.parametrize("given", ["3", "{digits: }", "[1]", "null"])
def test_extends_that_is_no_name(tmp_path: Path, given: str) -> None:
    write(tmp_path, mine=f"extends: {given}\n")
    assert error_of(tmp_path / "mine.yaml") == (
        f"{tmp_path / 'mine.yaml'}: extends: {yaml.safe_load(given)!r} is not allowed. "
        "It is the name of a built-in study, the path of a file, or a list of them."
    )


def test_unknown_bases(tmp_path: Path) -> None:
    write(tmp_path, mine="extends: digit\n")
    assert error_of(tmp_path / "mine.yaml").startswith(
        f"{tmp_path / 'mine.yaml'}: extends: unknown study 'digit'. Known, closest first: digits"
    )
    write(tmp_path, mine="extends: nope.yaml\n")
    assert error_of(tmp_path / "mine.yaml").startswith(
        f"{tmp_path / 'mine.yaml'}: extends: there is no file '{tmp_path / 'nope.yaml'}'."
    )


def test_cycles(tmp_path: Path) -> None:
    write(
        tmp_path,
        a="extends: b.yaml\n",
        b="extends: c.yaml\n",
        c="extends: [digits, a.yaml]\n",
        self="extends: self.yaml",
    )
    a, b, c = (str(tmp_path / f"{name}.yaml") for name in "abc")
    assert error_of(tmp_path / "a.yaml") == f"{c}: extends: this study extends itself. {a} → {b} → {c} → {a}."
    me = tmp_path / "self.yaml"
    assert error_of(me) == f"{me}: extends: this study extends itself. {me} → {me}."


def test_yaml_errors_name_the_base(tmp_path: Path) -> None:
    write(tmp_path, base="a: [1\n", mine="extends: base.yaml\n")
    assert error_of(tmp_path / "mine.yaml").startswith(f"{tmp_path / 'base.yaml'}, line 2: not readable as YAML")


@pytest.mark.parametrize("name", study_names())
def test_built_in_studies_are_valid(name: str) -> None:
    assert load_study(name).description
