"""The rule and the verb that export a run's classifier."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import timm
import torch
from conftest import RUNS, Project, one_paragraph
from PIL import Image

from finecal.data.packed import read_images
from finecal.schemas import CHECK

RUN = f"{RUNS}/half0/seed0"


@pytest.mark.slow
def test_the_exported_model_is_the_calibrated_one(project: Project) -> None:
    card = f"{RUN}/export/alg/README.md"
    assert set(project.planned(card)) == {"export"}
    project.snakemake("--cores", "1", card)
    assert project.planned(card) == {}
    folder = project.path(RUN, "export/alg")
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    logits = np.stack(pq.read_table(project.path(RUN, "logits.parquet"))["logits"].to_numpy())
    groups = pq.read_table(project.path("results/digits/splits/half0.parquet"))["group"].to_numpy()
    rows = pq.read_table(project.path(RUN, "calibration.parquet")).to_pylist()
    gamma = next(row["value"] for row in rows if row["calibrator"] == "alg" and row["parameter"] == "gamma")
    images = read_images(project.path("results/digits/images/handwritten.parquet")).pixels[:40]
    scaled = [Image.fromarray(image[..., 0]).resize((32, 32), Image.Resampling.BILINEAR) for image in images]
    prepared = torch.from_numpy(np.stack([np.asarray(image) for image in scaled])).float()[:, None] / 255
    config = model.pretrained_cfg
    with torch.inference_mode():
        found = model((prepared - config["mean"][0]) / config["std"][0]).numpy()
    np.testing.assert_allclose(found, logits[:40] + np.where(groups == "absent", gamma, 0), atol=1e-3)
    assert pq.read_schema(folder / "check.parquet") == CHECK
    checks = {row["compared"]: row for row in pq.read_table(folder / "check.parquet").to_pylist()}
    assert set(checks) == {"folder", "onnx", "timm_transform", "files", "files_onnx"}
    assert checks["onnx"]["same_prediction"] == 1.0
    text = (folder / "README.md").read_text()
    assert f"γ = {gamma:.4f}" in text
    assert "the training data of the fine-tuning classes" in text

    # The same by hand, to another place; never over something else, and not what saw the test labels.
    said = project.finecal("export", RUN, "--calibrator", "ncm", "--out", "mine", "--no-onnx")
    assert "Written: mine" in said
    assert project.path("mine/calibrated.py").is_file()
    project.path("other").mkdir()
    project.path("other/file").touch()
    wrong = project.finecal("export", RUN, "--calibrator", "alg", "--out", "other", status=2)
    one_paragraph(wrong, "other: there is something else under this name")
    wrong = project.finecal("export", RUN, "--calibrator", "oracle", status=2)
    one_paragraph(wrong, "'oracle' is fitted on the labels of the test samples", "--force")
    assert not project.path(RUN, "export/oracle").exists()


def test_what_can_be_asked_for(project: Project) -> None:
    planned = project.planned("exported")
    assert f"{RUN}/export/alg/README.md" in planned["export"]
    one_paragraph(project.dry_run(f"{RUN}/export/algg/README.md", status=None), "unknown calibrator 'algg'")


def test_a_calibrator_that_came_into_the_study_later(project: Project) -> None:
    with project.study() as study:
        study["calibrators"].append("bic")
    wrong = project.finecal("export", RUN, "--calibrator", "bic", "--no-onnx", status=2)
    one_paragraph(
        wrong, f"{RUN}/calibration.parquet: 'bic' is not fitted yet", f"Hint: snakemake {RUN}/calibration.parquet fits"
    )
    assert not project.path(RUN, "export/bic").exists()
