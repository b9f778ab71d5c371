"""`finecal check` opens the user's own checkpoints before any job, and takes from folders what they state."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml

from finecal.cli.program import main
from finecal.errors import UserError
from finecal.models.build import architecture
from finecal.plan.own_weights import check_checkpoints
from finecal.plan.plan import Plan

DIGITS = tuple("0123456789")


def model_of(name: str = "test_resnet", classes: int = 10, channels: int = 1, **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=classes, in_chans=channels, **options)


def folder_of(path: str, *, mean: float = 0.5, names: tuple[str, ...] | None = DIGITS, **options: Any) -> None:
    model = model_of(**options)
    model.pretrained_cfg = {**model.pretrained_cfg, "mean": (mean,), "std": (0.25,)}
    config = {"label_names": list(names)} if names else {}
    timm.models.save_for_hf(model, path, model_config=config, safe_serialization=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.save(model_of().state_dict(), "a.pth")
    torch.save({"model": model_of().state_dict(), "n_averaged": torch.tensor(1)}, "b.th")
    return tmp_path


def study(place: Path, **changes: Any) -> str:
    content = {
        "extends": "digits", "oracle_fine_tuning": False, "calibrators": ["none"], "seeds": [0],
        "backbones": {"mine": {"model": "test_resnet", "weights": "a.pth"}},
        "pretraining": {"weights": "hub", "training": None},
        "recipes": {"elsewhere": {"weights": "b.th"}},
        "splits": {"half0": {"kind": "classes", "fine_tuning": [0, 2, 4, 6, 8]}},
    }  # fmt: skip
    (place / "mine.yaml").write_text(yaml.safe_dump({**content, **changes}))
    return "mine.yaml"


def refused(place: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        list(check_checkpoints(Plan([study(place, **changes)])))
    return str(caught.value)


def test_check_says_what_it_has_opened(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", study(place)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "backbones.mine: a.pth is a test_resnet (its head fits; classes without names)",
        "recipes.elsewhere: b.th is a test_resnet (its head fits; classes without names)",
    ]
    assert lines[-1] == "Nothing was run. The studies are valid."


def test_a_checkpoint_that_does_not_fit_is_refused(place: Path) -> None:
    torch.save(model_of("test_vit").state_dict(), "b.th")
    assert refused(place).startswith("recipes.elsewhere: b.th: the names of its tensors are not those of 'test_resnet'")
    torch.save(model_of(classes=7).state_dict(), "b.th")
    assert refused(place).startswith("recipes.elsewhere: b.th: its head has 7 classes, the data set has 10.")
    torch.save({"epoch": 3}, "a.pth")
    assert refused(place).startswith("backbones.mine: a.pth: no state dict in it, but 'epoch'")


def test_a_head_that_is_trained_need_not_fit(place: Path) -> None:
    torch.save(model_of(classes=7).state_dict(), "a.pth")
    plan = Plan([study(place, pretraining={"weights": "hub"}, recipes=["full"])])
    assert list(check_checkpoints(plan)) == [
        "backbones.mine: a.pth is a test_resnet (the head is trained; classes without names)"
    ]


def test_a_folder_beside_a_plain_model_states_mean_std_and_arguments(place: Path) -> None:
    folder_of("folder", mean=0.1, global_pool="max")
    backbone = {"model": "test_resnet", "options": {}, "image_size": 32}
    plain = architecture(backbone, DIGITS, 1)
    stated = architecture({**backbone, "weights": "folder"}, DIGITS, 1)
    assert (stated.mean, stated.std, stated.options) == ((0.1,), (0.25,), {"global_pool": "max"})
    assert plain.mean != stated.mean
    assert plain.options == {}
    given = architecture({**backbone, "weights": "folder", "options": {"global_pool": "avg"}}, DIGITS, 1)
    assert given.options == {"global_pool": "avg"}


def test_a_folder_of_another_model_is_a_contradiction(place: Path) -> None:
    folder_of("folder")
    mine = {"model": "resnet18", "weights": "folder", "preprocessing": "timm"}
    found = refused(place, backbones={"mine": mine})
    assert found == (
        "backbones.mine: the folder 'folder' has the weights of 'test_resnet', not of 'resnet18'. "
        "Hint: Give `model: test_resnet`."
    )


def test_a_fine_tuned_folder_with_another_mean_is_a_contradiction(place: Path) -> None:
    folder_of("before", mean=0.3)
    folder_of("after", mean=0.4)
    backbones = {"mine": {"model": "local-dir:before"}}
    recipes = {"elsewhere": {"weights": "after"}}
    found = refused(place, backbones=backbones, recipes=recipes, image_size=160)
    assert found.startswith(
        "recipes.elsewhere: 'after' was prepared in another way than the pretrained model. Its conf"
    )
    assert "mean [0.4" in found
    assert "mean [0.3" in found
    # Said by hand, one of them is right.
    by_hand = {"mine": {"model": "local-dir:before", "preprocessing": {"like": "timm"}}}
    assert list(check_checkpoints(Plan([study(place, backbones=by_hand, recipes=recipes, image_size=160)])))


def write_transformers_folder(place: Path, **preprocessing: Any) -> Path:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=192, num_hidden_layers=1, num_attention_heads=3, intermediate_size=768, image_size=32,
        id2label=dict(enumerate(reversed(DIGITS))),
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(place / "folder")
    if preprocessing:
        (place / "folder" / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return place / "folder"


def test_a_folder_of_transformers_states_classes_mean_and_std(place: Path) -> None:
    write_transformers_folder(place, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6])
    backbone = {"model": "vit_tiny_patch16_224", "options": {"depth": 1}, "weights": "folder"}
    described = architecture({**backbone, "image_size": 32}, DIGITS, 3)
    assert (described.mean, described.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    plan = Plan([study(place, backbones={"mine": backbone}, recipes=["full"], image_size=32)])
    assert list(check_checkpoints(plan)) == [
        "backbones.mine: folder is a vit_tiny_patch16_224 (its head fits; 10 named classes)"
    ]


def test_the_size_that_a_folder_of_transformers_states(place: Path) -> None:
    said = {"image_processor_type": "ViTImageProcessor", "size": {"height": 48, "width": 48}}
    write_transformers_folder(place, image_mean=[0.1] * 3, image_std=[0.4] * 3, **said)
    mine = {"model": "vit_tiny_patch16_224", "options": {"depth": 1}, "weights": "folder"}
    assert refused(place, backbones={"mine": mine}, recipes=["full"]).startswith(
        "mine.yaml: backbones.mine: the study's `image_size` is 32, the weights' preprocessor_config.json says 48 × 48."
    )


def test_preprocessing_that_cannot_be_read(place: Path) -> None:
    write_transformers_folder(place, image_mean=[0.1, 0.2, 0.3])
    backbone = {"model": "vit_tiny_patch16_224", "options": {"depth": 1}, "weights": "folder", "image_size": 32}
    with pytest.raises(UserError, match="it does not say `image_mean` and `image_std`"):
        architecture(backbone, DIGITS, 3)


def test_a_head_without_names_may_be_in_the_order_of_the_pretrained_one(place: Path) -> None:
    turned = (*DIGITS[:3], *DIGITS[4:], "3")
    mine = {"model": "test_resnet", "weights": "a.pth", "class_names": list(turned)}
    found = refused(place, backbones={"mine": mine})
    assert found == (
        "recipes.elsewhere: the head of 'b.th' has no names, and its rows can be in two orders. From row 3 on, the "
        "pretrained model ('mine') has '4', '5', '6', '7' and 3 more; the data set has '3', '4', '5', '6' and 3 more. "
        "Hint: Give this checkpoint `class_names`, too: a list or a text file with a name per line."
    )
    recipes = {"elsewhere": {"weights": "b.th", "class_names": list(turned)}}
    assert list(check_checkpoints(Plan([study(place, backbones={"mine": mine}, recipes=recipes)])))
    # The names may stand in the files, too.
    torch.save({"model": model_of().state_dict(), "classes": list(turned)}, "a.pth")
    assert refused(place) == found
    torch.save({"model": model_of().state_dict(), "class_to_idx": {name: i for i, name in enumerate(turned)}}, "b.th")
    assert list(check_checkpoints(Plan([study(place)])))


def test_names_of_more_rows_than_there_are_classes(place: Path) -> None:
    torch.save({"model": model_of(classes=11).state_dict(), "classes": ["none", *DIGITS]}, "b.th")
    assert list(check_checkpoints(Plan([study(place)])))[1:] == [
        "recipes.elsewhere: b.th is a test_resnet (its head fits; 11 named classes)"
    ]


def test_arguments_beside_weights_say_another_preprocessing(place: Path) -> None:
    arguments = argparse.Namespace(model="test_resnet", mean=[0.25, 0.25, 0.25], crop_pct=None, img_size=None)
    torch.save({"state_dict": model_of().state_dict(), "args": arguments}, "b.th")
    found = refused(place)
    assert found.startswith(
        "recipes.elsewhere: these weights were trained with another preprocessing. By the arguments of its training: "
        "the image file, bilinear, crop_mode center, crop_pct 0.95, 32 × 32 pixels, mean [0.25, 0.2"
    )
    assert found.endswith(
        "Hint: Say what is right at `backbones.mine.preprocessing`: parts by hand, or `{like: timm}` for the "
        "backbone's; and at `image_size`."
    )
    for said in ({"mean": [0.25]}, {"like": "timm"}, "stretch"):
        mine = {"model": "test_resnet", "weights": "a.pth", "preprocessing": said}
        assert list(check_checkpoints(Plan([study(place, backbones={"mine": mine})])))
    torch.save({"state_dict": model_of().state_dict(), "args": {"model": "test_resnet", "img_size": 48}}, "b.th")
    assert "48 × 48 pixels" in refused(place)
