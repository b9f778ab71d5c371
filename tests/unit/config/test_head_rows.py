"""A head without names is refused where the classes can be in two orders; with names its rows are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from timm.utils.misc import natural_key

from finecal.config.load import load_study
from finecal.datasets._image_classes import in_natural_order
from finecal.errors import UserError
from finecal.plan.plan import Plan

TEN = [str(number) for number in range(1, 11)]
TENSOR = {"x": torch.zeros(1)}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def photos(names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        for domain in ("source", "target"):
            Path(domain, name).mkdir(parents=True)
            for k in range(2):
                Image.new("RGB", (8, 8), (k, place, len(domain))).save(Path(domain, name, f"{k}.png"))


def write(options: dict[str, Any] | None = None, **changes: Any) -> None:
    torch.save(TENSOR, "w.pth")
    study = {
        "extends": "digits",
        "datasets": {
            "mine": {"source": "image_folder", "options": {"source": "source", "target": "target", **(options or {})}}
        },
        "tasks": {"mine": ["source-target"]},
        "splits": {"some": {"kind": "classes", "fine_tuning": ["2", "3"]}},
        "backbones": {"mine": {"model": "test_resnet", "weights": "w.pth"}},
        "pretraining": {"training": None},
        "calibrators": ["none", "alg"],
        "oracle_fine_tuning": False,
        **changes,
    }
    Path("mine.yaml").write_text(yaml.safe_dump(study))


def refused() -> str:
    with pytest.raises(UserError) as caught:
        Plan(["mine.yaml"])
    return str(caught.value)


def test_the_names_are_asked_for() -> None:
    photos(TEN)
    write()
    assert refused() == (
        "mine.yaml: backbones.mine: the head of 'w.pth' has no names, and the classes can be in two orders. As text, "
        "as in torchvision's ImageFolder, they are 1, 10, 2, 3, …; by their numbers, as in timm's ImageDataset, 1, 2, "
        "3, 4, …. Hint: Say which: give the data set's `classes` in the order in which the model was trained, or the "
        "checkpoint's `class_names`; each is a list or a text file with a name per line."
    )


def test_a_recipe_and_words_are_asked_for_too() -> None:
    photos(TEN)
    trained = {"pretraining": {"training": {"epochs": 1}}}
    write(**trained, recipes={"elsewhere": {"weights": "w.pth"}})
    assert "mine.yaml: recipes.elsewhere.weights: the head of 'w.pth' has no names" in refused()
    zero_shot = {"model": "ViT-B-32", "pretrained": "openai", "class_names": list("abcdefghij")}
    write(backbones={"clip": {"model": "vit_base_patch32_clip_224", "zero_shot": zero_shot}})
    assert "backbones.clip.zero_shot.class_names: these words are in the order of the classes" in refused()


@pytest.mark.parametrize(
    "said",
    [
        {"options": {"classes": TEN}},
        {"options": {"classes": [*range(1, 11)]}},
        {"backbones": {"mine": {"model": "test_resnet", "weights": "w.pth", "class_names": TEN}}},
        {"pretraining": {"training": {"epochs": 1}}},
        {"backbones": {"mine": {"model": "test_resnet", "weights": "named"}}},
        {"backbones": {"mine": {"model": "test_resnet", "weights": "ours.safetensors"}}},
    ],
)
def test_who_says_it_is_not_asked(said: dict[str, Any]) -> None:
    photos(TEN)
    Path("named").mkdir()
    Path("named/config.json").write_text('{"architecture": "test_resnet", "labels": ["1", "2"]}')
    save_file(TENSOR, "named/model.safetensors")
    names = '{"architecture": {"classes": ["1", "2"]}}'
    save_file(TENSOR, "ours.safetensors", metadata={"finecal": names})
    write(**said)
    assert load_study("mine.yaml").splits


def test_a_list_of_whole_numbers_has_one_order() -> None:
    rows = [f"{domain}/{name}/{k}.png {name}\n" for domain in ("source", "target") for name in TEN for k in (0, 1)]
    photos(TEN)
    for domain in ("source", "target"):
        Path(f"{domain}.txt").write_text("".join(row for row in rows if row.startswith(domain)))
    write({"source": "source.txt", "target": "target.txt"})
    assert load_study("mine.yaml").data_set("mine").classes() == tuple(TEN)
    for domain in ("source", "target"):
        Path(f"words_{domain}.txt").write_text(Path(f"{domain}.txt").read_text().replace(" ", " no"))
    write({"source": "words_source.txt", "target": "words_target.txt"}, splits={"have": {"kind": "random", "count": 2}})
    assert "they are no1, no10, no2, no3, …" in refused()


def test_the_other_order_is_timm_s() -> None:
    names = ["10", "9", "b2", "B10", "b", "Zebra", "apple", "x1y20", "x1y3", "007", "7a", "é", "img 2", "img 11"]
    assert list(in_natural_order(names)) == sorted(names, key=natural_key)


def test_names_that_a_trainer_has_saved_beside_the_weights() -> None:
    photos(TEN)
    write()
    torch.save({"model": TENSOR, "class_to_idx": {name: row for row, name in enumerate(TEN)}}, "w.pth")
    Plan(["mine.yaml"])
    torch.save({"model": TENSOR, "classes": ["2", "3"]}, "w.pth")  # of S alone
    assert "the head of 'w.pth' has no names" in refused()
    Path("w.pth").write_bytes(b"<html>")
    assert refused() == (
        "mine.yaml: backbones.mine: w.pth: it is a web page. Hint: Download the file itself; on Hugging Face its "
        "address has /resolve/, not /blob/."
    )
