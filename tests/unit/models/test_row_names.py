"""Names of a head's rows, in every form in which a folder of timm or transformers gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from timm.data import ImageNetInfo

from finecal.errors import UserError
from finecal.models.imagenet_classes import as_called, class_names
from finecal.models.locations import names_of_rows, read_class_names
from finecal.models.row_names import label_names

NAMES = ("eel", "cat", "dog")
FORMS: dict[str, dict[str, Any]] = {
    "list": {"label_names": list(NAMES)},
    "formerly": {"labels": list(NAMES)},
    "inside": {"pretrained_cfg": {"label_names": list(NAMES)}},
    "inside, formerly": {"pretrained_cfg": {"labels": list(NAMES)}},
    "numbers to names": {"label_names": {"0": "eel", "2": "dog", "1": "cat"}},
    "names to numbers": {"labels": {"cat": 1, "dog": 2, "eel": 0}},
    "numbers, eleven": {"label_names": {str(k): f"c{k}" for k in reversed(range(11))}},
    "the top goes before": {"label_names": list(NAMES), "pretrained_cfg": {"label_names": ["a", "b"]}},
    "transformers": {"id2label": {"0": "eel", "1": "cat", "2": "dog"}, "label2id": {"eel": 0}},
    "timm's beside transformers'": {"label_names": list(NAMES), "id2label": {"0": "LABEL_0"}},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str, tmp_path: Path) -> None:
    wanted = tuple(f"c{k}" for k in range(11)) if form == "numbers, eleven" else NAMES
    assert label_names(FORMS[form]) == wanted
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet", **FORMS[form]}))
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert names_of_rows(tmp_path, "x") == wanted
    assert names_of_rows(tmp_path / "model.safetensors", "x") == wanted


@pytest.mark.parametrize(
    "config", [{}, {"label_names": []}, {"pretrained_cfg": None}, {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}]
)
def test_no_names(config: dict[str, Any]) -> None:
    assert label_names(config) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"label_names": ["a", "b", "a"]}, "c: label_names: the class 'a' is there twice. Each row"),
        ({"labels": ["a", "b", "a", "b"]}, "c: labels: the classes 'a', 'b' are there twice"),
        ({"label_names": ["caf\u00e9", "cafe\u0301"]}, "the class 'caf\u00e9' is there twice"),
        ({"pretrained_cfg": {"labels": {"0": "a", "2": "b"}}}, "c: labels: the names of the head's rows are neither"),
        ({"label_names": "a,b"}, "c: label_names: the names of the head's rows are neither"),
    ],
)
def test_names_that_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        label_names(config, "c")
    assert message in str(caught.value)


def test_what_the_study_and_finecal_s_files_say(tmp_path: Path) -> None:
    assert read_class_names(["cafe\u0301", "b"], "x") == ["caf\u00e9", "b"]
    (tmp_path / "names.txt").write_text("cat\ndog\n", "utf-8-sig")
    assert read_class_names(str(tmp_path / "names.txt"), "x") == ["cat", "dog"]
    file = tmp_path / "w.safetensors"
    save_file({"x": torch.zeros(1)}, file, metadata={"finecal": json.dumps({"architecture": {"classes": ["a", "a"]}})})
    with pytest.raises(UserError, match="the class 'a' is there twice"):
        names_of_rows(file, "x")


def test_imagenet_s_own_doubles_are_told_apart_by_their_places() -> None:
    info = ImageNetInfo()
    for given in (info.label_names(), info.label_descriptions(), list(class_names())):
        names = label_names({"label_names": given})
        assert names is not None
        by_number = as_called(names, ("n03126707", "n02012849"))
        assert (by_number.index("n02012849"), by_number.index("n03126707")) == (134, 517)
        assert as_called(names, ("crane (n02012849)", "crane (n03126707)")) == class_names()
    assert as_called(NAMES, ("cat",)) == NAMES
    with pytest.raises(UserError, match="and 495 more are there twice"):
        label_names({"label_names": [f"c{k // 2}" for k in range(1000)]})
