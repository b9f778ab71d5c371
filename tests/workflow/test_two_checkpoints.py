"""Two checkpoints made elsewhere and a data set: everything that finecal says, without any training."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
import yaml
from conftest import Project, jobs, one_paragraph

RUN = "results/digits/printed-handwritten/mine/elsewhere/half0/seed0"
TRAINED = "results/digits/printed-handwritten/test_resnet/full/half0/seed0"


@pytest.fixture
def given(project: Project) -> Project:
    """The tiny study's models as plain state dicts, and a study that knows nothing else of them."""
    project.path("models").mkdir()
    for name, origin in (("before", "results/digits/pretrained/printed/test_resnet"), ("after", TRAINED)):
        state = safetensors.torch.load_file(project.path(origin, "model.safetensors"))
        content = {"state_dict": {f"module.{key}": value for key, value in state.items()}}
        torch.save(content, project.path(f"models/{name}.pth"))
    with project.study() as study:
        study["backbones"] = {
            "mine": {"model": "test_resnet", "weights": "models/before.pth", "preprocessing": "stretch"}
        }
        study["pretraining"] = {"training": None}
        study["recipes"] = {"elsewhere": {"weights": "models/after.pth"}}
        study["splits"] = {"half0": study["splits"]["half0"]}
        study["oracle_fine_tuning"] = False
        study["calibrators"] = ["none", "alg", "source_gap", "oracle", "wise_ft"]
    return project


def test_the_diagnosis_is_that_of_the_trained_run(given: Project) -> None:
    """Extraction, calibration, figures and report; the numbers are those of the models' own study."""
    given.snakemake("--cores", "2")
    assert given.path("results/report.html").is_file()
    found, wanted = (pq.read_table(given.path(run, "logits.parquet"), columns=["logits"]) for run in (RUN, TRAINED))
    assert found.equals(wanted)
    metrics = pq.read_table(given.path(RUN, "metrics.parquet")).to_pylist()
    values = {(row["classifier"], row["calibrator"], row["metric"]): row["value"] for row in metrics}
    for row in pq.read_table(given.path(TRAINED, "metrics.parquet")).to_pylist():
        key = (row["classifier"], row["calibrator"], row["metric"])
        assert key not in values or values[key] == row["value"] or row["value"] != row["value"], key
    assert ("fine_tuned", "source_gap", "acc_y_y") in values
    history = pq.read_table(given.path(RUN, "history.parquet")).to_pylist()
    assert [row["epoch"] for row in history] == [0, 1]
    assert history[1]["acc_s_y"] == values["fine_tuned", "none", "acc_s_y"]
    # Another checkpoint under the same name is noticed; both stages take over, none trains.
    state = torch.load(given.path("models/after.pth"), weights_only=True)["state_dict"]
    torch.save({key: value * 1.01 for key, value in state.items()}, given.path("models/after.pth"))
    planned = given.planned(f"{RUN}/logits.parquet")
    assert set(planned) == {"finetune", "extract"}
    state = torch.load(given.path("models/before.pth"), weights_only=True)["state_dict"]
    torch.save({key: value * 1.01 for key, value in state.items()}, given.path("models/before.pth"))
    pretrained = "results/digits/pretrained/printed/mine/model.safetensors"
    assert set(given.planned(pretrained)) == {"pretrain"}


def test_what_is_missing_is_said_before_any_job(given: Project) -> None:
    given.path("models/after.pth").unlink()
    one_paragraph(given.dry_run(status=2), "recipes.elsewhere.weights: there is no file 'models/after.pth'")
    one_paragraph(given.finecal("check", status=2), "recipes.elsewhere.weights: there is no file 'models/after.pth'")


def test_a_checkpoint_of_another_model_leaves_nothing(given: Project) -> None:
    torch.save({"weight": torch.zeros(3)}, given.path("models/before.pth"))
    folder = "results/digits/pretrained/printed/mine"
    one_paragraph(
        given.finecal("pretrain", folder, status=2),
        "models/before.pth: the names of its tensors are not those of 'test_resnet'",
    )
    assert not given.path(folder).exists()
    # Snakemake alone opens it before the first job.
    output = given.snakemake("--cores", "1", status=2)
    one_paragraph(output, "backbones.mine: models/before.pth: the names of its tensors are not those of 'test_resnet'")
    assert "\nrule " not in output
    assert jobs(pretrain=["printed/mine"]).items() <= given.planned(f"{folder}/model.safetensors").items()
    assert yaml.safe_load(given.path("tiny.yaml").read_text())["recipes"]
