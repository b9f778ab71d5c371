"""Which column is what: the names that people use, and one column per class or feature."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from finecal.errors import UserError, join_names
from finecal.io.outside import is_count

LOGITS, LABEL, FEATURES, SUBSET, SAMPLE = "logits", "label", "features", "subset", "sample"
# Role → its names, the one that is meant first. Case, spaces, dots and hyphens do not count.
NAMES: dict[str, tuple[str, ...]] = {
    LOGITS: (
        "logits", "logit", "z", "scores", "score", "outputs", "output", "log_probs", "log_probabilities", "logprobs",
        "log_softmax", "probabilities", "probability", "probs", "prob", "proba", "softmax", "sigmoid", "y_score",
        "y_scores", "y_prob", "y_proba", "confidences", "predictions", "preds", "pred", "y_pred", "y_hat",
    ),
    LABEL: (
        "label", "labels", "target", "targets", "y", "y_true", "ground_truth", "gt", "true_label", "true_labels",
        "class", "class_id", "class_idx", "class_index", "class_label", "label_id", "label_idx", "category",
    ),
    FEATURES: ("features", "feature", "feats", "feat", "embeddings", "embedding", "embeds", "emb", "penultimate"),
    SUBSET: ("subset", "subsets", "split", "splits", "partition", "phase", "set", "fold"),
    SAMPLE: (
        "sample", "sample_id", "id", "ids", "image_id", "file", "files", "filename", "file_name", "filenames", "path",
        "paths", "image_path", "filepath", "file_path", "key", "uid", "index",
    ),
}  # fmt: skip
# What stands before the class in the names of one column per class, and before the number in those of features.
PREFIXES = {
    LOGITS: (*NAMES[LOGITS], "class", "cls", "c", "p"),
    FEATURES: (*NAMES[FEATURES], "f", "h", "e", "x"),
}
# Columns beside those of the classes that have the same prefix: `score_max` is no class, unless the labels say so.
STATISTICS = frozenset({
    "max", "min", "mean", "avg", "std", "var", "sum", "argmax", "arg_max", "top1", "top_1", "top5", "top_5", "margin",
    "entropy", "energy", "loss", "pred", "predicted", "prediction", "true", "target", "label", "correct", "conf",
    "confidence", "temperature",
})  # fmt: skip
SHOWN = 20  # columns of a file in an error


def plain(name: str) -> str:
    """Return a name without what writers vary.

    >>> plain("Y-True")
    'y_true'
    """
    return re.sub(r"[\s.\-]+", "_", name.strip().lstrip("\ufeff")).lower()


def find(role: str, columns: Sequence[str]) -> list[str]:
    """Return the columns that are named for a role, the best name first."""
    by_name: dict[str, list[str]] = {}
    for column in columns:
        by_name.setdefault(plain(column), []).append(column)
    return [column for name in NAMES[role] for column in by_name.get(name, [])]


def missing(role: str, columns: Sequence[str], where: str, hint: str = "") -> UserError:
    """Return the error for a role without a column; it lists the columns that there are."""
    known = join_names(NAMES[role], 6).partition(" and ")[0]
    return UserError(
        f"the column {role!r} is missing", where=where,
        why=f"It has {join_names(list(columns), SHOWN) or 'none'}. Names such as {known} are understood", hint=hint,
    )  # fmt: skip


def per_class(role: str, columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns of numbers that together are one matrix, in order, and what each is named after its prefix.

    Two or more columns with a common prefix are meant (`logit_0`, `logit_1`; `score_cat`, `score_dog`), or with bare
    numbers from 0 or 1 on. Numbers decide the order, other names keep that of the file.

    >>> per_class("logits", ["id", "logit_10", "logit_2"])
    (['logit_2', 'logit_10'], ['2', '10'])
    """
    groups: dict[str, dict[str, str]] = {}
    for column in columns:
        name = column.strip().lstrip("\ufeff")
        for prefix in sorted(PREFIXES[role], key=len, reverse=True):
            spelled = prefix.replace("_", r"[\s_.\-]?")
            single = len(prefix) == 1
            found = re.fullmatch(rf"(?i){spelled}(?:[\s_.:\-\[(]+(.+?)[\])]?|(\d+))", name)
            if found and not (single and not re.fullmatch(r"\d+", found[1] or found[2])):
                groups.setdefault(prefix, {})[column] = found[1] or found[2]
                break
    if role == LOGITS:
        groups.setdefault("", {column: column.strip() for column in columns if is_count(column.strip())})
    candidates = [group for group in groups.values() if len(group) > 1]
    if not candidates:
        return [], []
    chosen = max(candidates, key=len)
    if all(is_count(value) for value in chosen.values()):
        chosen = dict(sorted(chosen.items(), key=lambda item: int(item[1])))
    return list(chosen), list(chosen.values())


def check_numbers(role: str, suffixes: Sequence[str], where: str) -> None:
    """Raise UserError unless the numbers of the columns of a matrix have no gap."""
    if not suffixes or not all(is_count(value) for value in suffixes):
        return
    numbers = [int(value) for value in suffixes]
    gap = next((a + 1 for a, b in pairwise(numbers) if b != a + 1), None)
    if gap is not None or numbers[0] > 1:
        raise UserError(
            f"the columns of {role} have no number {gap if gap is not None else 0}", where=where,
            why=f"There are {join_names([str(n) for n in numbers], 12)}",
        )  # fmt: skip
