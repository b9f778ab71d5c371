"""Images of one's own: folders and lists, what is wrong with them, and what a study may ask of them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from finecal import paths
from finecal.calibration.inputs import read_split
from finecal.data.packed import check_training_samples, read_images
from finecal.datasets import image_folder
from finecal.datasets.image_folder import Options
from finecal.errors import UserError
from finecal.plan.plan import Plan
from finecal.stages.prepare import prepare
from finecal.stages.split import split


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images(folder: str, **counts: int) -> Path:
    """A folder with so many images of each class, all different."""
    for number, (name, count) in enumerate(counts.items()):
        place = Path(folder) / name
        place.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (12, 10), (40 * number, 8 * i, crc32(folder.encode()) % 256)).save(place / f"{i}.png")
    return Path(folder)


def own(**options: Any) -> Options:
    return Options.model_validate({"source": "source", "target": "target", "size": 8, **options})


@pytest.fixture
def both() -> None:
    """A source with three classes and a target with two of them."""
    images("source", cat=10, dog=6, eel=4)
    images("target", dog=5, cat=10)


# ------------------------------------------------------------------ folders


@pytest.mark.usefixtures("both")
def test_folders() -> None:
    listing = image_folder.prepare("target", own())
    assert listing.classes == ("cat", "dog", "eel")
    assert listing.names[:2] == ("cat/0.png", "cat/1.png")
    assert np.bincount(listing.labels, minlength=3).tolist() == [10, 5, 0]
    assert np.bincount(listing.labels[listing.test], minlength=3).tolist() == [3, 2, 0]  # round(0.3 × n)
    assert not listing.complete
    assert image_folder.sampled_classes("target", own()) == ({"cat", "dog"}, {"cat", "dog"})
    again, other = (image_folder.prepare("target", own(seed=seed)).test for seed in (0, 1))
    assert np.array_equal(listing.test, again)
    assert not np.array_equal(listing.test, other)
    assert image_folder.prepare("source", own()).complete


@pytest.mark.usefixtures("both")
def test_test_folders_may_have_absent_classes() -> None:
    images("more", eel=3, cat=1)
    options = own(target_test="more")
    listing = image_folder.prepare("target", options)
    assert listing.labels[~listing.test].tolist() == [0] * 10 + [1] * 5
    assert listing.labels[listing.test].tolist() == [0, 2, 2, 2]
    assert listing.names[0] == "target/cat/0.png"
    assert listing.names[-1] == "more/eel/2.png"
    assert image_folder.sampled_classes("target", options) == ({"cat", "dog"}, {"cat", "eel"})


@pytest.mark.usefixtures("both")
def test_what_lies_around(capfd: pytest.CaptureFixture[str]) -> None:
    """Folders in folders and links are followed, clutter is passed over, other files are told, HEIC is kept."""
    images("target/cat/more", deep=1)
    (Path("target") / "dog" / "linked").symlink_to(Path("source/dog").absolute())
    for name in ("target/cat/notes.txt", "target/cat/.hidden.png", "target/dog/Thumbs.db", "target/README"):
        Path(name).write_text("x")
    for name in ("target/.git", "target/__MACOSX", "target/eel"):
        Path(name).mkdir()
    Path("target/cat/photo.HEIC").write_text("x")
    names = image_folder.prepare("target", own()).names
    assert len(names) == 10 + 5 + 1 + 6 + 1
    assert "cat/more/deep/0.png" in names
    assert "dog/linked/0.png" in names
    assert "cat/photo.HEIC" in names
    said = capfd.readouterr().err
    assert "target: not taken for images by their names: 1 .txt" in said
    assert "target: no image of 'eel'" in said


def test_names_that_a_mac_spells_otherwise() -> None:
    images("source", **{unicodedata.normalize("NFC", "café"): 2, "tea": 2})
    images("target", **{unicodedata.normalize("NFD", "café"): 2})
    assert image_folder.prepare("target", own()).labels.tolist() == [0, 0]


# ------------------------------------------------------------------ lists


@pytest.mark.usefixtures("both")
def test_one_list_for_both_domains() -> None:
    rows = ["file,label,subset,domain"]
    rows += [f"source/{c}/{i}.png,{c},{'test' if i else 'train'},source" for c in ("cat", "dog", "eel") for i in (0, 1)]
    rows += ["target/dog/0.png,dog,train,target", "target/cat/1.png,cat,test,target"]
    Path("all.csv").write_text("\n".join(rows), "utf-8-sig")
    options = own(source="all.csv", target="all.csv")
    assert image_folder.classes(options) == ("cat", "dog", "eel")
    listing = image_folder.prepare("target", options)
    assert listing.names == ("target/dog/0.png", "target/cat/1.png")
    assert listing.test.tolist() == [False, True]
    assert image_folder.sampled_classes("target", options) == ({"dog"}, {"cat"})


@pytest.mark.usefixtures("both")
def test_a_parquet_list_with_numbers_as_labels() -> None:
    files = [f"source/cat/{i}.png" for i in range(4)]
    Path("lists").mkdir()
    table = pa.table({"file": [f"../{f}" for f in files], "label": [7, 7, 10, 10], "x": [1] * 4})
    pq.write_table(table, "lists/a.parquet")
    options = own(source="lists/a.parquet", target="lists/a.parquet", test_fraction=0.5)
    listing = image_folder.prepare("source", options)
    assert listing.classes == ("7", "10")
    assert listing.labels.tolist() == [0, 0, 1, 1]
    assert np.bincount(listing.labels[listing.test]).tolist() == [1, 1]


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("kind", ["csv", "CSV", "parquet", "PARQUET"])
def test_a_list_of_absolute_paths(here: Path, kind: str) -> None:
    """In the study, too: it asks what decides the domain."""
    files = [str(here / f"target/{c}/{i}.png") for c in ("cat", "dog") for i in range(4)]
    Path("lists").mkdir()

    def write(name: str, files: list[str]) -> Path:
        table = {"file": files, "label": ["cat"] * 4 + ["dog"] * 4}
        place = Path("lists") / f"{name}.{kind}"
        if kind.lower() == "csv":
            place.write_text("\n".join(["file,label", *(",".join(row) for row in zip(*table.values(), strict=True))]))
        else:
            pq.write_table(pa.table(table), place)
        return place

    place = write("a", files)
    listing = image_folder.prepare("target", own(target=str(place)))
    assert [str(file) for file in listing.files] == list(listing.names) == files
    before = image_folder.decisive_options("target", own(target=str(place)))
    Path("target").rename("elsewhere")
    moved = write("b", [file.replace("/target/", "/elsewhere/") for file in files])
    assert image_folder.decisive_options("target", own(target=str(moved))) == before
    Path("elsewhere").rename("target")
    Path(files[0]).write_bytes(Path(files[1]).read_bytes())
    assert image_folder.decisive_options("target", own(target=str(place))) != before
    plan = study(**with_options(target=str(place), size=8))
    prepare(plan, "mine", "target")
    assert len(read_images(paths.IMAGES.format(dataset="mine", domain="target")).labels) == 8


# ------------------------------------------------------------------ mistakes


def listed(*rows: str, header: str = "file,label") -> Callable[[], Options]:
    def make() -> Options:
        images("source", cat=2, dog=2)
        Path("t.csv").write_text("\n".join([header, *rows]))
        return own(target="t.csv")

    return make


def folders(of_source: dict[str, int], of_target: dict[str, int], /, **options: Any) -> Callable[[], Options]:
    def make() -> Options:
        images("source", **of_source)
        images("target", **of_target)
        return own(**options)

    return make


def linked_in_a_circle() -> Options:
    images("source", cat=2, dog=2)
    images("target", cat=2)
    (Path("target") / "cat" / "up").symlink_to(Path("target").absolute())
    return own()


def beside_the_folders() -> Options:
    images("source", cat=2, dog=2)
    images("target", cat=2)
    Image.new("L", (4, 4)).save("target/lonely.jpg")
    return own()


def with_file(name: str, content: str) -> Callable[[], Options]:
    def make() -> Options:
        images("source", cat=2, dog=2)
        Path(name).write_text(content)
        return own(target=name)

    return make


def numbered() -> Options:
    images("target", cat=2, dog=2)
    images("files", cat=2, dog=2)
    rows = [f"files/{name}/{file}.png,{number}" for number, name in enumerate(("cat", "dog")) for file in range(2)]
    Path("s.csv").write_text("\n".join(["file,label", *rows]))
    return own(source="s.csv")


FULL = {"cat": 2, "dog": 2}
MISTAKES: dict[str, tuple[Callable[[], Options], str]] = {
    "missing folder": (lambda: (images("source", **FULL), own())[1], "target ({here}/target): there is no such folder"),
    "a file": (folders(FULL, FULL, target="source/cat/0.png"), "this is a file, and neither a folder nor a list."),
    "an archive": (with_file("t.zip", "PK"), "or a list (.csv, .parquet, .txt). Hint: Unpack it, and give the folder."),
    "another table": (with_file("t.tsv", "x"), "Hint: Write it as .csv with the columns `file` and `label`."),
    "empty folder": (
        lambda: (images("source", **FULL), Path("target").mkdir(), own())[2],
        "target ({here}/target): this folder is empty. It needs a folder with images for every class.",
    ),
    "no image": (folders(FULL, {"cat": 0, "dog": 0}), "target ({here}/target): there is no image in its folders."),
    "an image without a class": (beside_the_folders, "'lonely.jpg' is beside the folders of the classes."),
    "a circle of links": (linked_in_a_circle, "this folder has a link to a folder above it."),
    "unknown class": (
        folders(FULL, {"cat": 2, "dgo": 2}),
        "target: 'dgo' (closest: 'dog') is not among the source's classes. Classes are matched by name.",
    ),
    "numbers for names": (
        numbered,
        "Hint: The source calls its classes by numbers: `classes` says which names 0, 1, …",
    ),
    "the folder above": (
        folders(FULL, {"train": 2, "test": 2}),
        "target ({here}/target): 'train' and 'test' are parts of a data set and no classes. This option is a folder "
        "with a folder of images for each class. Hint: Say `target: target/train`, `target_test: target/test`; where "
        "they are classes, name all in `classes`.",
    ),
    "one image": (
        folders(FULL, {"cat": 1, "dog": 2}),
        "target: 'cat' has a single image. A part of each class is kept for testing, so each class needs at least two.",
    ),
    "source without a class's images": (
        folders({"cat": 2, "dog": 0}, FULL),
        "source: 'dog' has no image. The source has all classes, and the folder of this one is empty or has other "
        "files.",
    ),
    "one class": (folders({"cat": 2}, {"cat": 2}), "source: there is only the class 'cat'. At least two are needed."),
    "source test without a class": (folders(FULL, FULL, source_test="target/.."), "are not among the source's classes"),
    "the same for both": (
        folders(FULL, FULL, target_test="./target"),
        "target_test: training and test images are the same",
    ),
    "classes not given": (folders(FULL, FULL, source=None), "classes: without `source`, the classes must be given."),
    "a class twice": (folders(FULL, FULL, source=None, classes=["a", "b", "a"]), "classes: 'a' is given twice."),
    "no file of classes": (
        folders(FULL, FULL, source=None, classes="c.txt"),
        "classes (c.txt): this file cannot be read",
    ),
    "a class that is not given": (
        folders(FULL, FULL, classes=["cat", "cow"]),
        "source: 'dog' (closest: 'cow') is not among `classes`.",
    ),
    "a list without labels": (listed("a.png", header="file"), "the column 'label' is missing. It has file."),
    "a list without header": (
        listed(header="a.png,cat"),
        "It has a.png, cat. Hint: The first line says `file,label`, with commas and without",
    ),
    "a division under another name": (
        listed("a.png,cat,Training", header="file,label,split"),
        "the column 'split' divides the images, and is not read. Hint: Call it `subset`",
    ),
    "an empty list": (listed(), "target ({here}/t.csv): no row belongs to the domain 'target'."),
    "listed twice": (
        listed("a.png,cat", "b.png,cat", "a.png,dog"),
        "'{here}/a.png' is listed twice. It is in row 1, too.",
    ),
    "an empty label": (listed("a.png,"), "row 1): the label is empty."),
    "a comma too many": (listed("a.png,cat,9"), "line 2): a row has more values than there are columns."),
    "unknown subset": (
        listed("a.png,cat,val", header="file,label,subset"),
        "unknown subset 'val'. Known, closest first: ",
    ),
    "unknown domain": (listed("a.png,cat,me", header="file,label,domain"), "unknown domain 'me'"),
    "unknown label in a list": (listed("a.png,dgo", "b.png,dgo"), "'dgo' (closest: 'dog') is not among the source's"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found_before_any_job(here: Path, mistake: str) -> None:
    make, message = MISTAKES[mistake]
    options = make()
    with pytest.raises(UserError) as caught:
        image_folder.check(options)
    assert message.format(here=here) in str(caught.value)


def test_empty_files_are_named_before_any_job(here: Path) -> None:
    images("source", cat=2, dog=2)
    images("target", cat=2, dog=2)
    Path("target/cat/1.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"1 file is empty: 'target/cat/1.png'"):
        image_folder.prepare("target", own())


def test_remarks_in_a_text_list(here: Path) -> None:
    images("source", cat=2, dog=2)
    images("target", cat=2, dog=2)
    rows = [f"target/{name}/{file}.png {name}" for name in ("cat", "dog") for file in range(2)]
    Path("t.txt").write_text("\n".join(["# of the shop", "", *rows]))
    image_folder.check(own(target="t.txt"))


@pytest.mark.usefixtures("both")
def test_a_file_for_training_and_testing() -> None:
    Path("t.csv").write_text("file,label\ntarget/cat/0.png,cat\n")
    Path("u.csv").write_text("file,label\ntarget/cat/0.png,cat\n")
    said = "(training image of 'cat', row 1) and 'target/cat/0.png' (test image of 'cat', row 1) are the same file"
    with pytest.raises(UserError, match=re.escape(said)):
        image_folder.prepare("target", own(target="t.csv", target_test="u.csv"))


# ------------------------------------------------------------------ what makes a domain out of date


def decided(**options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    source, target = (image_folder.decisive_options(domain, own(**options)) for domain in ("source", "target"))
    return source, target


@pytest.mark.usefixtures("both")
def test_what_decides_a_domain() -> None:
    before = decided()
    assert before == decided()
    images("test", eel=2)
    assert decided(target_test="test")[0] == before[0]
    found = [before[1], decided(target_test="test")[1]]
    file = Path("target/cat/0.png")
    file.rename("target/cat/zero.png")
    found.append(decided()[1])
    file.write_bytes(Path("target/cat/zero.png").read_bytes())
    Path("target/cat/zero.png").unlink()
    assert decided() == before
    file.write_bytes(Path("target/cat/1.png").read_bytes())
    found.append(decided()[1])
    file.unlink()
    found.append(decided()[1])
    assert [one for i, one in enumerate(found) if one in found[:i]] == []
    assert decided()[0] == before[0]


@pytest.mark.usefixtures("both")
def test_places_and_times_decide_nothing(here: Path) -> None:
    images("test", eel=2)
    for options in ({}, {"target_test": "test"}):
        before = decided(**options)
        os.utime("target/cat/0.png", ns=(1, 1))
        assert decided(**options) == before
        Path("target").rename("moved")
        Path("elsewhere").mkdir()
        Path("test").rename("elsewhere/held out")
        moved = dict.fromkeys(options, "elsewhere/held out")
        assert decided(**moved, target=str(here / "moved")) == before
        Path("elsewhere/held out").rename("test")
        Path("elsewhere").rmdir()
        Path("moved").rename("target")


@pytest.mark.usefixtures("both")
def test_what_decides_a_list() -> None:
    """Its rows in their order, which divides them into training and test; not its bytes."""
    rows = [f"target/{name}/{i}.png,{name}" for name in ("cat", "dog") for i in range(3)]
    found = []
    for header, content in (
        ("file,label", rows),
        ("file,label,size", [f"{row},9" for row in rows]),
        ("file,label", rows[::-1]),
        ("file,label", [rows[0].replace(",cat", ",dog"), *rows[1:]]),
        ("file,label,subset", [f"{row},train" for row in rows]),
    ):
        Path(f"{len(found)}.csv").write_text("\n".join([header, *content]))
        found.append(decided(target=f"{len(found)}.csv")[1])
    assert found[0] == found[1]
    assert [one for i, one in enumerate(found) if one in found[:i]] == [found[1]]


@pytest.mark.usefixtures("both")
def test_a_file_that_cannot_be_read_is_left_to_the_job() -> None:
    before = decided()[1]
    file = Path("target/cat/0.png")
    file.unlink()
    file.symlink_to("nowhere")
    assert decided()[1] != before
    with pytest.raises(UserError, match=r"0\.png"):
        prepare(study(), "mine", "target")


# ------------------------------------------------------------------ in a study


def with_options(**options: Any) -> dict[str, Any]:
    folders = {"source": "source", "target": "target"}
    return {"datasets": {"mine": {"source": "image_folder", "options": {**folders, **options}}}}


def study(**changes: Any) -> Plan:
    content = {
        "extends": "digits",
        **with_options(size=8),
        "image_size": 8,
        "tasks": {"mine": ["source-target"]},
        "splits": {"have": {"kind": "present"}},
        "oracle_fine_tuning": False,
        "calibrators": ["none", "alg"],
    }
    Path("mine.yaml").write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
    return Plan(["mine.yaml"])


@pytest.mark.usefixtures("both")
def test_the_classes_that_the_target_has() -> None:
    plan = study()
    assert plan.options("split", "mine", "have") == {"kind": "present", "target": "target"}
    prepare(plan, "mine", "target")
    split(plan, "mine", "have")
    fine_tuning, names = read_split(paths.SPLIT.format(dataset="mine", split="have"))
    assert dict(zip(names, fine_tuning.tolist(), strict=True)) == {"cat": True, "dog": True, "eel": False}
    packed = read_images(paths.IMAGES.format(dataset="mine", domain="target"))
    assert packed.pixels[0, ..., :2].tolist() == [[[40, 0]] * 8] * 8  # cat is the second there
    check_training_samples(packed, np.ones(3, bool), "here")  # the upper bound: there is no eel at all
    with pytest.raises(UserError, match="the fine-tuning class 'eel' has no training sample"):
        check_training_samples(packed, np.array([False, True, True]), "here")


def validating() -> dict[str, Any]:
    content = with_options()
    content["datasets"]["mine"]["validation_fraction"] = 0.2
    return content


# id: (changes of the study, part of the message)
STUDY_MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "oracle fine-tuning": (
        {"oracle_fine_tuning": True},
        "oracle_fine_tuning: the domain 'target' has no training sample of 'eel'. "
        "This upper bound trains on all classes. Hint: Say `oracle_fine_tuning: false`.",
    ),
    "γ*": (
        {"calibrators": ["none", "oracle"]},
        "calibrators.oracle: oracle reads the labels of test samples of absent "
        "classes, the domain 'target' has none. Hint: Leave it out, or give test images of absent classes.",
    ),
    "a calibrator that validates": (
        {"calibrators": ["none", "calibrated_stacking"], **validating()},
        "calibrators.calibrated_stacking: calibrated_stacking reads the labels of validation samples of absent classes",
    ),
    "a random split": (
        {"splits": {"half": {"kind": "random", "count": 1}}},
        "splits.half: the domain 'target' has no training sample of 'eel'. "
        "Hint: `kind: present` takes the classes that it has.",
    ),
    "a class that the target lacks": (
        {"splits": {"named": {"kind": "classes", "fine_tuning": ["cat", "eel"]}}},
        "splits.named: the domain 'target' has no training sample of 'eel'.",
    ),
    "nothing absent": (
        with_options(target="source"),
        "splits.have: the target domain of 'mine' has all classes.",
    ),
    "a folder that is missing": (
        with_options(target="nowhere"),
        "datasets.mine.options.target (",
    ),
    "training without a source": (
        with_options(source=None, classes=["cat", "dog", "eel"]),
        "pretraining: the source 'source' of 'mine' has no images to train on.",
    ),
    "another target": (
        {"splits": {"have": {"kind": "present", "target": "moon"}}},
        "splits.have: unknown target 'moon'.",
    ),
}


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("mistake", STUDY_MISTAKES)
def test_a_study_that_asks_for_too_much(mistake: str) -> None:
    changes, message = STUDY_MISTAKES[mistake]
    with pytest.raises(UserError) as caught:
        study(**changes)
    assert message in str(caught.value)


@pytest.mark.usefixtures("both")
def test_what_a_test_folder_makes_possible() -> None:
    images("more", eel=2, cat=2)
    study(**with_options(target_test="more"), calibrators=["none", "oracle"])


@pytest.mark.usefixtures("both")
def test_a_source_without_images() -> None:
    options = with_options(source=None, classes=["eel", "dog", "cat"])
    plan = study(**options, pretraining={"weights": "hub", "training": None})
    assert plan.domains() == (("mine", "target"),)
    assert plan.first_domain("mine") == "target"
    assert plan.images_of_source("mine", "source", "test_resnet") == "results/mine/images/target.parquet"
    assert image_folder.classes(Options.model_validate(options["datasets"]["mine"]["options"])) == ("eel", "dog", "cat")


@pytest.mark.usefixtures("both")
def test_the_pretrained_model_of_a_source_without_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken as it is; the images of the target say what the classes are."""
    from finecal.models.build import build
    from finecal.stages import Settings
    from finecal.stages import pretrain as stage

    # What the hub would give: a model with these three classes.
    monkeypatch.setattr(stage, "build", lambda description, weights: build(description, weights="random"))
    monkeypatch.setattr(stage, "head_classes", lambda model: 3)
    options = with_options(source=None, classes=["eel", "dog", "cat"], size=32)
    plan = study(**options, image_size=32, pretraining={"weights": "hub", "training": None})
    prepare(plan, "mine", "target")
    stage.pretrain(plan, "mine", "source", "test_resnet", Settings())
    head = pq.read_table("results/mine/pretrained/source/test_resnet/head.parquet").to_pydict()
    assert head["name"] == ["eel", "dog", "cat"]
    assert len(head["weight"]) == 3
