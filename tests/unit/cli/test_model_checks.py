"""`finecal check` looks at the layers of each model: nothing runs before the mistake is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from finecal.cli.model_checks import _check_known_size
from finecal.cli.program import main
from finecal.config.load import load_study
from finecal.errors import UserError

STUDY = """
extends: digits
backbones: {{mine: {{model: {model}, options: {options}}}}}
recipes: [{recipe}]
"""


def said(capsys: pytest.CaptureFixture[str], model: str, recipe: str = "full", options: str = "{}") -> str:
    Path("study.yaml").write_text(STUDY.format(model=model, recipe=recipe, options=options))
    try:
        main(["check", "study.yaml"])
    except SystemExit:
        return capsys.readouterr().err
    return capsys.readouterr().out.splitlines()[-1]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("model", "recipe", "options", "message"),
    [
        ("volo_d1_224", "full", "{}", "backbones.mine: the logits of 'volo_d1_224' are not those of its head"),
        ("resnet18", "full", "{depth: 3}", "backbones.mine: timm cannot create 'resnet18' with {'depth': 3}"),
        ("inception_v3", "full", "{}", "backbones.mine: 'inception_v3' cannot compute images of 32 × 32 pixels"),
        ("dm_nfnet_f0", "norm_tuning", "{}", "recipes.norm_tuning: the backbone has no normalisation layer with "),
        ("test_vit", "frozen_bn", "{}", "recipes.frozen_bn: the backbone has no batch normalisation (mine)."),
        ("test_resnet", "dropout", "{drop_rate: 0.5}", "recipes.dropout: the backbone has dropout already (drop_rate"),
    ],
)
def test_a_model_that_does_not_suit(
    model: str, recipe: str, options: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, model, recipe, options).startswith(f"finecal: {message}")


@pytest.mark.parametrize(
    ("model", "recipe", "options"),
    [
        ("volo_d1_224", "full", "{use_aux_head: false}"),
        ("levit_128s", "linear_probe", "{}"),
        ("test_vit", "norm_tuning", "{}"),
        ("test_resnet", "frozen_bn", "{drop_rate: 0.5}"),
        ("hf-hub:timm/nothing_is_fetched", "frozen_bn", "{}"),
    ],
)
def test_a_model_that_suits(model: str, recipe: str, options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, model, recipe, options) == "Nothing was run. The studies are valid."


TAGGED = "hf-hub:timm/test_resnet.r160_in1k"
AS_THEY_ARE = {"weights": "hub", "training": None}


@pytest.mark.parametrize(("image_size", "backbone", "refused"), [
    (64, {"model": TAGGED}, True),
    (64, {"model": f"{TAGGED}@main"}, True),
    (160, {"model": TAGGED}, False),
    (64, {"model": TAGGED, "preprocessing": "timm"}, False),
    (64, {"model": "hf-hub:timm/not_of_this_timm.mine"}, False),
    (64, {"model": "hf-hub:someone/test_resnet.r160_in1k"}, False),
    (64, {"model": "test_resnet.r160_in1k"}, False),  # shown stored squares, as the paper's
])  # fmt: skip
def test_the_size_that_timm_knows_of_weights_on_the_hub(
    image_size: int, backbone: dict[str, str], refused: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "nothing"))
    changes = {"backbones": {"mine": backbone}, "image_size": image_size, "pretraining": AS_THEY_ARE}
    Path("study.yaml").write_text(yaml.safe_dump({"extends": "digits", **changes}))
    found = load_study("study.yaml")
    if not refused:
        _check_known_size(found, "mine")
        return
    with pytest.raises(UserError) as caught:
        _check_known_size(found, "mine")
    assert str(caught.value) == (
        "backbones.mine: the study's `image_size` is 64, timm says of 'test_resnet.r160_in1k' 160 × 160. "
        "Hint: Say `image_size: 160`, or, if it is to be so, `preprocessing: timm` for this backbone."
    )
