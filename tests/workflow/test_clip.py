"""A zero-shot head from the names of the classes to the exported classifier, by Snakemake; without a download."""

from __future__ import annotations

import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
import torch
from conftest import Project, one_paragraph
from tiny_clip import MODEL, SMALL, write_clip
from torch import nn

from finecal.export.folder import load_exported
from finecal.models.files import load_model

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
RUN = "results/digits/printed-handwritten/clip/full/half0/seed0"
PRETRAINED = "results/digits/pretrained/printed/clip"


@pytest.fixture
def given(project: Project) -> tuple[Project, nn.Module]:
    """A study of the digits whose only model is a tiny CLIP."""
    _, clip = write_clip(project.path("clip"))
    with project.study() as study:
        zero_shot = {"model": "local-dir:clip", "templates": ["the number {}.", "a {}"], "class_names": NAMES}
        use = {"model": MODEL, "options": SMALL, "zero_shot": zero_shot, "at_chance": True}  # its weights are random
        study["backbones"] = {"clip": use}
        study["pretraining"] = {"training": None}
        study["splits"] = {"half0": study["splits"]["half0"]}
        study["oracle_fine_tuning"] = False
        study["calibrators"] = ["none", "alg", "oracle"]
    return project, clip


@pytest.mark.slow
def test_from_names_to_the_exported_classifier(given: tuple[Project, nn.Module]) -> None:
    project, clip = given
    project.snakemake("--cores", "2", f"{RUN}/metrics.parquet")
    pretrained, _ = load_model(project.path(PRETRAINED, "model.safetensors"))
    pixels = torch.randn(4, 1, 32, 32)
    with torch.inference_mode():
        rows = open_clip.build_zero_shot_classifier(
            clip, open_clip.get_tokenizer("ViT-B-32"), NAMES, ["the number {}.", "a {}"]
        )
        wanted = clip.logit_scale.exp() * clip.encode_image(pixels.expand(-1, 3, -1, -1), normalize=True) @ rows  # type: ignore[operator, union-attr]
        torch.testing.assert_close(pretrained.eval()(pixels), wanted, rtol=1e-4, atol=1e-4)
    tuned, description = load_model(project.path(RUN, "model.safetensors"))
    assert not torch.equal(tuned.fc_norm.weight, pretrained.fc_norm.weight)  # type: ignore[union-attr]
    logits = pq.read_table(project.path(RUN, "logits.parquet"))
    assert np.asarray(logits["features"][0].as_py()).shape == (description.projection,)
    # What is made needs CLIP no more, and another CLIP makes another model.
    project.finecal("export", RUN, "--calibrator", "alg", "--no-onnx")
    assert torch.isfinite(load_exported(project.path(RUN, "export/alg"))(pixels)).all()
    write_clip(project.path("other"), seed=1)
    assert project.planned(f"{RUN}/logits.parquet") == {}
    project.path("other/open_clip_model.safetensors").replace(project.path("clip/open_clip_model.safetensors"))
    assert {"pretrain", "finetune"} <= set(project.planned(f"{RUN}/logits.parquet"))


def test_what_is_missing_is_said_before_any_job(given: tuple[Project, nn.Module]) -> None:
    project, _ = given
    project.path("clip/open_clip_model.safetensors").unlink()
    said = "backbones.clip.zero_shot.model: the folder 'clip' has no file of weights"
    one_paragraph(project.dry_run(status=2), said)
    one_paragraph(project.finecal("check", status=2), said)


def test_numbers_are_no_words(given: tuple[Project, nn.Module]) -> None:
    project, _ = given
    with project.study() as study:
        del study["backbones"]["clip"]["zero_shot"]["class_names"]
    one_paragraph(
        project.finecal("pretrain", PRETRAINED, status=2),
        "backbones.clip.zero_shot: the classes of 'digits' have numbers for names, CLIP reads words",
    )
    assert not project.path(PRETRAINED).exists()
