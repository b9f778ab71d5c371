"""Images in a folder of one's own through the whole pipeline: without test images of U, with a bad file, changed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from conftest import Project, one_paragraph
from PIL import Image

from finecal.datasets import digits
from finecal.figures import NO_ABSENT as NOTHING_TO_SHOW


def save(domain: str, folder: Path, digits_kept: range, most: int) -> None:
    images = digits.prepare(domain, digits.Options(per_class=most))
    for digit in digits_kept:
        place = folder / str(digit)
        place.mkdir(parents=True)
        for number, picture in enumerate(images.pixels[images.labels == digit][:most]):
            Image.fromarray(picture[..., 0]).save(place / f"{number}.png")


def own_study(project: Project) -> None:
    """Ten printed digits, and the first four handwritten."""
    save("printed", project.path("printed"), range(10), 20)
    save("handwritten", project.path("handwritten"), range(4), 30)
    with project.study() as study:
        options = {"source": "printed", "target": "handwritten", "size": 32}
        study["datasets"] = {"mine": {"source": "image_folder", "options": options}}
        study["tasks"] = {"mine": ["source-target"]}
        study["splits"] = {"have": {"kind": "present"}}
        study["oracle_fine_tuning"] = False
        study["calibrators"] = ["none", "alg", "source_gap"]


@pytest.fixture
def own(empty: Project) -> Project:
    own_study(empty)
    return empty


def test_which_jobs_a_changed_image_makes_necessary(own: Project) -> None:
    images = ["results/mine/images/source.parquet", "results/mine/images/target.parquet"]
    own.snakemake("--cores", "2", *images)
    assert own.planned(*images) == {}
    changed = own.path("handwritten/3/0.png")
    changed.write_bytes(own.path("handwritten/3/1.png").read_bytes())
    assert own.planned(*images) == {"prepare": {images[1]}}
    own.path("printed/9/0.png").unlink()
    assert own.planned(*images) == {"prepare": set(images)}


def test_a_bad_file_is_named_and_nothing_is_written(own: Project) -> None:
    own.path("handwritten/2/3.png").write_bytes(b"no image")
    own.path("handwritten/3/1.png").write_bytes(own.path("handwritten/3/2.png").read_bytes()[:-30])
    target = "results/mine/images/target.parquet"
    said = own.finecal("prepare", target, status=2)
    one_paragraph(
        said, "2 of 120 files cannot be decoded: ", "handwritten/2/3.png (",
        "handwritten/3/1.png (",
    )  # fmt: skip
    assert not own.path(target).exists()


def test_an_image_of_two_classes_is_found_before_any_job(own: Project) -> None:
    own.path("handwritten/2/copy.png").write_bytes(own.path("handwritten/3/1.png").read_bytes())
    said = own.snakemake("--cores", "1", "results/mine/images/target.parquet", status=None)
    assert "'handwritten/3/1.png' (" in said
    assert "have the same bytes" in said
    assert not own.path("results").exists() or not list(own.path("results").rglob("*.parquet"))


@pytest.mark.slow
def test_without_test_images_of_absent_classes(own: Project) -> None:
    """What is not known is empty, and the figure says why."""
    own.snakemake("--cores", "2", "table1", "figure2")
    metrics = pd.read_parquet(own.path("results/tables/metrics.parquet"))
    known = metrics[metrics["value"].notna()]
    assert set(known["metric"]) == {"acc_s_y", "acc_s_s", "macro_acc_s_y", "macro_acc_s_s"}
    assert set(metrics[metrics["value"].isna()]["n"]) == {0}
    assert pd.read_parquet(own.path("results/figures/curve.parquet"))["note"].tolist() == [NOTHING_TO_SHOW]
    split = pd.read_parquet(own.path("results/mine/splits/have.parquet"))
    assert split[split["group"] == "fine_tuning"]["name"].tolist() == list("0123")
