"""Names and numbers as people read them: methods, settings and metrics in words, percent, intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from finecal.errors import counted
from finecal.paths import SETTING_KEYS

if TYPE_CHECKING:
    import pandas as pd

METRICS = {
    "acc_y_y": "all classes",
    "acc_s_y": "fine-tuning classes",
    "acc_u_y": "absent classes",
}
CLASSIFIERS = {
    "pretrained": "pretrained",
    "fine_tuned": "fine-tuned",
    "oracle_fine_tuning": "oracle fine-tuning",
}
CALIBRATORS = {
    "alg": "ALG",
    "bic": "BiC",
    "gla": "GLA",
    "il2m": "IL2M",
    "logit_adjustment_validated": "logit adj., validated",
    "midpoint": "PCV–source gap midpoint",
    "ncm": "NCM",
    "ood_gate": "OOD gate",
    "oracle": "γ*",
    "pcv": "PCV",
    "pcv_all_classes": "PCV over all classes",
    "pcv_combined": "PCV combined",
    "pcv_published": "PCV, published code's rule",
    "pcv_scaled": "PCV scaled",
    "pcv_scaled_gap": "PCV scaled by gap",
    "prior_shift_em": "prior shift (EM)",
    "tau_norm": "τ-norm",
    "tau_norm_validated": "τ-norm, τ validated",
    "temperature_per_group": "PCV combined, T per group",
    "wise_ft": "WiSE-FT",
}
RECIPES = {
    "bitfit": "BitFit",
    "ewc": "EWC",
    "fedrs": "FedRS",
    "frozen_bn": "frozen BN",
    "l2_sp": "L2-SP",
    "lolsgd": "LOLSGD",
    "lora": "LoRA",
    "lp_ft": "LP-FT",
    "lwf": "LwF",
}
BY_HAND = "set by hand"
READS = {  # in tables, in sentences
    "train_fine_tuning": ("train S", "the training data of the fine-tuning classes"),
    "weights": ("weights", "the model's weights"),
    "pretrained": ("pretrained", "the pretrained model"),
    "pseudo_splits": ("pseudo-splits", "further trainings on parts of the fine-tuning classes"),
    "target_unlabelled": ("unlabelled target", "unlabelled target data"),
    "validation": ("validation", "labelled validation data"),
    "test": ("test labels", "the test labels"),
    "set_by_hand": (BY_HAND, "a number that was set by hand"),
}
NOTHING = "–"
count = counted  # 1 run, 2 classes


def calibrator(name: str) -> str:
    """Return the name of a calibrator in words: `alg` → ALG, `source_gap` → source gap."""
    return CALIBRATORS.get(name, name.replace("_", " "))


def recipe(name: str) -> str:
    """Return the name of a recipe in words, also of a study's own recipe.

    >>> recipe("lp_ft"), recipe("linear_probe")
    ('LP-FT', 'linear probe')
    """
    return RECIPES.get(name, name.replace("_", " "))


def method(classifier: str, calibrator_name: str) -> str:
    """Return a method in words: ("fine_tuned", "alg") → fine-tuned + ALG."""
    words = CLASSIFIERS.get(classifier, classifier.replace("_", " "))
    return words if calibrator_name == "none" else f"{words} + {calibrator(calibrator_name)}"


def reads(text: str, *, long: bool = False) -> str:
    """Return the `reads` column in words, short or `long`; a calibrator that reads nothing has a dash, or `nothing`."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    known = [words[long] for name, words in READS.items() if name in names]
    return (" and " if long else ", ").join([*known, *sorted(names - READS.keys())]) or ("nothing" if long else NOTHING)


def marked(words: str, bound: bool) -> str:
    """Return the name of a method, marked where it is an upper bound.

    >>> marked("γ*", True), marked("ALG", False)
    ('γ* (upper bound)', 'ALG')
    """
    return f"{words} (upper bound)" if bound else words


def reads_test(text: str) -> bool:
    """Return whether a `reads` entry includes the test labels: such a method is an upper bound."""
    return "test" in {name.strip() for name in text.split(",")}


def set_by_hand(text: str) -> bool:
    """Return whether a `reads` entry says that no data chose the number that balances S and U."""
    return "set_by_hand" in {name.strip() for name in text.split(",")}


def ranked(text: str) -> bool:
    """Return whether a method with this `reads` entry is ranked and advised: its numbers come from data, no test data.

    >>> ranked("train_fine_tuning"), ranked("test"), ranked("set_by_hand, train_fine_tuning")
    (True, False, False)
    """
    return not reads_test(text) and not set_by_hand(text)


def task(name: str) -> str:
    """Return a task in words: `print-hand` → print → hand."""
    return name.replace("-", " → ", 1)


def settings(frame: pd.DataFrame, separator: str = " · ") -> dict[tuple[str, ...], str]:
    """Return each (dataset, task, backbone, recipe), in order of appearance, with a label that tells them apart.

    The label is as short as possible: it names the task, and the others only where there is more than one.
    """
    keys = [tuple(map(str, row)) for row in frame[list(SETTING_KEYS)].drop_duplicates().itertuples(index=False)]
    named = [i for i, name in enumerate(SETTING_KEYS) if name == "task" or len({key[i] for key in keys}) > 1]
    words = {"task": task, "recipe": recipe}
    return {
        key: separator.join(filter(None, (words.get(SETTING_KEYS[i], str)(key[i]) for i in named))) or key[0]
        for key in keys
    }


def setting(key: tuple[str, ...]) -> str:
    """Return one (dataset, task, backbone, recipe) in words, with all four names; of logits only the first is known."""
    dataset, task_name, backbone, recipe_name = key
    if not any(key[1:]):
        return dataset
    return f"{dataset}, {task(task_name)} ({backbone}, {recipe(recipe_name)})"


def number(value: float, scale: float = 100, digits: int = 1, *, sign: bool = False) -> str:
    """Return a number as text, by default a fraction in percent; with a real minus sign, and a dash for NaN.

    >>> number(0.625), number(-0.02, sign=True), number(0.0, sign=True), number(float("nan"))
    ('62.5', '−2.0', '0.0', '–')
    """
    if math.isnan(value):
        return NOTHING
    text = f"{value * scale:.{digits}f}"
    if float(text) == 0:
        return text.removeprefix("-")
    return f"+{text}" if sign and value > 0 else text.replace("-", "−")


def interval(mean: float, low: float, high: float, scale: float = 100, digits: int = 1, *, sign: bool = False) -> str:
    """Return `mean [low, high]`; the mean alone where there is no interval.

    >>> interval(0.625, 0.6, 0.65), interval(0.625, float("nan"), float("nan"))
    ('62.5 [60.0, 65.0]', '62.5')
    """
    text = number(mean, scale, digits, sign=sign)
    if math.isnan(low) or math.isnan(high):
        return text
    return f"{text} [{number(low, scale, digits)}, {number(high, scale, digits)}]"


def points(mean: float, low: float, high: float) -> str:
    """Return a difference of accuracies with its interval, in percentage points.

    >>> points(-0.02, -0.03, -0.01), points(0.01, float("nan"), float("nan"))
    ('−2.0 points [−3.0, −1.0]', '+1.0 point')
    """
    value, _, bounds = interval(mean, low, high, sign=True).partition(" ")
    return f"{value} point{'s' * (abs(round(mean * 100, 1)) != 1)} {bounds}".rstrip()


def duration(seconds: float) -> str:
    """Seconds in the unit that gives two digits or more.

    >>> duration(0.25), duration(45.2), duration(150), duration(5400), duration(200_000), duration(float("nan"))
    ('0.2 s', '45 s', '2.5 min', '1.5 h', '56 h', '–')
    """
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (0, "s")) if not seconds < size)
    value = seconds / (size or 1)
    return number(value, 1, 0 if value >= 10 else 1) + (f" {unit}" if value == value else "")


def over(runs: int, samples: int) -> str:
    """Return in words how many runs and samples a mean is over.

    >>> over(4, 898)
    '4 runs, 898 test samples each'
    """
    return f"{count(runs, 'run')}, {count(samples, 'test sample')}{' each' * (runs > 1)}"
