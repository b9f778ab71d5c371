"""Every mistake in a study or in config.yaml: one error, word for word, with key path, value and what is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal import registry
from finecal.config import Study
from finecal.config.extends import STUDIES, study_names
from finecal.config.load import load_study, parse_study
from finecal.config.settings import parse_settings, read_settings
from finecal.errors import UserError, closest
from finecal.models.timm_names import architectures, optimizers
from finecal.plan.plan import Plan

BUILT_IN = (STUDIES / "digits.yaml").read_text("utf-8")
REMOVED = object()

S_AND_U = "S needs 1 to 9 classes, so that both S and U have at least one."
TASK_FORM = "A task is `source-target`, two different domains of printed, handwritten."
NAME_FORM = "A name has letters, digits, `_`, `.` and `+`, and begins with a letter or a digit."
TRAINING_KEYS = (
    "Known, closest first: lr, clip_grad, backbone_lr_scale, optimizer, warmup_steps, label_smoothing, "
    "steps_per_epoch, optimizer_options, augmentation, batch_size, epochs, momentum and 1 more."
)


def edited(path: str, value: Any) -> str:
    """The built-in study with one key (a path with slashes) set or removed."""
    study = yaml.safe_load(BUILT_IN)
    *parents, last = path.split("/")
    inner = study
    for key in parents:
        inner = inner[key]
    if value is REMOVED:
        del inner[last]
    else:
        inner[last] = value
    return yaml.safe_dump(study, sort_keys=False)


def parsed(text: str) -> Study:
    return parse_study(text, where="my.yaml")


# ------------------------------------------------------------------ one edit of the built-in study

# id: (key, value, the whole message after "my.yaml: ")
EDITS: dict[str, tuple[str, Any, str]] = {
    "recipe": (
        "recipes",
        ["ful"],
        "recipes.ful: unknown recipe 'ful'. Known, closest first: RECIPES. "
        "Hint: A name of your own needs `recipe:` with a built-in one.",
    ),
    "recipe of an alias": (
        "recipes",
        {"mine": {"recipe": "ful"}},
        "recipes.mine: unknown recipe 'ful'. Known, closest first: RECIPES.",
    ),
    "calibrator": (
        "calibrators",
        ["none", "pvc"],
        "calibrators.pvc: unknown calibrator 'pvc'. Known, closest first: CALIBRATORS. "
        "Hint: A name of your own needs `calibrator:` with a built-in one.",
    ),
    "data set": (
        "datasets",
        ["digitz"],
        "datasets.digitz: unknown data set 'digitz'. Known, closest first: DATASETS. "
        "Hint: A name of your own needs `source:` with a built-in one.",
    ),
    "optimiser of a recipe": (
        "recipes",
        {"full": {"training": {"optimizer": "adamm"}}},
        "recipes.full.training.optimizer: unknown optimiser 'adamm'. Known, closest first: adam, adamc, adamp, adamw, "
        "nadam, radam, adamax, cadamc, cadamp, cadamw, nadamc, nadamw and MANY more.",
    ),
    "Nesterov SGD without momentum": (
        "training/momentum",
        0.0,
        "training.momentum: 0.0 is not allowed. `sgd` is Nesterov SGD and needs some; "
        "the optimiser `momentum` does without.",
    ),
    "option of training": ("training/lrr", 0.1, f"training: unknown key 'lrr'. {TRAINING_KEYS}"),
    "nested option": (
        "training/augmentation",
        {"flip": 0.5},
        "training.augmentation: unknown key 'flip'. "
        "Known, closest first: horizontal_flip, color_jitter, grayscale, crop_ratio, crop_scale.",
    ),
    "option of a recipe": (
        "recipes",
        {"full": {"options": {"rank": 4}}},
        "recipes.full.options: unknown key 'rank'. There are none.",
    ),
    "option of a data set": (
        "datasets",
        {"digits": {"options": {"rotatoin": 5}}},
        "datasets.digits.options: unknown key 'rotatoin'. "
        "Known, closest first: rotation, test_fraction, per_class, blur, shear, seed.",
    ),
    "value of an option of a data set": (
        "datasets",
        {"digits": {"options": {"rotation": 90}}},
        "datasets.digits.options.rotation: 90 is not allowed. Input should be less than or equal to 45.",
    ),
    "value of an option of a calibrator": (
        "calibrators",
        {"temperature": {"options": {"smallest": -1}}},
        "calibrators.temperature.options.smallest: -1 is not allowed. Input should be greater than 0.",
    ),
    "bounds of the temperature reversed": (
        "calibrators",
        {"temperature": {"options": {"smallest": 10, "largest": 1}}},
        "calibrators.temperature.options: {'smallest': 10, 'largest': 1} is not allowed. "
        "`smallest` must be below `largest`.",
    ),
    "key at the top": (
        "sedes",
        [1],
        "unknown key 'sedes'. Known, closest first: seeds, recipes, datasets, pseudo_splits, tasks, description, "
        "splits, backbones, image_size, oracle_fine_tuning, extends, calibrators and 2 more.",
    ),
    "key of a recipe's training": (
        "recipes",
        {"full": {"training": {"lrr": 1}}},
        f"recipes.full.training: unknown key 'lrr'. {TRAINING_KEYS}",
    ),
    "key of a split": (
        "splits/half0",
        {"kind": "random", "fracton": 0.5},
        "splits.half0: unknown key 'fracton'. Known, closest first: fraction, count, kind, seed, seeds, sizes.",
    ),
    "key of another kind of split": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": [1, 2], "seed": 3},
        "splits.half0: unknown key 'seed'. Known, closest first: kind, fine_tuning.",
    ),
    "text for a number": ("training/lr", "fast", "training.lr: 'fast' is not allowed. Input should be a valid number."),
    "quoted number": ("image_size", "32", "image_size: '32' is not allowed. Input should be a valid integer."),
    "fraction for an integer": (
        "training/epochs",
        2.5,
        "training.epochs: 2.5 is not allowed. Input should be a valid integer.",
    ),
    "truth value for a seed": ("seeds", [True], "seeds.0: True is not allowed. Input should be a valid integer."),
    "number for a list": ("seeds", 3, "seeds: 3 is not allowed. Input should be a list."),
    "text for a mapping": (
        "recipes",
        "full",
        "recipes: 'full' is not allowed. Input should be a mapping of keys to values.",
    ),
    "nothing for a mapping": (
        "training",
        None,
        "training: None is not allowed. Input should be a mapping of keys to values.",
    ),
    "nothing for a split": (
        "splits/half0",
        None,
        "splits.half0: None is not allowed. Input should be a mapping of keys to values.",
    ),
    "nothing for an option": (
        "backbones",
        {"test_resnet": {"options": {"drop_rate": None}}},
        "backbones.test_resnet.options.drop_rate: None is not allowed. "
        "Input should be a valid boolean or a valid integer or a valid number or a valid string.",
    ),
    "missing key": ("pretraining", REMOVED, "pretraining: this key is missing. Where the pretrained model comes from."),
    "missing kind of split": (
        "splits/half0",
        {"fraction": 0.5},
        "splits.half0.kind: this key is missing. It must be one of random, clustered, classes, present, official.",
    ),
    "unknown kind of split": (
        "splits/half0",
        {"kind": "rand"},
        "splits.half0.kind: 'rand' is not allowed. It must be one of random, clustered, classes, present, official.",
    ),
    "missing key of a split": (
        "splits/half0",
        {"kind": "classes"},
        "splits.half0.fine_tuning: this key is missing. The classes in S, by name or by number.",
    ),
    "duplicate seeds": ("seeds", [0, 1, 0], "seeds: [0, 1, 0] is not allowed. 0 is given more than once."),
    "negative seed": ("seeds", [-1], "seeds.0: -1 is not allowed. Input should be greater than or equal to 0."),
    "no seed": ("seeds", [], "seeds: [] is not allowed. The list needs at least 1 item."),
    "duplicate recipe": (
        "recipes",
        ["full", "full"],
        "recipes: ['full', 'full'] is not allowed. 'full' is given more than once.",
    ),
    "name with a blank": ("recipes", {"a b": {"recipe": "full"}}, f"recipes.a b: 'a b' is not allowed. {NAME_FORM}"),
    "name with a hyphen": ("recipes", {"a-b": {"recipe": "full"}}, f"recipes.a-b: 'a-b' is not allowed. {NAME_FORM}"),
    "name that leaves the folder": (
        "splits",
        {"..": {"kind": "random", "count": 5}},
        f"splits...: '..' is not allowed. {NAME_FORM}",
    ),
    "number as a name": (
        "recipes",
        {1: {"recipe": "full"}},
        "recipes.1: 1 is not allowed. Input should be a valid string.",
    ),
    "reserved name of a split": (
        "splits/all",
        {"kind": "random", "count": 5},
        "splits.all: 'all' is not allowed. The name is reserved for the split in which S is all of Y.",
    ),
    "reserved name of a recipe": (
        "recipes",
        {"pretrained": {"recipe": "full"}},
        "recipes.pretrained: 'pretrained' is not allowed. The name is reserved for the pretrained model.",
    ),
    "unknown domain": (
        "tasks/digits",
        ["printed-handwriting"],
        f"tasks.digits: 'printed-handwriting' is no task of 'digits'. {TASK_FORM} "
        "Hint: The closest is 'printed-handwritten'.",
    ),
    "source is target": (
        "tasks/digits",
        ["handwritten-handwritten"],
        f"tasks.digits: 'handwritten-handwritten' is no task of 'digits'. {TASK_FORM} "
        "Hint: The closest is 'handwritten-printed'.",
    ),
    "task of one domain": (
        "tasks/digits",
        ["printed"],
        f"tasks.digits: 'printed' is no task of 'digits'. {TASK_FORM} Hint: The closest is 'handwritten-printed'.",
    ),
    "no task": ("tasks/digits", [], f"tasks: no task for the data set 'digits'. {TASK_FORM}"),
    "tasks of another data set": (
        "tasks",
        {"digit": ["printed-handwritten"]},
        "tasks: unknown data set 'digit'. Known, closest first: digits.",
    ),
    "S empty": (
        "splits/half0",
        {"kind": "random", "fraction": 0.01},
        f"splits.half0: this split takes no class for fine-tuning (0 of 10). {S_AND_U}",
    ),
    "S is Y": (
        "splits/half0",
        {"kind": "random", "fraction": 0.99},
        f"splits.half0: this split takes all classes for fine-tuning (10 of 10). {S_AND_U}",
    ),
    "S is Y by names": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": list("0123456789")},
        f"splits.half0: this split takes all classes for fine-tuning (10 of 10). {S_AND_U}",
    ),
    "more classes than there are": (
        "splits/half0",
        {"kind": "random", "count": 11},
        f"splits.half0: this split takes more classes than there are for fine-tuning (11 of 10). {S_AND_U}",
    ),
    "class not in the data set": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": ["1", "eleven"]},
        "splits.half0: unknown class 'eleven'. Known, closest first: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9.",
    ),
    "class number out of range": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": [1, 10]},
        "splits.half0: class number 10 is out of range. 0 to 9 are allowed.",
    ),
    "negative class number": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": [1, -1]},
        "splits.half0: class number -1 is out of range. 0 to 9 are allowed.",
    ),
    "class twice, by number and by name": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": [1, 2, "1"]},
        "splits.half0: class '1' is given more than once.",
    ),
    "fractional class number": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": [1.5]},
        "splits.half0.fine_tuning.0: 1.5 is not allowed. Input should be a valid string or a valid integer.",
    ),
    "no class": (
        "splits/half0",
        {"kind": "classes", "fine_tuning": []},
        "splits.half0.fine_tuning: [] is not allowed. The list needs at least 1 item.",
    ),
    "pcv with one class": (
        "splits/half0",
        {"kind": "random", "count": 1},
        "splits.half0: pcv needs at least 2 fine-tuning classes, this split of 'digits' has 1. "
        "Pseudo cross-validation splits S once more.",
    ),
    "fraction and count": (
        "splits/half0",
        {"kind": "random", "fraction": 0.5, "count": 5},
        "splits.half0: {'kind': 'random', 'fraction': 0.5, 'count': 5} is not allowed. "
        "Give one of `fraction`, `count` and `sizes`.",
    ),
    "neither fraction nor count": (
        "splits/half0",
        {"kind": "random"},
        "splits.half0: {'kind': 'random'} is not allowed. Give one of `fraction`, `count` and `sizes`.",
    ),
    "no official split": (
        "splits/half0",
        {"kind": "official"},
        "splits.half0: the data set 'digits' has no official split. "
        "Kinds that work: random, clustered, classes, present.",
    ),
    "fraction out of range": (
        "splits/half0",
        {"kind": "random", "fraction": 1.5},
        "splits.half0.fraction: 1.5 is not allowed. Input should be less than 1.",
    ),
    "validation fraction out of range": (
        "pseudo_splits",
        {"validation_fraction": 1},
        "pseudo_splits.validation_fraction: 1 is not allowed. Input should be less than 1.",
    ),
    "negative learning rate": (
        "training/lr",
        -0.1,
        "training.lr: -0.1 is not allowed. Input should be greater than 0.",
    ),
    "infinite learning rate": (
        "training/lr",
        float("inf"),
        "training.lr: inf is not allowed. Input should be a finite number.",
    ),
    "learning rate not a number": (
        "training/lr",
        float("nan"),
        "training.lr: nan is not allowed. Input should be a finite number.",
    ),
    "learning rate of a recipe": (
        "recipes",
        {"full": {"training": {"lr": -1}}},
        "recipes.full.training.lr: -1 is not allowed. Input should be greater than 0.",
    ),
    "no epoch": (
        "training/epochs",
        0,
        "training.epochs: 0 is not allowed. Input should be greater than or equal to 1.",
    ),
    "crop_scale reversed": (
        "training/augmentation",
        {"crop_scale": [1.0, 0.8]},
        "training.augmentation.crop_scale: [1.0, 0.8] is not allowed. "
        "The smallest value comes first, then the largest.",
    ),
    "crop_scale of a recipe reversed": (
        "recipes",
        {"full": {"training": {"augmentation": {"crop_scale": [1, 0.5]}}}},
        "recipes.full.training.augmentation.crop_scale: [1, 0.5] is not allowed. "
        "The smallest value comes first, then the largest.",
    ),
    "crop_scale of one number": (
        "training/augmentation",
        {"crop_scale": [0.8]},
        "training.augmentation.crop_scale: [0.8] is not allowed. The list needs exactly 2 items.",
    ),
    "crop_scale of three numbers": (
        "training/augmentation",
        {"crop_scale": [0.1, 0.2, 0.3]},
        "training.augmentation.crop_scale: [0.1, 0.2, 0.3] is not allowed. The list needs exactly 2 items.",
    ),
    "crop of no area": (
        "training/augmentation",
        {"crop_scale": [0, 1]},
        "training.augmentation.crop_scale.0: 0 is not allowed. Input should be greater than 0.",
    ),
    "random weights that stay random": (
        "pretraining",
        {"weights": "random"},
        "pretraining: a model with random weights needs `training`. Hint: Or give 'test_resnet' a checkpoint "
        "(`backbones.test_resnet.weights`), or take the hub's (`weights: hub`).",
    ),
    "unknown weights": (
        "pretraining/weights",
        "hubb",
        "pretraining.weights: 'hubb' is not allowed. Input should be 'random' or 'hub'.",
    ),
    "three mistakes": (
        "training",
        {"lr": -1, "epochs": 0, "batch_size": 0},
        "training.lr: -1 is not allowed. Input should be greater than 0. Hint: 2 more mistakes in this file.",
    ),
    "long value": (
        "image_size",
        "x" * 200,
        f"image_size: '{'x' * 75} ... is not allowed. Input should be a valid integer.",
    ),
}


def with_names(message: str, given: str) -> str:
    """The lists of plugins and studies grow with every file, so tests do not repeat them."""
    known = {f"{kind.upper()}S": registry.names(kind) for kind in ("recipe", "calibrator", "dataset")}
    for placeholder, all_names in {**known, "STUDIES": study_names()}.items():
        names = closest(given, all_names)
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        message = message.replace(placeholder, shown)
    return message.replace("MANY", str(len(optimizers()) - 12))


@pytest.mark.parametrize("case", EDITS)
def test_one_mistake(case: str) -> None:
    key, value, message = EDITS[case]
    with pytest.raises(UserError) as caught:
        parsed(edited(key, value))
    given = caught.value.what.split("'")[1] if "'" in caught.value.what else ""
    assert str(caught.value) == f"my.yaml: {with_names(message, given)}"


def test_a_name_that_is_too_long_for_a_file() -> None:
    """While a file is written, the names of host and process are added to it."""
    with pytest.raises(UserError, match=r" is not allowed\. String should have at most 100 characters\.$"):
        parsed(edited("splits", {"y" * 101: {"kind": "random", "fraction": 0.5, "seed": 0}}))


def test_an_unknown_model() -> None:
    """timm has more than a thousand: the message shows five and says how many more there are."""
    with pytest.raises(UserError) as caught:
        parsed(edited("backbones", ["resnet51"]))
    assert str(caught.value) == (
        "my.yaml: backbones.resnet51: unknown timm model 'resnet51'. Known, closest first: resnet51q, resnet18, "
        f"resnet50, resnet101, resnet10t and {len(architectures()) - 5} more."
    )


def test_the_built_in_study_is_right() -> None:
    """So that the cases above fail because of their edits only."""
    study = parsed(BUILT_IN)
    assert (study.seeds, study.training.lr, study.image_size) == ((0,), 0.03, 32)
    assert (
        parsed(edited("splits/half0", {"kind": "classes", "fine_tuning": [3, "1"]})).splits["half0"].kind == "classes"
    )


# ------------------------------------------------------------------ the text itself

# id: (text, the whole message)
TEXTS = {
    "duplicate key": (
        f"{BUILT_IN}seeds: [3]\n",
        "my.yaml, line LAST: not readable as YAML: the key 'seeds' is given twice.",
    ),
    "duplicate key inside": (
        BUILT_IN.replace("fraction: 0.5, seed: 0", "fraction: 0.5, seed: 0, seed: 1"),
        "my.yaml, line SPLIT: not readable as YAML: the key 'seed' is given twice.",
    ),
    "bracket left open": ("a: [1\nb: 2", "my.yaml, line 2: not readable as YAML: expected ',' or ']', but got ':'."),
    "tab": (
        "a:\n\t- b",
        "my.yaml, line 2: not readable as YAML: found character '\\t' that cannot start any token.",
    ),
    "object of Python": (
        "a: !!python/object:os.system x",
        "my.yaml, line 1: not readable as YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object:os.system'.",
    ),
    "day that does not exist": (
        "seeds: [2024-13-45]",
        "my.yaml: not readable as YAML: month must be in 1..12.",
    ),
    "list": ("- 1", "my.yaml: a study is a mapping of keys to values."),
    "empty": ("", "my.yaml: a study is a mapping of keys to values."),
}


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), start=1) if part in line)


@pytest.mark.parametrize("case", TEXTS)
def test_text_that_is_no_study(case: str) -> None:
    text, message = TEXTS[case]
    message = message.replace("LAST", str(len(text.splitlines()))).replace("SPLIT", str(line_of(BUILT_IN, "half0:")))
    with pytest.raises(UserError) as caught:
        parsed(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("number", ["3e-2", "3.e-2", "0.03", "3E-2", ".03"])
def test_numbers_with_exponents_are_numbers(number: str) -> None:
    """YAML 1.1 reads 3e-2 as a text, for want of a point and a sign."""
    assert parsed(BUILT_IN.replace("lr: 0.03", f"lr: {number}")).training.lr == 0.03


def test_a_quoted_number_stays_a_text() -> None:
    assert parsed(edited("description", "x").replace("description: x", "description: '1e-3'")).description == "1e-3"


def test_an_alias_may_be_merged_and_overridden() -> None:
    study = parsed(BUILT_IN.replace("augmentation: *gentle", "augmentation: {<<: *gentle, crop_scale: [0.5, 1.0]}"))
    assert study.training.augmentation.crop_scale == (0.5, 1.0)
    assert study.training.augmentation.horizontal_flip == 0


def test_lists_of_numbers_are_options_of_an_optimiser() -> None:
    study = parsed(edited("training/optimizer_options", {"betas": [0.9, 0.95], "eps": 1e-6}))
    assert study.training.optimizer_options == {"betas": [0.9, 0.95], "eps": 1e-6}


def test_a_recipe_changes_the_training_key_by_key() -> None:
    study = parsed(edited("recipes", {"full": {"training": {"lr": 0.5, "augmentation": {"grayscale": 0.25}}}}))
    changed = study.training_of("full")
    assert (changed.lr, changed.augmentation.grayscale) == (0.5, 0.25)
    assert changed.augmentation.crop_scale == study.training.augmentation.crop_scale == (0.8, 1.0)
    assert changed.batch_size == study.training.batch_size


# ------------------------------------------------------------------ files and selections


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "studies: unknown study 'digit'. Known, closest first: STUDIES."),
        ("nope.yaml", "studies: there is no file 'nope.yaml'. A study is a built-in name or a YAML file."),
        ("small/digts", "studies: unknown study 'small/digts'. Known, closest first: STUDIES."),
    ],
)
def test_no_such_study(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_study(name)
    assert str(caught.value) == with_names(message, name)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes("description: Maße\n".encode("latin-1"))
    with pytest.raises(UserError) as caught:
        load_study(str(file))
    assert str(caught.value) == f"{file}: byte 15 is not UTF-8. It must be text in UTF-8."


def test_temperature_needs_validation_data() -> None:
    study = {"extends": "digits", "datasets": {"digits": {}}, "calibrators": ["none", "temperature"]}
    with pytest.raises(UserError) as caught:
        parse_study(yaml.safe_dump(study), where="my.yaml")
    assert str(caught.value) == (
        "my.yaml: datasets.digits.validation_fraction: temperature reads validation data, the data set 'digits' holds "
        "none out. Hint: Set it, for example to 0.1, or leave these calibrators out."
    )


def two_studies(tmp_path: Path, key: str, value: Any) -> tuple[str, str]:
    names = ("one.yaml", "two.yaml")
    (tmp_path / names[0]).write_text(BUILT_IN)
    (tmp_path / names[1]).write_text(edited(key, value))
    return names


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "training/lr", 0.5,
            "finetune of the selected studies: digits / test_resnet / full means two different things. "
            "training.lr is 0.03 in one.yaml and 0.5 in two.yaml.",
        ),
        (
            "splits/half1/seed", 7,
            "split of the selected studies: digits / half1 means two different things. "
            "seed is 1 in one.yaml and 7 in two.yaml.",
        ),
        (
            "datasets", {"digits": {"options": {"blur": 0}}},
            "prepare of the selected studies: digits means two different things. "
            "options.blur is 1.0 in one.yaml and 0.0 in two.yaml.",
        ),
        (
            "pretraining/seed", 3,
            "pretrain of the selected studies: digits / test_resnet means two different things. "
            "pretraining.seed is 0 in one.yaml and 3 in two.yaml.",
        ),
        (
            "calibrators", {"alg": {"calibrator": "source_gap"}},
            "calibrator of the selected studies: alg means two different things. "
            "calibrator is 'alg' in one.yaml and 'source_gap' in two.yaml.",
        ),
        (
            "pseudo_splits", {"folds": 4},
            "pseudo_splits of the selected studies: digits / test_resnet / full means two different things. "
            "pseudo_splits.folds is 3 in one.yaml and 4 in two.yaml.",
        ),
    ],
)  # fmt: skip
def test_one_name_for_two_things(
    key: str, value: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = two_studies(tmp_path, key, value)
    with pytest.raises(UserError) as caught:
        Plan(names)
    hint = "Hint: Give one of them another name, or select the studies one at a time."
    assert str(caught.value) == f"{message} {hint}"


def test_no_study_selected() -> None:
    with pytest.raises(UserError) as caught:
        Plan([])
    assert str(caught.value) == "studies: no study is selected."


def test_words_of_the_command_line() -> None:
    """`snakemake --config warm=false` hands on a text."""
    found = parse_settings({"warm": "false", "compile": "true", "data_memory": "null"})
    assert (found.warm, found.compile, found.data_memory) == (False, True, None)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"study": 1},
            "config.yaml: unknown key 'study'. "
            "Known, closest first: studies, data_memory, runs_per_gpu, state_interval, device, precision, compile, "
            "mirror, warm.",
        ),
        ({"studies": ["a", "b", "a"]}, "config.yaml: studies: the study 'a' is selected twice."),
        ({"studies": [{"a": 1}, {"a": 1}]}, "config.yaml: studies: the study {'a': 1} is selected twice."),
        ({"studies": [{"a": 1}]}, "config.yaml: studies.0: {'a': 1} is not allowed. Input should be a valid string."),
        ({"studies": []}, "config.yaml: studies: [] is not allowed. The list needs at least 1 item."),
        ({"studies": 3}, "config.yaml: studies: 3 is not allowed. Input should be a list."),
        ({"device": "gpu"}, "config.yaml: device: 'gpu' is not allowed. Input should be 'auto', 'cpu' or 'cuda'."),
        (
            {"state_interval": -1},
            "config.yaml: state_interval: -1 is not allowed. Input should be greater than or equal to 0.",
        ),
    ],
)
def test_settings(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_settings(raw)
    assert str(caught.value) == message


def test_a_single_study_needs_no_list() -> None:
    assert parse_settings({"studies": "digits"}).studies == ("digits",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "config.yaml: the configuration is a mapping of keys to values."),
        (
            "device: [",
            "config.yaml, line 1: not readable as YAML: expected the node content, but found '<stream end>'.",
        ),
        ("device: cpu\ndevice: cuda", "config.yaml, line 2: not readable as YAML: the key 'device' is given twice."),
    ],
)
def test_config_file(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read_settings()
    assert str(caught.value) == message


def test_without_a_config_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings().studies == ("digits",)
    (tmp_path / "config.yaml").write_text("")
    assert read_settings().studies == ("digits",)


def test_messages_do_not_depend_on_the_hash_seed() -> None:
    """Names that are equally close come in alphabetical order."""
    code = (
        "from finecal.errors import UserError\n"
        "from finecal.config.extends import STUDIES\n"
        "from finecal.config.load import parse_study\n"
        "text = (STUDIES / 'digits.yaml').read_text().replace('lr: 0.03', 'optimizer: sdg')\n"
        "try: parse_study(text, where='my.yaml')\n"
        "except UserError as error: print(error)\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "unknown optimiser 'sdg'" in outputs.pop()


def test_a_configuration_that_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads nowhere: the default was hardly meant."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").symlink_to("elsewhere/config.yaml")
    with pytest.raises(UserError, match=r"this link leads to elsewhere/config\.yaml, where no file is"):
        read_settings()
    Path("config.yaml").unlink()
    Path("config.yaml").mkdir()
    with pytest.raises(UserError, match=r"config\.yaml: this is not a file"):
        read_settings()
