"""The paper's data sets in miniature, with their real archives, names and lists, from a server that fails as they do.

From the download to the report, by the modules as they are but for the addresses and hashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import safetensors.torch
import timm
import torch
import yaml
from conftest import SETTINGS, Project
from miniatures import encoded, tar, zipped
from mirror import Mirror, serve, twice, write_module

from finecal.models.imagenet_classes import class_names, numbers_by_folder

CLASSES = ("Drill", "Exit_Sign", "Bottle", "Glasses")
ORDERS = b"""import torch


# Class order for OfficeHome
OFFICEHOME_SOURCE_AR_CLASSES = torch.tensor(
    [2, 0, 3, 1])
OFFICEHOME_SOURCE_RW_CLASSES = torch.tensor(
    [3, 1, 0, 2])
OFFICEHOME_N_CLASSES = 4


# Class order for ImageNet
IMAGENET_TARGET_R_CLASSES = torch.tensor([883, 341, 9, 245])
IMAGENET_TARGET_S_CLASSES = torch.tensor([653, 312, 0, 999])
IMAGENET_N_CLASSES = 1000


def GET_HARDCODED_CLASSES(dataset, source, target, n_visible_classes, n_invisible_classes):
    return n_visible_classes
"""
TRAINING, TEST = 6, 3  # images of each class


def office_home(domain: str, *, whole: bool = False) -> dict[str, bytes]:
    """The archive and the lists of a domain; `whole` is the publisher's archive."""
    images = {
        f"{domain}/{name}/{number + 1:05}.jpg": encoded(label, number, dark=0.3 * (domain == "Art"))
        for label, name in enumerate(CLASSES)
        for number in range(TRAINING + TEST)
    }
    lists = {"training": "", "testing": ""}
    for place, name in enumerate(images):
        kind = "training" if place % (TRAINING + TEST) < TRAINING else "testing"
        lists[kind] += f"{name} {CLASSES.index(name.split('/')[1])}\n"
    if whole:
        renamed = {f"OfficeHomeDataset_10072016/{k.replace('_World', ' World', 1)}": v for k, v in images.items()}
        archives = {
            "OfficeHomeDataset_10072016.zip": zipped({**renamed, "OfficeHomeDataset_10072016/ImageInfo.csv": b""})
        }
    else:
        archives = {f"{domain}.tgz": tar(images, "gz")}
    return {**archives, **{f"{domain}_{kind}.txt": text.encode() for kind, text in lists.items()}}


def a_project(folder: Path, source: Path, name: str, mirror: Mirror, study: Mapping[str, Any]) -> Project:
    write_module(folder / "miniature", name, mirror)
    base = {
        "extends": f"small/{name}",
        "datasets": {name: {"source": f"miniature/{name}.py", "options": {"size": 32}}},
        "recipes": ["full"],
        "oracle_fine_tuning": False,
        "calibrators": ["none", "alg", "oracle"],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump({**base, **study}))
    (folder / "config.yaml").write_text(yaml.safe_dump({**SETTINGS, "studies": ["study.yaml"]}))
    return Project(folder, source)


def nothing_to_do(project: Project, *arguments: str) -> bool:
    return "Nothing to be done" in project.dry_run("results/report.html", *arguments)


@pytest.mark.slow
def test_office_home_from_the_download_to_the_report(source: Path, tmp_path: Path) -> None:
    files = {**office_home("Art"), **office_home("Clipart"), "HT_HARDCODED.py": ORDERS}
    faults = {
        "first/Art.tgz": ["drop", "silent", "503"],
        "first/Clipart.tgz": ["wrong"],
        "first/Art_training.txt": ["short"],
        "first/Art_testing.txt": ["page"],
        "first/HT_HARDCODED.py": ["404"],
    }
    study = {
        "tasks": {"office_home": ["Ar-Cl"]},
        "splits": {"official": {"kind": "official", "count": 2}},
        "calibrators": ["none", "alg", "pcv", "oracle"],
    }
    with serve(twice(files), faults) as mirror:
        project = a_project(tmp_path, source, "office_home", mirror, study)
        project.snakemake("--cores", "2", "results/report.html")
        asked = [path for path, _ in mirror.asked]
        assert asked.count("first/Art.tgz") == 4
        assert {path for path in asked if path.startswith("second/")} == {
            f"second/{name}" for name in ("Clipart.tgz", "Art_training.txt", "Art_testing.txt", "HT_HARDCODED.py")
        }
        mirror.asked.clear()
        # Neither another mirror nor files that are gone make anything run again.
        assert nothing_to_do(project, "--config", "mirror=/elsewhere")
        project.path("resources").rename(tmp_path / "gone")
        assert nothing_to_do(project)
        assert mirror.asked == []

    images = pq.read_table(project.path("results/office_home/images/Cl.parquet"))
    assert images["file"].to_pylist()[:2] == ["Clipart/Drill/00001.jpg", "Clipart/Drill/00002.jpg"]
    assert images["subset"].to_pylist().count("train") == TRAINING * len(CLASSES)
    split = pq.read_table(project.path("results/office_home/splits/official.parquet")).to_pylist()
    assert [row["name"] for row in split if row["group"] == "fine_tuning"] == ["Drill", "Bottle"]  # 2 and 0 come first
    run = project.path("results/office_home/Ar-Cl/test_resnet/full/official/seed0/metrics.parquet")
    assert "acc_u_y" in pq.read_table(run)["metric"].to_pylist()
    inputs = json.loads(
        pq.read_schema(project.path("results/office_home/splits/official.parquet")).metadata[b"finecal"]
    )
    assert "resources/office_home/HT_HARDCODED.py" in inputs["inputs"]
    assert not project.path("state").exists()


@pytest.mark.slow
def test_the_publishers_archive_by_hand_and_from_a_mirror(source: Path, tmp_path: Path) -> None:
    """Nothing answers: the message says what to fetch and where to put it; then a mirror's folder has it."""
    files = {**office_home("Real_World", whole=True), "HT_HARDCODED.py": ORDERS}
    with serve({}) as mirror:
        study = {
            "datasets": {
                "office_home": {
                    "source": "miniature/office_home.py",
                    "options": {"size": 32, "archives": "publisher"},
                }
            },
            "tasks": {"office_home": ["Rw-Ar"]},
            "splits": {"official": {"kind": "official", "count": 2}},
        }
        project = a_project(tmp_path, source, "office_home", mirror, study)
        said = project.finecal("download", "resources/office_home/OfficeHomeDataset_10072016.zip", status=2)
    assert "Hint: Go to https://www.hemanthdv.org/officeHomeDataset.html, agree to its terms" in said
    assert "and put it there" in said
    assert "Traceback" not in said
    site = tmp_path / "site" / "office_home"
    site.mkdir(parents=True)
    for name, content in files.items():
        (site / name).write_bytes(content)
    project.snakemake("--cores", "2", "results/office_home/images/Rw.parquet", "--config", "mirror=site")
    images = pq.read_table(project.path("results/office_home/images/Rw.parquet"))
    assert images["file"].to_pylist()[0] == "Real_World/Drill/00001.jpg"
    assert len(images) == len(CLASSES) * (TRAINING + TEST)


@pytest.mark.slow
def test_an_archive_that_lacks_listed_images_names_them(source: Path, tmp_path: Path) -> None:
    files = {**office_home("Art"), "HT_HARDCODED.py": ORDERS}
    files["Art_testing.txt"] += b"Art/Drill/99999.jpg 0\n"
    study = {"tasks": {"office_home": ["Ar-Cl"]}, "splits": {"official": {"kind": "official", "count": 2}}}
    with serve(twice(files)) as mirror:
        project = a_project(tmp_path, source, "office_home", mirror, study)
        project.snakemake("--cores", "2", "results/office_home/images/Ar.parquet", status=None)
    log = project.path("logs/prepare/office_home/Ar.log").read_text()
    assert "1 of 37 files cannot be decoded" in log
    assert "Art/Drill/99999.jpg (no such file or directory)" in log
    assert not project.path("results/office_home/images/Ar.parquet").exists()
    assert not project.path("state").exists()


def imagenet(letter: str) -> dict[str, bytes]:
    """The archive and the lists of four of ImageNet's classes, those of `ORDERS`."""
    numbers = [883, 341, 9, 245] if letter == "R" else [653, 312, 0, 999]
    folders = {number: folder for folder, number in numbers_by_folder().items()}
    place, inside, kind = ("imagenet-r", "imagenet-r", "jpg") if letter == "R" else ("imagenet-s", "sketch", "JPEG")
    images, lists = {f"{inside}/README.txt": b"text"}, {"training": "", "testing": ""}
    for label, number in enumerate(numbers):
        for image in range(TRAINING + TEST):
            name = f"{folders[number]}/sketch_{image}.{kind}"
            images[f"{inside}/{name}"] = encoded(label, image)
            lists["training" if image < TRAINING else "testing"] += f"{place}/{name} {number}\n"
    archive = {"imagenet-r.tar": tar(images, "")} if letter == "R" else {"ImageNet-Sketch.zip": zipped(images)}
    return {**archive, **{f"{letter}_{kind}.txt": text.encode() for kind, text in lists.items()}}


HUB = "timm/test_resnet.r160_in1k/resolve/main/model.safetensors"


# The served weights are random.
RANDOM = {"test_resnet.r160_in1k": {"model": "test_resnet.r160_in1k", "at_chance": True}}


@pytest.fixture(scope="module")
def served_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, dict[str, str]]]:
    """A file as the hub has it, a model with a head of ImageNet's 1,000 classes, and the settings for its server."""
    weights = safetensors.torch.save(timm.create_model("test_resnet", num_classes=1000).state_dict())
    with serve({HUB: weights}) as mirror:
        cache = tmp_path_factory.mktemp("hub")
        yield weights, {"HF_ENDPOINT": mirror.address, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
        assert [path for path, _ in mirror.asked].count(HUB) >= 1


@pytest.fixture
def weights(served_weights: tuple[bytes, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What jobs fetch from the hub: the content of the file."""
    content, settings = served_weights
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return content


@pytest.mark.slow
@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(
    ("letter", "name", "task", "archive"),
    [
        ("R", "imagenet_r", "imagenet-r", "imagenet-r.tar"),
        ("S", "imagenet_s", "imagenet-sketch", "ImageNet-Sketch.zip"),
    ],
)
def test_imagenet_from_the_download_to_the_report(
    letter: str, name: str, task: str, archive: str, source: Path, tmp_path: Path
) -> None:
    """The source has no images: its model comes from the hub with its 1,000 classes, all of which compete."""
    files = {**imagenet(letter), "HT_HARDCODED.py": ORDERS}
    study = {"splits": {"official": {"kind": "official", "count": 2}}, "backbones": RANDOM}
    with serve(twice(files), {f"first/{archive}": ["drop", "drop"]}) as mirror:
        project = a_project(tmp_path, source, name, mirror, study)
        project.snakemake("--cores", "2", "results/report.html")
        assert [path for path, _ in mirror.asked].count(f"first/{archive}") == 3
    folder = project.path("results", name)
    split = pq.read_table(folder / "splits" / "official.parquet").to_pylist()
    assert len(split) == 1000
    of_s = [row["class"] for row in split if row["group"] == "fine_tuning"]
    assert of_s == ([341, 883] if letter == "R" else [312, 653])
    run = folder / task / "test_resnet.r160_in1k" / "full" / "official" / "seed0"
    logits = pq.read_table(run / "logits.parquet")
    assert len(logits["logits"][0].as_py()) == 1000
    counted = {
        row["metric"]: row["n"]
        for row in pq.read_table(run / "metrics.parquet").to_pylist()
        if row["classifier"] == "fine_tuned" and row["calibrator"] == "none"
    }
    assert counted["acc_u_y"] == counted["acc_s_y"] == 2 * TEST
    assert not (folder / "images" / "imagenet.parquet").exists()


@pytest.mark.slow
def test_the_present_classes_of_imagenet_r_keep_their_rows_of_the_head(
    weights: bytes, source: Path, tmp_path: Path
) -> None:
    options = {"size": 32, "classes": "present"}
    study = {
        "datasets": {"imagenet_r": {"source": "miniature/imagenet_r.py", "options": options}},
        "splits": {"official": {"kind": "official", "count": 2}},
        "backbones": RANDOM,
    }
    with serve(twice({**imagenet("R"), "HT_HARDCODED.py": ORDERS})) as mirror:
        project = a_project(tmp_path, source, "imagenet_r", mirror, study)
        project.snakemake("--cores", "2", "pretrained", "results/imagenet_r/splits/official.parquet")
    head = pq.read_table(project.path("results/imagenet_r/pretrained/imagenet/test_resnet.r160_in1k/head.parquet"))
    assert head["name"].to_pylist() == [class_names()[number] for number in (9, 245, 341, 883)]
    whole = safetensors.torch.load(weights)
    assert torch.equal(torch.tensor(head["weight"].to_pylist()), whole["fc.weight"][[9, 245, 341, 883]])
    assert torch.equal(torch.tensor(head["bias"].to_pylist()), whole["fc.bias"][[9, 245, 341, 883]])
    split = pq.read_table(project.path("results/imagenet_r/splits/official.parquet")).to_pylist()
    assert [row["group"] for row in split] == ["absent", "absent", "fine_tuning", "fine_tuning"]
