"""The hub's head as it is, without training: its rows are those of the data set's classes, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

from finecal.errors import UserError
from finecal.models.build import Architecture, architecture, build, head
from finecal.models.imagenet_classes import class_names, numbers_by_folder
from finecal.plan.plan import Plan
from finecal.stages import Settings
from finecal.stages import pretrain as stage
from finecal.stages.prepare import prepare
from finecal.stages.pretrain import take_rows

LABELS = ("dab", "ant", "cod", "bee")  # of a model on the hub
NAMES, FOLDERS = class_names(), tuple(numbers_by_folder())


def described(classes: Sequence[str], **more: str) -> Architecture:
    return architecture({"model": "test_resnet", "options": {}, "image_size": 32, **more}, tuple(classes), 3)


def on_hub(description: Architecture, labels: Sequence[str] | None, rows: int) -> nn.Module:
    """A model as `build` gives it: with the hub's head if that has as many rows, and what the hub says about it."""
    torch.manual_seed(0)
    whole = build(replace(description, classes=tuple(map(str, range(rows)))), weights="random")
    nn.init.normal_(head(whole).weight)
    if head(whole).bias is not None:
        nn.init.normal_(head(whole).bias)
    model = whole if len(description.classes) == rows else build(description, weights="random")
    named = {} if labels is None else {"label_names": list(labels)}
    model.pretrained_cfg = {**model.pretrained_cfg, "num_classes": rows, **named}  # type: ignore[dict-item]
    return model


def taken(
    monkeypatch: pytest.MonkeyPatch, classes: Sequence[str], labels: Sequence[str] | None, rows: int, **more: str
) -> tuple[Tensor, Tensor]:
    """The head's rows after and the hub's."""
    description = described(classes, **more)
    hub = head(on_hub(described([str(k) for k in range(rows)], **more), None, rows)).weight.detach().clone()
    monkeypatch.setattr(stage, "build", lambda wanted, weights: on_hub(wanted, None, rows))
    model = on_hub(description, labels, rows)
    take_rows(model, description, "mine", "hub")
    return head(model).weight.detach(), hub


REVERSED = [*range(999, -1, -1)]
# What is there → classes of the data set, labels on the hub, rows there, the rows that are taken.
CASES: dict[str, tuple[Sequence[str], Sequence[str] | None, int, list[int]]] = {
    "ImageNet as it is": (NAMES, None, 1000, [*range(1000)]),
    "ImageNet in another order": (NAMES[::-1], None, 1000, REVERSED),
    "by alphabet": (sorted(NAMES), None, 1000, [NAMES.index(name) for name in sorted(NAMES)]),
    "some of ImageNet's": (("vase", "ostrich"), None, 1000, [883, 9]),
    "by WordNet's numbers": (FOLDERS[::-1], None, 1000, REVERSED),
    "WordNet's numbers on the hub": (NAMES[::-1], FOLDERS, 1000, REVERSED),
    "as many others": ([f"class {k}" for k in range(1000)], None, 1000, [*range(1000)]),
    "names on the hub, another order": (("ant", "bee", "cod", "dab"), LABELS, 4, [1, 3, 2, 0]),
    "names on the hub, fewer classes": (("cod", "ant"), LABELS, 4, [2, 1]),
    "no names": (("ant", "bee", "cod", "dab"), None, 4, [0, 1, 2, 3]),
}


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("case", CASES)
def test_rows_are_found_by_name(case: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    classes, labels, there, rows = CASES[case]
    found, hub = taken(monkeypatch, classes, labels, there, head=kind)
    assert torch.equal(found, hub[rows])


MISTAKES: dict[str, tuple[Sequence[str], Sequence[str] | None, int, str]] = {
    "a class that the hub does not name": (
        ("ant", "bee", "cow", "dab"), LABELS, 4,
        "pretraining.training: the hub's head has no class 'cow'; it has 'dab', 'ant', 'cod', 'bee'. "
        "`null` takes the rows that are called as the classes of 'mine'. Hint: Give `training`",
    ),
    "too few names on the hub": (("ant", "bee"), LABELS, 7, "4 class names on the hub for a head with 7 rows."),
    "another number of classes": (("ant", "bee"), None, 7, "the hub's head has 7 classes, the data set 'mine' has 2."),
    "nearly ImageNet, in another order": (
        ("Drill", *NAMES[:999]), None, 1000,
        f"the class {NAMES[0]!r} is row 0 of ImageNet's head, but class 1 of 'mine'. Its rows cannot be found by name, "
        "since 'Drill' is none of ImageNet's classes.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_head_that_does_not_fit(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    classes, labels, rows, message = MISTAKES[mistake]
    with pytest.raises(UserError) as caught:
        taken(monkeypatch, classes, labels, rows)
    assert message in str(caught.value)


def test_in_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the hub with as many classes as the folder has, in another order."""
    monkeypatch.chdir(tmp_path)
    for name in sorted(LABELS):
        Path("photos", name).mkdir(parents=True)
        for k in range(2):
            Image.new("RGB", (8, 8), (k, len(name), ord(name[0]))).save(Path("photos", name, f"{k}.png"))
    study = {
        "extends": "digits",
        "datasets": {
            "mine": {"source": "image_folder", "options": {"source": "photos", "target": "photos", "size": 32}}
        },
        "tasks": {"mine": ["source-target"]},
        "splits": {"some": {"kind": "classes", "fine_tuning": ["ant", "bee"]}},
        "image_size": 32,
        "pretraining": {"weights": "hub", "training": None},
    }
    Path("mine.yaml").write_text(yaml.safe_dump(study))
    plan = Plan(["mine.yaml"])
    prepare(plan, "mine", "source")
    monkeypatch.setattr(stage, "build", lambda wanted, weights: on_hub(wanted, LABELS, 4))
    stage.pretrain(plan, "mine", "source", "test_resnet", Settings())
    written = pq.read_table("results/mine/pretrained/source/test_resnet/head.parquet").to_pydict()
    hub = head(on_hub(described(LABELS), None, 4)).weight.detach().numpy()
    assert written["name"] == sorted(LABELS)
    np.testing.assert_array_equal(np.array(written["weight"]), hub[[LABELS.index(name) for name in sorted(LABELS)]])
