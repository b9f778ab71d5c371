"""The export's check starts from image files, also those of archives and of arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from finecal.paths import RunKey
from finecal.plan.plan import Plan
from finecal.stages.export import originals

ARCHIVED = '''"""Two images in an archive."""
import numpy as np
from finecal.config import Model
from finecal.data.image_files import ImageFiles
from finecal.download.spec import Download

class Options(Model):
    """None."""

LICENCE, CITATION = "mine", "mine"

def domains(options):
    return ("one", "two")

def classes(options):
    return ("a", "b")

def downloads(domain, options):
    return (Download("pictures.zip", by_hand="Make it"),)

def prepare(domain, options, files):
    folder = files.extract("pictures.zip")
    found = tuple(sorted(folder.glob("*.png")))
    labels = np.arange(len(found), dtype=np.int32) % 2
    return ImageFiles(files=found, labels=labels, test=labels > -1, classes=("a", "b"), root=folder)
'''


def plan_of(source: str, task: str) -> Plan:
    study = {
        "extends": "digits", "datasets": {"mine": {"source": source}}, "tasks": {"mine": [task]},
        "splits": {"half": {"kind": "classes", "fine_tuning": [0]}}, "calibrators": ["none"],
    }  # fmt: skip
    Path("study.yaml").write_text(yaml.safe_dump(study))
    return Plan(["study.yaml"])


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_files_in_an_archive_are_unpacked_while_they_are_compared() -> None:
    Path("archive.py").write_text(ARCHIVED)
    plan = plan_of("archive.py", "one-two")
    run = RunKey("mine", "one-two", "test_resnet", "full", "half", 0)
    with originals(plan, run, np.array([1, 0]), None) as found:
        assert found == []  # the archive is not there
    folder = Path("resources/archive")
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        for seed in range(2):
            picture(seed).save(f"{seed}.png")
            archive.write(f"{seed}.png")
    with originals(plan, run, np.array([1, 0]), None) as found:
        assert [file.name for file in found] == ["1.png", "0.png"]
        assert np.array_equal(np.asarray(Image.open(found[0])), np.asarray(picture(1)))
    assert not found[0].exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_written_as_files_that_keep_every_byte(channels: int) -> None:
    plan = plan_of("digits", "printed-handwritten")
    run = RunKey("mine", "printed-handwritten", "test_resnet", "full", "half", 0)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, channels), dtype=np.uint8)
    with originals(plan, run, np.array([3, 5]), pixels) as found:
        read = [np.asarray(Image.open(file)).reshape(8, 8, channels) for file in found]
        assert np.array_equal(np.stack(read), pixels)
    assert not found[0].exists()
    with originals(plan, run, np.array([3, 5]), None) as found:  # what is framed differs from the arrays
        assert [file.suffix for file in found] == [".png", ".png"]
