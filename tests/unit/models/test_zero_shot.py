"""Zero-shot heads are open_clip's own classifier to float tolerance, or one clear error. No network: CLIPs are tiny."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import yaml
from timm.data import ImageNetInfo
from tiny_clip import CONFIG, MODEL, SMALL, Clip, write_clip
from torch import Tensor, nn

from finecal import paths
from finecal.cli import overview
from finecal.cli.overview import describe_plan
from finecal.errors import UserError, how_to_install
from finecal.export import folder
from finecal.export.folder import load_exported, write_model
from finecal.models import locations
from finecal.models.build import Architecture, architecture, head
from finecal.models.files import load_model, save_model
from finecal.models.imagenet_classes import class_names
from finecal.models.locations import check_open_clip
from finecal.models.prompts import prompt_names
from finecal.models.zero_shot import _check_names, build_classifier
from finecal.orchestration.inputs import Inputs
from finecal.plan.network import list_clips, list_hub_models, needs_network
from finecal.plan.plan import Plan
from finecal.stages.prefetch import prefetch

CLASSES = ("Alarm_Clock", "vase", "cat", "dog")
WITHOUT = f"x: a zero-shot head is made with open_clip, which is not installed. Hint: {how_to_install('clip')}."
TEMPLATES = ("a photo of a {}.", "a sketch of a {}.", "{}")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return write_clip(tmp_path_factory.mktemp("clips") / "tiny")


def a_use(model: str, **changes: Any) -> dict[str, Any]:
    return {"model": model, "pretrained": None, "templates": list(TEMPLATES), "class_names": None, **changes}


def described(channels: int = 3, **changes: Any) -> Architecture:
    backbone = {"model": MODEL, "options": SMALL, "image_size": 32, "learn_head_scale": True, **changes}
    return architecture(backbone, CLASSES, channels)


def images(channels: int = 3) -> Tensor:
    return torch.randn(5, channels, 32, 32, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def by_open_clip(clip: nn.Module, pixels: Tensor, names: list[str]) -> Tensor:
    """Radford et al.'s classifier in open_clip's words: (N, C) logits."""
    weights = open_clip.build_zero_shot_classifier(clip, open_clip.get_tokenizer("ViT-B-32"), names, TEMPLATES)
    found: Tensor = clip.logit_scale.exp() * clip.encode_image(pixels, normalize=True) @ weights  # type: ignore[operator, union-attr]
    return found


@torch.inference_mode()
def logits(model: nn.Module, pixels: Tensor) -> Tensor:
    found: Tensor = model.eval()(pixels)
    return found


# ------------------------------------------------------------------ the classifier


@pytest.mark.parametrize("channels", [3, 1])
def test_logits_are_open_clip_s(clip: Clip, channels: int) -> None:
    """A grey image stands for its three equal channels."""
    model, made = build_classifier(a_use(clip[0]), described(channels), "mine", "x")
    pixels = images(channels)
    wanted = by_open_clip(clip[1], pixels.expand(-1, 3, -1, -1), ["Alarm Clock", "vase", "cat", "dog"])
    torch.testing.assert_close(logits(model, pixels), wanted, rtol=1e-4, atol=1e-4)
    assert wanted.std() > 0.05  # the comparison is not one of constants
    assert (made.head, made.projection) == ("cosine", 24)
    assert made.head_scale == pytest.approx(np.exp(3))
    assert made.mean == ((0.4, 0.5, 0.6) if channels == 3 else (pytest.approx(0.5),))


def test_rows_have_length_one_and_names_may_be_given(clip: Clip) -> None:
    names = ["an alarm", "a vase", "a cat", "a dog"]
    model, _ = build_classifier(a_use(clip[0], class_names=names), described(), "mine", "x")
    torch.testing.assert_close(head(model).weight.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(logits(model, images()), by_open_clip(clip[1], images(), names), rtol=1e-4, atol=1e-4)


def test_what_is_saved_needs_no_clip(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, made = build_classifier(a_use(clip[0]), described(), "mine", "x")
    save_model(tmp_path / "model.safetensors", model, made, provenance={})
    monkeypatch.delattr(open_clip, "create_model")
    loaded, found = load_model(tmp_path / "model.safetensors")
    assert found == made
    assert torch.equal(logits(loaded, images()), logits(model, images()))


def test_the_exported_folder_has_the_projection(clip: Clip, tmp_path: Path) -> None:
    model, made = build_classifier(a_use(clip[0]), described(), "mine", "x")
    wanted = logits(model, images())
    form = {"kind": "affine", "scale": np.ones(4), "shift": np.array([0, 0, 2.0, 2.0])}
    more = {"calibrator": "alg", "reads": [], "fine_tuning": np.array([True, True, False, False])}
    assert not write_model(tmp_path, model, made, {**form, **more}, None)
    assert (tmp_path / folder.WRAPPER).is_file()
    found = logits(load_exported(tmp_path), images())
    torch.testing.assert_close(found, wanted + torch.tensor([0, 0, 2.0, 2.0]), rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------ what cannot be made


def error_of(make: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        make()
    return str(caught.value)


def test_without_the_extra(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert error_of(lambda: check_open_clip("x")) == WITHOUT
    assert error_of(lambda: build_classifier(a_use(clip[0]), described(), "mine", "x")) == WITHOUT


def test_names_that_open_clip_does_not_know() -> None:
    assert error_of(lambda: _check_names("ViT-B32", "openai", "x")).startswith(
        "x.model: unknown CLIP model 'ViT-B32'. Known, closest first: ViT-B-32"
    )
    assert error_of(lambda: _check_names("ViT-B-32-quickgelu", "opena", "x")).startswith(
        "x.pretrained: unknown weights of ViT-B-32-quickgelu 'opena'. Known, closest first: openai"
    )
    _check_names("ViT-B-32-quickgelu", "openai", "x")
    assert error_of(lambda: _check_names("ViT-B-32", "openai", "x")) == (
        "x.pretrained: the weights 'openai' are for a model with QuickGELU, 'ViT-B-32' is none. "
        "Hint: Take the model 'ViT-B-32-quickgelu'."
    )


def test_names_become_words() -> None:
    names = ["Alarm_Clock", "AnnualCrop", "cabin/outdoor", "7", "T-shirt"]
    assert prompt_names(names, None, "mine", "x") == ["Alarm Clock", "Annual Crop", "cabin outdoor", "7", "T-shirt"]


def test_words_stand_for_numbers_of_wordnet() -> None:
    names = ["n01443537", "n02085620-Chihuahua", "crane (n02012849)", "n03126707", "maillot (n03710637)", "dahlia?"]
    words = ["goldfish", "Chihuahua", "crane (bird)", "crane (machine)", "maillot (tights)", "dahlia"]
    assert prompt_names(names, None, "mine", "x") == words
    in_numbers = prompt_names(ImageNetInfo().label_names(), None, "mine", "x")
    assert in_numbers == prompt_names(class_names(), None, "mine", "x")
    assert not [word for word in in_numbers if re.search(r"n\d{8}", word)]
    assert error_of(lambda: prompt_names(["cat", "n99999999"], None, "mine", "x")) == (
        "x: 'n99999999' of 'mine' is a number of WordNet that is not known, CLIP reads words. "
        "Hint: Give the words in the order of the data set: `class_names: [...]`."
    )
    assert error_of(lambda: prompt_names(["Alarm_Clock", "cat", "AlarmClock"], None, "mine", "x")) == (
        "x: 'Alarm_Clock' and 'AlarmClock' of 'mine' are both 'Alarm Clock' in words. Their rows of the head would be "
        "equal. Hint: Give the words in the order of the data set: `class_names: [...]`."
    )


def test_classes_without_words() -> None:
    assert error_of(lambda: prompt_names(["0", "1"], None, "digits", "x")) == (
        "x: the classes of 'digits' have numbers for names, CLIP reads words. "
        "Hint: Give them in the order of the data set: `class_names: [...]`; the first is '0'."
    )
    assert error_of(lambda: prompt_names(["a", "b"], ["a"], "mine", "x")) == (
        "x.class_names: 1 name for the 2 classes of 'mine'. Every class needs one, in the order of the data set."
    )


OTHER_TOWERS: dict[str, dict[str, Any]] = {
    "another activation": {"quick_gelu": True},
    "another depth": {"vision_cfg": {**CONFIG["vision_cfg"], "layers": 3}},
    "another width": {"vision_cfg": {**CONFIG["vision_cfg"], "width": 128}},
    "a residual network": {"vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 64, "patch_size": None}},
}


@pytest.mark.parametrize("case", OTHER_TOWERS)
def test_another_image_tower_than_timm_s(case: str, tmp_path: Path) -> None:
    name, _ = write_clip(tmp_path / "clip", **OTHER_TOWERS[case])
    assert "x: timm's 'vit_base_patch32_clip_224' is not the image tower of" in error_of(
        lambda: build_classifier(a_use(name), described(), "mine", "x")
    )


def test_a_model_without_a_place_for_the_projection(clip: Clip) -> None:
    """Also one of the same size whose head reads something else."""
    other = described(model="test_resnet", options={})
    assert error_of(lambda: build_classifier(a_use(clip[0]), other, "mine", "x")).startswith(
        "backbones: a ResNet has no place for a projection before its head."
    )


def test_another_size_and_files_that_are_no_clip(clip: Clip, tmp_path: Path) -> None:
    assert error_of(lambda: build_classifier(a_use(clip[0]), described(image_size=64), "mine", "x")).endswith(
        "sees 32. Hint: Give the study `image_size: 32`."
    )
    name, _ = write_clip(tmp_path / "biased", init_logit_bias=-10.0)
    assert "have a bias. Such models (SigLIP)" in error_of(
        lambda: build_classifier(a_use(name), described(), "mine", "x")
    )
    (tmp_path / "biased" / "open_clip_model.safetensors").write_bytes(b"nothing")
    assert "could not be loaded (" in error_of(lambda: build_classifier(a_use(name), described(), "mine", "x"))


# ------------------------------------------------------------------ studies


WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def study(folder: Path, zero_shot: dict[str, Any], **backbone: Any) -> str:
    use = {"class_names": WORDS, **zero_shot}
    backbones = {"clip": {"model": MODEL, "options": SMALL, **backbone, "zero_shot": use}}
    changes = {"pretraining": {"training": None}, "oracle_fine_tuning": False, "calibrators": ["none", "alg"]}
    (folder / "mine.yaml").write_text(yaml.safe_dump({"extends": "digits", "backbones": backbones, **changes}))
    return str(folder / "mine.yaml")


STUDY_ERRORS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "weights too": ({"model": "ViT-B-32", "pretrained": "openai"}, {"weights": "a.pth"}, "`weights` has no effect"),
    "a linear head": ({"model": "ViT-B-32", "pretrained": "openai"}, {"head": "linear"}, "`head` has no effect"),
    "no weights": ({"model": "ViT-B-32"}, {}, "'ViT-B-32' needs `pretrained`"),
    "weights of a folder": ({"model": "local-dir:x", "pretrained": "openai"}, {}, "'local-dir:x' has its own weights"),
    "no folder": ({"model": "local-dir:x"}, {}, "zero_shot.model: there is no open_clip_config.json in the folder 'x'"),
    "no place": (
        {"model": "a", "pretrained": "b", "templates": ["a photo"]}, {}, "the template 'a photo' needs one `{}`"
    ),
    "a name twice": (
        {"model": "a", "pretrained": "b", "class_names": ["a", "a"]}, {}, "class_names: the class 'a' is there twice"
    ),
    "too few words": (
        {"model": "a", "pretrained": "b", "class_names": ["a", "b"]}, {}, "class_names: 2 names for the 10 classes of"
    ),
    "numbers for words": (
        {"model": "a", "pretrained": "b", "class_names": None}, {}, "the classes of 'digits' have numbers for names"
    ),
    "a folder of timm's": ({"model": "a", "pretrained": "b"}, {"model": "hf-hub:a/b"}, "has weights of its own"),
}  # fmt: skip


@pytest.mark.parametrize("case", STUDY_ERRORS)
def test_a_mistake_in_a_study(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    zero_shot, backbone, message = STUDY_ERRORS[case]
    found = error_of(lambda: Plan([study(tmp_path, zero_shot, **backbone)]))
    assert message.lower() in found.lower()
    assert found.startswith(f"{tmp_path / 'mine.yaml'}: backbones.clip")


def test_options_say_what_the_head_is_made_from(tmp_path: Path, clip: Clip) -> None:
    (tmp_path / "names.txt").write_text("\n".join(WORDS))
    use = {"model": "ViT-B-32-quickgelu", "pretrained": "openai", "class_names": str(tmp_path / "names.txt")}
    plan = Plan([study(tmp_path, use)])
    backbone = plan.options("pretrain", "digits", "clip")["backbone"]
    wanted = {**use, "templates": ["a photo of a {}."], "class_names": WORDS}
    assert backbone["zero_shot"] == wanted
    assert backbone["head"] == "cosine"
    assert (list_clips(plan), list_hub_models(plan), needs_network(plan)) == ({"clip": wanted}, [], True)
    assert not needs_network(Plan([study(tmp_path, {"model": clip[0]})]))


def test_the_workflow_stops_before_any_job_without_the_extra(
    tmp_path: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who looks at results that are there needs none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locations, "has_open_clip", lambda: False)
    inputs = Inputs(Plan([study(tmp_path, {"model": clip[0]})]))
    place = {"dataset": "digits", "source": "printed", "backbone": "clip"}
    with pytest.raises(SystemExit):
        inputs.of_pretraining(SimpleNamespace(**place))
    assert capsys.readouterr().err == f"finecal: {WITHOUT.replace('x:', 'backbones.clip.zero_shot:', 1)}\n"
    made = Path(paths.PRETRAINED.format(**place), paths.MODEL)
    made.parent.mkdir(parents=True)
    made.touch()
    assert inputs.of_pretraining(SimpleNamespace(**place)) == "results/digits/images/printed.parquet"


def test_prefetch_fetches_clip(tmp_path: Path, clip: Clip) -> None:
    assert f"{clip[0]}: CLIP's weights are there" in prefetch(Plan([study(tmp_path, {"model": clip[0]})]))


def test_the_overview_names_the_extra(tmp_path: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan([study(tmp_path, {"model": clip[0]})])
    assert "Zero-shot heads (clip) need the extra `clip` (installed)." in describe_plan(plan)
    monkeypatch.setattr(overview, "has_open_clip", lambda: False)
    assert f"need the extra `clip` (not installed: {how_to_install('clip')})." in describe_plan(plan)
