"""The size that weights on the hub were trained with, once their configuration is in the cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from finecal.config.load import load_study
from finecal.errors import UserError

SAID = "backbones.mine: the study's `image_size` is 32, the weights' config.json says 96 × 96."


@pytest.mark.parametrize(("model", "changes", "refused"), [
    ("hf-hub:someone/model", {}, True),
    ("hf-hub:someone/model@v2", {}, True),
    ("hf-hub:someone/model", {"preprocessing": "timm"}, False),
    ("hf-hub:someone/other", {}, False),
])  # fmt: skip
def test_of_the_hub(
    model: str, changes: dict[str, str], refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    fetched = tmp_path / "models--someone--model"
    for revision in ("main", "v2"):
        (fetched / "refs").mkdir(parents=True, exist_ok=True)
        (fetched / "refs" / revision).write_text("abc")
    (fetched / "snapshots" / "abc").mkdir(parents=True)
    config = {"architecture": "test_resnet", "pretrained_cfg": {"input_size": [3, 96, 96]}}
    (fetched / "snapshots" / "abc" / "config.json").write_text(json.dumps(config))
    study = {
        "extends": "digits", "backbones": {"mine": {"model": model, **changes}}, "image_size": 32,
        "pretraining": {"weights": "hub", "training": None},
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(study))
    if refused:
        with pytest.raises(UserError) as caught:
            load_study(str(tmp_path / "mine.yaml"))
        assert SAID in str(caught.value)
    else:
        load_study(str(tmp_path / "mine.yaml"))
