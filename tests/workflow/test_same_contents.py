"""What has the same bytes is the same, wherever it lies and whenever it was written; other bytes are noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Project, _once, _write_study
from test_own_images import own_study

IMAGES = "results/mine/images/{}.parquet"
PRETRAINED = "results/digits/pretrained/printed/mine/model.safetensors"
RUN = "results/digits/printed-handwritten/mine/elsewhere/half0/seed0"


@pytest.fixture(scope="session")
def finished_once(shared: Path, source: Path) -> Project:
    """A study of images in folders with all its results. Never changed: see `finished`."""

    def make(place: Path) -> None:
        _write_study(place)
        project = Project(place, source)
        own_study(project)
        project.snakemake("--cores", "2")

    return Project(_once(shared / "finished", make), source)


@pytest.fixture
def finished(finished_once: Project, tmp_path: Path) -> Project:
    """`cp -r`: every file is new, in the order in which it was copied."""
    subprocess.run(["cp", "-r", str(finished_once.folder), str(tmp_path / "copy")], check=True)
    return replace(finished_once, folder=tmp_path / "copy")


def test_a_copy_of_a_finished_study_is_finished(finished: Project) -> None:
    assert finished.planned() == {}
    # However the times of inputs and outputs are in order.
    for file in sorted(finished.path("results").rglob("*.parquet"), key=lambda file: "tables" not in file.parts):
        os.utime(file)  # tables first, so that all that they were made from is newer
    os.utime(finished.path(IMAGES.format("target")))
    assert finished.planned() == {}


def test_moved_images_are_the_same(finished: Project, tmp_path: Path) -> None:
    shutil.move(finished.path("handwritten"), tmp_path / "elsewhere")
    finished.path("printed").rename(finished.path("sharp"))
    with finished.study() as study:
        options = study["datasets"]["mine"]["options"]
        options.update(source="sharp", target=str(tmp_path / "elsewhere"))
    assert finished.planned() == {}


def test_changed_bytes_are_noticed(finished: Project) -> None:
    """Also of the same size, with the time of before."""
    changed, other = (finished.path(f"handwritten/3/{i}.png") for i in (0, 1))
    before = changed.stat()
    content = other.read_bytes()
    changed.write_bytes(content[: before.st_size].ljust(before.st_size, b"\0"))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    planned = finished.planned()
    assert planned["prepare"] == {IMAGES.format("target")}
    assert {"finetune", "extract", "evaluate"} <= planned.keys()
    assert "pretrain" not in planned


@pytest.fixture
def taken_over(project: Project) -> Project:
    """Two checkpoints made elsewhere, and the models that they have become."""
    project.path("models").mkdir()
    trained = "results/digits/printed-handwritten/test_resnet/full/half0/seed0"
    for name, origin in (("before", "results/digits/pretrained/printed/test_resnet"), ("half0_0", trained)):
        shutil.copyfile(project.path(origin, "model.safetensors"), project.path(f"models/{name}.safetensors"))
    with project.study() as study:
        study["backbones"] = {"mine": {"model": "test_resnet", "weights": "models/before.safetensors"}}
        study["pretraining"] = {"training": None}
        study["recipes"] = {"elsewhere": {"weights": "models/{split}_{seed}.safetensors"}}
        study["splits"] = {"half0": study["splits"]["half0"]}
        study["oracle_fine_tuning"] = False
        study["calibrators"] = ["none", "alg", "source_gap"]
    project.snakemake("--cores", "2", f"{RUN}/model.safetensors")
    return project


def test_checkpoints_are_their_bytes(taken_over: Project) -> None:
    target = f"{RUN}/model.safetensors"
    assert taken_over.planned(target) == {}
    for file in taken_over.path("models").iterdir():
        os.utime(file)
    assert taken_over.planned(target) == {}
    taken_over.path("models").rename(taken_over.path("weights"))
    with taken_over.study() as study:
        study["backbones"]["mine"]["weights"] = "weights/before.safetensors"
        study["recipes"]["elsewhere"]["weights"] = "weights/{split}_{seed}.safetensors"
    assert taken_over.planned(target) == {}
    # Another checkpoint of the same size under the same name.
    run, pretrained = (taken_over.path(f"weights/{name}.safetensors") for name in ("half0_0", "before"))
    size = run.stat().st_size
    _change_last_number(run)
    assert run.stat().st_size == size
    finetune = {"finetune": {f"{RUN}/{name}" for name in ("model.safetensors", "head.parquet", "history.parquet")}}
    assert taken_over.planned(target) == finetune
    _change_last_number(pretrained)
    assert set(taken_over.planned(target)) == {"pretrain", "finetune"}
    assert taken_over.planned(PRETRAINED).keys() == {"pretrain"}


def _change_last_number(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
