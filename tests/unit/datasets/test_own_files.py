"""Files of one's own images: what is passed over, recognised, missing, there twice, or called by no text."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from finecal.cli.overview import describe_plan
from finecal.config.load import load_study
from finecal.datasets import image_folder
from finecal.datasets._image_clutter import describe_clutter
from finecal.datasets.image_folder import Options
from finecal.errors import UserError
from finecal.plan.plan import Plan


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: str, *names: str, images: int = 3) -> Path:
    """A folder with so many files of each class; nothing here decodes them, so they are their own names."""
    for name in names:
        Path(folder, name).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            Path(folder, name, f"{number}.png").write_text(f"{folder}/{name}/{number}")
    return Path(folder)


def own(**options: Any) -> Options:
    return Options.model_validate({"source": "source", "target": "target", **options})


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def both() -> None:
    write("source", "cat", "dog", "eel")
    write("target", "cat", "dog")


# ------------------------------------------------------------------ what is no image and no class

SYSTEMS = (
    "__MACOSX", "@eaDir", "$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information", "lost+found", "#recycle",
    "@Recycle", ".thumbnails", ".ipynb_checkpoints", ".Trash-1000", ".AppleDouble", "#snapshot", "__pycache__", ".git",
    "FOUND.000",
)  # fmt: skip


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("name", SYSTEMS)
def test_folders_of_systems_are_no_classes(name: str) -> None:
    before = [image_folder.decisive_options(domain, own()) for domain in ("source", "target")]
    for place in ("source", "target", "target/cat", "target/cat/inside"):
        write(place, name)
    image_folder.check(own())
    assert [image_folder.decisive_options(domain, own()) for domain in ("source", "target")] == before
    said = "\n".join(image_folder.inspect_files(own()))
    assert f"target: passed over: 3 {name} ({describe_clutter(name)})" in said
    assert describe_clutter(name) not in (None, "hidden")


def test_classes_are_no_clutter() -> None:
    names = ("cat", "recycled", "Train", "forest", "file", "thumbs", "CVS", "e@mail", "f.1", "found", "git")
    assert [name for name in names if describe_clutter(name) is not None] == []


@pytest.mark.usefixtures("both")
def test_what_lies_around_is_named() -> None:
    for name in ("Thumbs.db", "DESKTOP.INI", ".DS_Store", "._0.png", ".mine.png", "notes.txt"):
        Path("target/cat", name).write_text("x")
    for number in range(12):
        Path(f"target/dog/._{number}.jpg").write_text("x")
    Path("target/eel").mkdir()
    said = "\n".join(image_folder.inspect_files(own()))
    for what in (
        "1 Thumbs.db (Windows' thumbnails)", "1 DESKTOP.INI (Windows' notes on folders)", "1 .mine.png (hidden)",
        "1 .DS_Store (macOS's notes on folders)", "13 macOS's copies of attributes (._0.jpg, …)",
        "not taken for images by their names: 1 .txt", "no image of 'eel'",
    ):  # fmt: skip
        assert what in said


@pytest.mark.parametrize("names", [["caf\udce9.png"], ["a\udcff.png", "b\udcfe.png"]])
@pytest.mark.usefixtures("both")
def test_names_that_are_no_text(names: Sequence[str]) -> None:
    for name in names:
        os.close(os.open(os.fsencode(f"target/cat/{name}"), os.O_CREAT))
    said = error_of(lambda: image_folder.check(own()))
    shown = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in names]
    assert said.startswith("target (")
    assert all(f"'{name}'" in said for name in shown)
    assert said.encode("utf-8")
    assert r"\x.." in said


@pytest.mark.usefixtures("both")
def test_files_that_are_no_images_may_be_called_anything() -> None:
    os.close(os.open(os.fsencode("target/cat/r\udce9sum\udce9"), os.O_CREAT))
    image_folder.check(own())
    assert r"1 r\xe9sum\xe9" in "\n".join(image_folder.inspect_files(own()))


@pytest.mark.usefixtures("both")
def test_a_class_that_is_called_by_no_text() -> None:
    os.mkdir(os.fsencode("target/caf\udce9"))  # noqa: PTH102 - Path has no bytes
    assert r"'caf\xe9' is not UTF-8" in error_of(lambda: image_folder.check(own()))


# ------------------------------------------------------------------ folders that are laid out otherwise


@pytest.mark.parametrize(
    ("parts", "hint"),
    [
        (("train", "val"), "Say `source: photos/train`, `source_test: photos/val`; where"),
        (("Train", "Test"), "Say `source: photos/Train`, `source_test: photos/Test`; where"),
        (("train", "val", "test"), "Say `source: photos/train`, `source_test: photos/test` (or val); where"),
        (("training", "validation"), "`source: photos/training`, `source_test: photos/validation`"),
        (("train",), "Say `source: photos/train`; where"),
    ],
)
def test_parts_of_a_data_set(parts: Sequence[str], hint: str) -> None:
    write("target", "cat", "dog")
    for part in parts:
        write(f"photos/{part}", "cat", "dog")
    write("photos", "annotations", images=0)  # beside them
    if parts == ("train",):
        Path("photos/annotations").rmdir()
    said = error_of(lambda: image_folder.check(own(source="photos")))
    assert hint in said
    assert "no class" in said
    test = f"photos/{parts[-1]}" if len(parts) > 1 else None
    image_folder.check(own(source=f"photos/{parts[0]}", source_test=test))


def test_the_option_that_is_wrong_is_offered() -> None:
    write("source", "cat", "dog")
    write("target", "cat", "dog")
    write("more/train", "cat", "dog")
    said = error_of(lambda: image_folder.check(own(target_test="more")))
    assert "Say `target_test: more/train`; where" in said
    write("more/val", "cat", "dog")
    assert "Say `target_test: more/val`; where" in error_of(lambda: image_folder.check(own(target_test="more")))


def test_test_images_without_classes_are_not_offered() -> None:
    write("photos/train", "cat", "dog")
    write("photos/val", "cat", "dog")
    write("photos", "test")
    said = error_of(lambda: image_folder.check(own(source="photos")))
    assert "'train' and 'test' and 'val' are parts" in said
    assert "Say `source: photos/train`, `source_test: photos/val`; where" in said


def test_classes_that_are_called_like_parts() -> None:
    write("trains", "train", "bus", "car")
    image_folder.check(own(source="trains", target="trains"))
    write("tests", "train", "bus", "car", "test")
    image_folder.check(own(source="tests", target="tests"))  # images lie in `train` itself, and there are others
    write("target", "train", "test")
    assert "are parts of a data set" in error_of(lambda: image_folder.check(own(source="target")))
    image_folder.check(own(source="target", classes=["train", "test"]))


def test_a_folder_around_the_classes_and_parts_inside_them() -> None:
    write("target", "cat", "dog")
    write("around/images", "cat", "dog")
    assert "If those are the classes, say `source: around/images`." in error_of(
        lambda: image_folder.check(own(source="around"))
    )
    for name in ("cat", "dog"):
        write(f"divided/{name}", "train", "val")
    assert "the folder of each class is divided: train, val." in error_of(
        lambda: image_folder.check(own(source="divided"))
    )


# ------------------------------------------------------------------ lists


def test_the_paper_s_lists() -> None:
    """Lines `path label`, with spaces in paths; numbers are classes in their order, or those that `classes` names."""
    rows = [f"{domain}/my photos/{k}.png {k % 11}" for domain in ("source", "target") for k in range(22)]
    for domain in ("source", "target"):
        write(domain, "my photos", images=22)
        Path(f"{domain}.txt").write_text(
            "path label\n" + "\n".join(row for row in rows if row.startswith(domain)) + "\n\n"
        )
    options = own(source="source.txt", target="target.txt")
    image_folder.check(options)
    assert image_folder.classes(options) == tuple(map(str, range(11)))
    assert image_folder.sample_counts("target", options) == {str(k): (1, 1) for k in range(11)}
    assert image_folder.prepare("target", options).names[0] == "target/my photos/0.png"
    named = own(source="source.txt", target="target.txt", classes=[*"kjihgfedcba"])
    assert image_folder.prepare("target", named).labels[:12].tolist() == [*range(11), 0]
    assert image_folder.sampled_classes("target", named)[0] == {*"abcdefghijk"}
    short = own(source="source.txt", target="target.txt", classes=["a", "b"])
    assert "row 3): the label 2 is out of range. There are names of 0 to 1." in error_of(
        lambda: image_folder.check(short)
    )


def test_numbers_in_lists_are_called_like_the_folders_of_their_files() -> None:
    """As in the paper's lists, whose order is none of the names."""
    write("Art", "Mop", "Alarm", "Bed")
    write("Clipart", "Bed", "Mop")
    number = {"Mop": 0, "Alarm": 1, "Bed": 2}
    for domain in ("Art", "Clipart"):
        files = sorted(Path(domain).rglob("*.png"))
        Path(f"{domain}.txt").write_text("".join(f"{file} {number[file.parent.name]}\n" for file in files))
    options = own(source="Art.txt", target="Clipart.txt")
    image_folder.check(options)
    assert image_folder.classes(options) == ("Mop", "Alarm", "Bed")
    assert image_folder.other_order(options) is None
    assert image_folder.sample_counts("target", options) == {"Mop": (2, 1), "Alarm": (0, 0), "Bed": (2, 1)}
    image_folder.check(own(source="Art.txt", target="Clipart"))
    Path("other.txt").write_text("".join(f"{file} 0\n" for file in sorted(Path("Clipart").rglob("*.png"))))
    assert image_folder.classes(own(source="Art.txt", target="other.txt")) == ("0", "1", "2")


@pytest.mark.usefixtures("both")
def test_lists_name_their_key_and_all_that_is_missing() -> None:
    Path("lists").mkdir()
    rows = [f"target/{name}/{k}.png,{name}" for name in ("cat", "dog") for k in range(3)]
    Path("lists/t.csv").write_text("\n".join(["file,label", *rows, "target/cat/9.png,cat", "target\\cat\\8.png,cat"]))
    image_folder.check(own(target="lists/t.csv", list_root="."))
    said = error_of(lambda: image_folder.inspect_files(own(target="lists/t.csv", list_root=".")))
    assert said.startswith("target (")
    assert "2 files are missing: 'target/cat/9.png' (row 7), 'target\\\\cat\\\\8.png' (row 8)." in said
    assert "8 files are missing" in error_of(lambda: image_folder.inspect_files(own(target="lists/t.csv")))
    for key, options in {
        "source": own(source="no.csv"), "target": own(target="no.csv"), "source_test": own(source_test="no.csv"),
        "target_test": own(target_test="no.csv"),
    }.items():  # fmt: skip
        assert error_of(lambda options=options: image_folder.check(options)).startswith(f"{key} (")
    Path("bad.txt").write_text("target/cat/0.png cat\nnothing\n")
    assert "bad.txt: line 2): 'nothing' is not a path and a label." in error_of(
        lambda: image_folder.check(own(target="bad.txt"))
    )


@pytest.mark.usefixtures("both")
def test_where_a_list_s_files_are_decides_nothing() -> None:
    Path("lists").mkdir()
    rows = [f"cat/{k}.png,cat" for k in range(3)]
    for place in ("target/t.csv", "lists/t.csv"):
        Path(place).write_text("\n".join(["file,label", *rows]))
    found = [
        image_folder.decisive_options("target", own(target=place, list_root=root))
        for place, root in (("target/t.csv", None), ("lists/t.csv", "target"))
    ]
    assert found[0] == found[1]


# ------------------------------------------------------------------ the same file twice


def link_to_a_test_image() -> Options:
    write("test", "cat", "eel")
    Path("test/cat/more.png").symlink_to(Path("target/cat/1.png").absolute())
    return own(target_test="test")


def hard_link_to_another_class() -> Options:
    Path("target/dog/more.png").hardlink_to("target/cat/1.png")
    return own()


def copy_in_the_test_images() -> Options:
    write("test", "cat", "eel")
    Path("test/cat/copy.png").write_bytes(Path("target/cat/1.png").read_bytes())
    return own(target_test="test")


def copy_in_another_class() -> Options:
    for place in ("cat/1", "dog/copy"):
        Path(f"target/{place}.png").write_bytes(b"a" * 20_000)
    return own()


def other_spelling() -> Options:
    rows = ["target/cat/0.png,cat", "target/cat/../cat/0.png,dog", "target/dog/1.png,dog", "target/cat/2.png,cat"]
    Path("t.csv").write_text("\n".join(["file,label", *rows]))
    return own(target="t.csv")


def other_spelling_of_the_same() -> Options:
    rows = [f"target/{name}/{k}.png,{name}" for name in ("cat", "dog") for k in range(2)]
    Path("t.csv").write_text("\n".join(["file,label", *rows, "./target/cat/../cat/0.png,cat"]))
    return own(target="t.csv", test_fraction=0.01)


def a_linked_folder() -> Options:
    Path("target/dog/linked").symlink_to(Path("target/cat").absolute())
    return own()


DOUBLES = {
    link_to_a_test_image: ("'target/cat/1.png' (training", "'test/cat/more.png' (test", "are the same file"),
    hard_link_to_another_class: ("'target/cat/1.png' (", "'target/dog/more.png' (", "are the same file"),
    copy_in_the_test_images: ("'target/cat/1.png' (training", "'test/cat/copy.png' (test", "have the same bytes"),
    copy_in_another_class: ("'target/cat/1.png' (", "'target/dog/copy.png' (", "have the same bytes"),
    other_spelling: ("image of 'cat', row 1)", "'target/cat/../cat/0.png' (", "image of 'dog', row 2)", "same file"),
    other_spelling_of_the_same: ("image of 'cat', row 1)", "'target/cat/../cat/0.png' (", "row 5)", "same file"),
    a_linked_folder: ("'target/cat/0.png' (", "'target/dog/linked/0.png' (", "are the same file"),
}


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("make", DOUBLES)
def test_the_same_file_twice(make: Callable[[], Options]) -> None:
    options = make()
    image_folder.check(options)  # which does not look at each file
    said = error_of(lambda: image_folder.inspect_files(options))
    assert [part for part in DOUBLES[make] if part not in said] == []
    assert error_of(lambda: image_folder.prepare("target", options)) == said


@pytest.mark.usefixtures("both")
def test_what_is_alike_is_not_the_same() -> None:
    """Files of one size that differ at the end, at the beginning, or only between; and copies of one use."""
    for name, content in {"cat/1": b"x" + b"a" * 20_000, "dog/1": b"a" * 20_000 + b"x", "dog/2": b"a" * 20_001}.items():
        Path(f"target/{name}.png").write_bytes(content)
    middle = bytearray(b"a" * 20_001)
    middle[10_000] = 0
    Path("target/cat/2.png").write_bytes(middle)
    said = image_folder.inspect_files(own())
    assert any(line.startswith("target: 6 files, ") and "compared by their bytes" in line for line in said)
    rows = [f"target/{name}/{k}.png,{name},train" for name in ("cat", "dog") for k in range(2)]
    Path("target/cat/copy.png").write_bytes(Path("target/cat/0.png").read_bytes())
    end = ["target/cat/copy.png,cat,train", "target/cat/2.png,cat,test"]
    Path("t.csv").write_text("\n".join(["file,label,subset", *rows, *end]))
    assert image_folder.inspect_files(own(target="t.csv"))


# ------------------------------------------------------------------ what `finecal check` says


def study(**changes: Any) -> str:
    content = {
        "extends": "own_images",
        "datasets": {"mine": {"source": "image_folder", "options": {"source": "source", "target": "target"}}},
        "tasks": {"mine": ["source-target"]},
        "pretraining": {"weights": "random"},
        **changes,
    }
    Path("mine.yaml").write_text(yaml.safe_dump(content))
    return "mine.yaml"


@pytest.mark.usefixtures("both")
def test_counts_are_those_of_the_division() -> None:
    write("target", "eel", images=7)
    write("test", "cat", "eel", images=2)
    rows = [f"target/{name}/{k}.png,{name},{'test' if k else 'train'}" for name in ("cat", "eel") for k in range(3)]
    Path("t.csv").write_text("\n".join(["file,label,subset", *rows]))
    for options in (own(), own(test_fraction=0.9), own(target_test="test"), own(target="t.csv")):
        listing = image_folder.prepare("target", options)
        counted = image_folder.sample_counts("target", options)
        for place, name in enumerate(listing.classes):
            members = listing.test[listing.labels == place]
            assert counted[name] == (int((~members).sum()), int(members.sum()))


@pytest.mark.usefixtures("both")
def test_check_names_classes_and_counts() -> None:
    said = describe_plan(Plan([study()]))
    assert "mine: 3 classes\n" in said
    assert "  source: 9 images of 3 classes, 6 training, 3 test\n" in said
    assert "    training + test of each class: cat: 2 + 1, dog: 2 + 1.\n    no image at all of eel\n" in said
    assert "  S of have: cat, dog (2 of 3 classes)\n" in said
    dataset = {"source": "image_folder", "options": {"source": "source", "target": "source"}}
    validating = {"mine": {**dataset, "validation_fraction": 0.5}}
    splits = {"some": {"kind": "classes", "fine_tuning": ["eel", 0]}, "half": {"kind": "random", "count": 1}}
    said = describe_plan(Plan([study(datasets=validating, splits=splits)]))
    assert "training + validation + test of each class: cat: 1 + 1 + 1, dog: 1 + 1 + 1, eel: 1 + 1 + 1.\n" in said
    assert "  S of some: cat, eel (2 of 3 classes)\n" in said
    assert said.count(" (1 of 3 classes)\n") == 1


@pytest.mark.usefixtures("both")
def test_check_says_which_classes_have_too_few_images() -> None:
    write("few", "cat", "dog", images=2)
    changes = {"datasets": {"mine": {"source": "image_folder", "options": {"source": "source", "target": "few"}}}}
    assert "    a single training image of cat, dog\n" in describe_plan(Plan([study(**changes)]))
    plan = Plan([study(**changes, calibrators=["none", "pcv"])])
    assert error_of(lambda: describe_plan(plan)).startswith(
        "mine.yaml: splits.have: 'cat', 'dog' have fewer than two training images in 'target'."
    )


@pytest.mark.usefixtures("both")
def test_check_finds_what_is_wrong_with_files() -> None:
    copy_in_another_class()
    plan = Plan([study()])
    assert error_of(lambda: describe_plan(plan)).startswith("mine.yaml: datasets.mine.options.target (")


@pytest.mark.usefixtures("both")
def test_a_base_is_extended_and_is_no_study() -> None:
    found = load_study(study())
    assert found.training.augmentation.horizontal_flip == 0.5
    assert found.training.steps_per_epoch is None
    assert found.splits["have"].kind == "present"
    assert "'own_images' is no study: it does not say where" in error_of(lambda: load_study("own_images"))
