"""Names of classes that a trainer saves beside a state dict decide which row of the head is whose."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from finecal.errors import UserError
from finecal.models.build import architecture
from finecal.models.checkpoints import load_as, read_checkpoint
from finecal.models.said_beside import class_names_in

CLASSES = ("ant", "bee", "cod")
TURNED = ("cod", "ant", "bee")
NUMBERED = {name: row for row, name in enumerate(TURNED)}

SAID: dict[str, Any] = {
    "torchvision's class_to_idx": {"class_to_idx": NUMBERED},
    "idx_to_class": {"idx_to_class": {row: name for name, row in NUMBERED.items()}},
    "a list": {"Class_Names": [*TURNED]},
    "MMPretrain's meta": {"meta": {"dataset_meta": {"classes": TURNED}}},
    "Lightning's hyperparameters": {"hyper_parameters": {"id2label": {"0": "cod", "1": "ant", "2": "bee"}}},
    "arguments": {"args": argparse.Namespace(epochs=3, class_map="map.txt", labels=[*TURNED])},
}
SILENT: dict[str, Any] = {
    "numbers of rows": {"class_to_idx": {"0": 0, "1": 1, "2": 2}},
    "a count": {"classes": 3},
    "numbers": {"labels": [2, 0, 1]},
    "twice": {"labels": ["ant", "ant", "bee"]},
    "gaps": {"class_to_idx": {"ant": 1, "bee": 5}},
    "words": {"label_map": {"ant": "insect", "bee": "insect"}},
    "of an optimiser": {"optimizer": {"names": ["head", "body"]}},
}


@pytest.mark.parametrize("case", SAID)
def test_every_way_of_saying_it(case: str) -> None:
    assert class_names_in({"epoch": 3, **SAID[case]}) == (TURNED,)


@pytest.mark.parametrize("case", SILENT)
def test_what_are_no_names(case: str) -> None:
    assert class_names_in(SILENT[case]) == ()


def test_classes_that_are_called_by_numbers() -> None:
    for said in ({"7": 0, "0": 1, "1": 2}, {0: "7", 1: "0", 2: "1"}, ["7", "0", "1"]):
        assert class_names_in({"class_to_idx": said}) == (("7", "0", "1"),)


def saved(path: Path, **beside: Any) -> Any:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3).eval()
    torch.save({"model": model.state_dict(), **beside}, path)
    return model


def loaded(path: Path, names: tuple[str, ...] | None = None) -> Any:
    described = architecture({"model": "test_resnet", "options": {}, "image_size": 32}, CLASSES, 3)
    return load_as(read_checkpoint(path, names), described, keep_head=True)


def test_rows_are_found_by_these_names(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    model = saved(path, class_to_idx=NUMBERED)
    assert torch.equal(loaded(path).fc.weight, model.fc.weight[[1, 2, 0]])
    assert torch.equal(loaded(path, CLASSES).fc.weight, model.fc.weight)  # the study's word goes before
    model = saved(path, classes=["ant", "bee"])  # of S alone: no names of three rows
    assert torch.equal(loaded(path).fc.weight, model.fc.weight)


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    saved(path, classes=["ant", "bee", "dab"])
    with pytest.raises(UserError, match=r"its head has no class 'cod'; it has 'ant', 'bee', 'dab'"):
        loaded(path)
    saved(path, classes=CLASSES, meta={"CLASSES": TURNED})
    with pytest.raises(UserError) as caught:
        loaded(path)
    assert str(caught.value).endswith(
        "w.pth: it names its 3 classes in two ways. 'ant', 'bee', 'cod'; and 'cod', 'ant', 'bee'. "
        "Hint: Say which is right by `class_names`."
    )
