"""What is read of a file of images, and that batches are the same wherever the pixels lie."""

from __future__ import annotations

import copy
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from recipe_runs import DESCRIPTION, FINE_TUNING, TRAINING, pretrained, recipe_of

from finecal.data import packed as images_module
from finecal.data.packed import PackedImages, read_images, write_images
from finecal.data.reader import PackedFile, Pixels
from finecal.errors import UserError
from finecal.models.extraction import extract
from finecal.runtime import memory
from finecal.runtime.memory import Room
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile
from finecal.training.task import TrainingTask

CPU = torch.device("cpu")
N, SHAPE = 50, (16, 16, 1)
NOWHERE, PLENTY = 0, 1e6  # MiB


@pytest.fixture(autouse=True)
def _one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def packed() -> PackedImages:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (N, *SHAPE), dtype=np.uint8)
    return PackedImages(pixels, (np.arange(N) // 13).astype(np.int32), np.arange(N) % 3 == 0, ("a", "b", "c", "d"))


@pytest.fixture
def file(packed: PackedImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackedFile:
    """Seven images to a row group."""
    monkeypatch.setattr(images_module, "ROW_GROUP_BYTES", 7 * 256 + 3)
    write_images(tmp_path / "images.parquet", packed, columns={"dataset": "x"}, provenance={})
    return PackedFile.open(tmp_path / "images.parquet")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def wanted(packed: PackedImages, chosen: np.ndarray) -> np.ndarray:
    return packed.pixels[chosen].transpose(0, 3, 1, 2)


# ------------------------------------------------------------------ what is read


def test_a_file_is_opened_without_its_pixels(file: PackedFile, packed: PackedImages) -> None:
    whole = read_images(file.path)
    for name in ("labels", "test", "train", "subset"):
        assert np.array_equal(getattr(file, name), getattr(packed, name))
        assert getattr(file, name).dtype == getattr(whole, name).dtype
    assert (file.classes, file.shape, len(file)) == (packed.classes, SHAPE, N)


@pytest.mark.parametrize("limit", [NOWHERE, PLENTY])
@pytest.mark.parametrize("which", ["none", "one", "train", "last group", "all"])
def test_the_chosen_pixels_are_read(file: PackedFile, packed: PackedImages, which: str, limit: float) -> None:
    numbers = np.arange(N)
    masks = {
        "none": numbers < 0, "one": numbers == 20, "train": packed.train, "last group": numbers == 49,
        "all": numbers >= 0,
    }  # fmt: skip
    chosen = masks[which]
    pixels = file.load(chosen, CPU, Room(limit))
    assert len(pixels) == chosen.sum()
    assert np.array_equal(pixels[np.arange(len(pixels))].numpy(), wanted(packed, chosen))


def test_row_groups_without_a_chosen_sample_are_not_read(file: PackedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = pq.ParquetFile.read_row_group

    def read_row_group(self: pq.ParquetFile, number: int, **options: Any) -> Any:
        read.append(number)
        assert options["columns"] == ["pixels"]
        return original(self, number, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)
    file.load(np.isin(np.arange(N), [8, 9, 48]), CPU, Room(PLENTY))
    assert read == [1, 6]


@pytest.mark.parametrize("size", [1, 5, 7, 16, 49, 50, 64])
def test_a_file_and_its_pixels_give_the_same_batches(file: PackedFile, packed: PackedImages, size: int) -> None:
    expected = wanted(packed, np.ones(N, dtype=bool))
    for source in (file, Pixels.of(packed.pixels, CPU), file.load(np.ones(N, dtype=bool), CPU, Room(NOWHERE))):
        batches = list(source.batches(size, CPU))
        assert [len(batch) for batch in batches] == [len(expected[i : i + size]) for i in range(0, N, size)]
        assert np.array_equal(torch.cat(batches).numpy(), expected)


def test_few_files_are_open_while_images_are_read(file: PackedFile) -> None:
    gc.collect()
    before = open_files()
    most = 0
    for _ in file.batches(3, CPU):
        most = max(most, open_files())
    held = file.load(np.ones(N, dtype=bool), CPU, Room(NOWHERE))
    assert most <= before + 2
    assert open_files() <= before + 1  # the mapped file, until its pixels are gone
    del held
    gc.collect()
    assert open_files() == before


def test_a_file_of_other_pixels_is_refused(file: PackedFile) -> None:
    broken = copy.replace(file, shape=(4, 4, 1)) if hasattr(copy, "replace") else None
    broken = broken or PackedFile(**{**vars(file), "shape": (4, 4, 1)})
    with pytest.raises(UserError) as caught:
        broken.load(broken.train, CPU, Room(PLENTY))
    assert "the column 'pixels' is fixed_size_binary[256]" in str(caught.value)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_one_clear_error(file: PackedFile, cut: float) -> None:
    content = file.path.read_bytes()
    file.path.write_bytes(content[: int(len(content) * cut)])
    for read in (lambda: PackedFile.open(file.path), lambda: list(file.batches(4, CPU))):
        with pytest.raises(UserError, match="not readable as Parquet"):
            read()


def test_a_damaged_page_is_one_clear_error(file: PackedFile) -> None:
    column = pq.ParquetFile(file.path).metadata.row_group(3).column(4)
    assert column.path_in_schema == "pixels"
    content = bytearray(file.path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 60] ^= 0xFF
    file.path.write_bytes(content)
    with pytest.raises(UserError, match="not readable as Parquet"):
        list(file.batches(4, CPU))


# ------------------------------------------------------------------ where the pixels lie


def test_batches_are_the_same_wherever_the_pixels_lie(file: PackedFile) -> None:
    random = np.random.default_rng(1)
    here, there = (file.load(file.train, CPU, Room(limit)) for limit in (PLENTY, NOWHERE))
    assert here.on_device
    assert not there.on_device
    for _ in range(20):
        positions = random.integers(0, len(here), 9)
        assert torch.equal(here[positions], there[positions])
        rows = random.permutation(len(here))[:12]
        assert torch.equal(here.some(rows).some(rows[:3] % 12)[np.array([2])], there[rows[rows[2:3] % 12]])


def test_nothing_warns(file: PackedFile) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file.load(file.train, CPU, Room(NOWHERE))[np.array([1])]
        list(file.batches(8, CPU))


@pytest.mark.parametrize("recipe", ["full", "linear_probe", "lolsgd"])
def test_training_from_a_file_is_the_same(file: PackedFile, recipe: str) -> None:
    found = []
    for number, limit in enumerate((PLENTY, NOWHERE)):
        model = pretrained()
        chosen = file.train & FINE_TUNING[file.labels]
        data = TrainingData.from_file(file, chosen, CPU, Room(limit))
        task = TrainingTask(model, DESCRIPTION, data, recipe_of(recipe), TRAINING, FINE_TUNING, ("x", 1))
        history = TrainingRun(task, StateFile(Path(f"{number}.pt"), {}, 1e9), lambda _: {}).run()
        found.append((model.state_dict(), [row["loss"] for row in history[1:]]))
    assert found[0][1] == found[1][1]
    assert all(torch.equal(value, found[1][0][name]) for name, value in found[0][0].items())


def test_extraction_from_a_file_is_the_same(file: PackedFile, packed: PackedImages) -> None:
    model = pretrained()
    for one, other in zip(
        extract(model, DESCRIPTION, file, CPU), extract(model, DESCRIPTION, packed.pixels, CPU), strict=True
    ):
        assert one.tobytes() == other.tobytes()


# ------------------------------------------------------------------ how much room there is


def test_room_is_taken_until_there_is_none() -> None:
    room = Room(3)
    assert [room.place(2**20, CPU) for _ in range(4)] == ["memory", "memory", "memory", "file"]
    assert Room(0).place(1, CPU) == "file"


def test_a_gpu_takes_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (8 * 2**20, 80 * 2**20))
    room, gpu = Room(3), torch.device("cuda")
    assert [room.place(3 * 2**20, gpu) for _ in range(3)] == ["device", "memory", "file"]


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Say how many bytes of this machine's memory are free."""
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=size))


GROUP = """anon 1000
inactive_file 300
active_file 50
"""


def control_group(monkeypatch: pytest.MonkeyPatch, folder: Path, own: str, group: str) -> Path:
    """Say that this process belongs to a control group: `own` as in /proc/self/cgroup; return the group's folder."""
    (folder / "own").write_text(own)
    made = folder / "cgroup" / group
    made.mkdir(parents=True)
    monkeypatch.setattr(memory, "OWN_GROUP", folder / "own")
    monkeypatch.setattr(memory, "GROUPS", folder / "cgroup")
    return made


def test_a_limit_of_the_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SLURM and containers set it, also on a group further out; what is kept of files counts as free."""
    inner = control_group(monkeypatch, tmp_path, "0::/system.slice/job_1/step_0\n", "system.slice/job_1/step_0")
    free(monkeypatch, 8 * 1024)
    assert memory.available_memory() == 8 * 1024
    for folder, limit in ((inner, "max"), (inner.parent, "5000")):
        for name, content in (("memory.max", limit), ("memory.current", "1350"), ("memory.stat", GROUP)):
            (folder / name).write_text(content)
    assert memory.available_memory() == 5000 - 1350 + 300
    (inner / "memory.max").write_text("1400")
    assert memory.available_memory() == 350


def test_a_limit_of_control_groups_of_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = "7:cpu,cpuacct:/slurm\n4:memory:/slurm/job_1\n0::/\n"
    group = control_group(monkeypatch, tmp_path, own, "memory/slurm/job_1")
    stat = "inactive_file 1\ntotal_inactive_file 300\n"
    for name, content in (("limit_in_bytes", "5000"), ("usage_in_bytes", "1350"), ("stat", stat)):
        (group / f"memory.{name}").write_text(content)
    assert memory.available_memory() == 5000 - 1350 + 300


def test_a_job_takes_no_more_than_its_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members of a SLURM job see the memory of all; several jobs of one machine see the same that is free."""
    free(monkeypatch, 1000 * 2**20)
    monkeypatch.setattr(memory, "_left_by_groups", lambda: [800 * 2**20])
    for name, value in (("FINECAL_MEMORY", "0"), ("SLURM_MEM_PER_NODE", "0"), ("FINECAL_SIDE_BY_SIDE", "")):
        monkeypatch.setenv(name, value)
    assert memory.available_memory() == 800 * 2**20
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "400")
    assert memory.available_memory() == 400 * 2**20
    monkeypatch.setenv("FINECAL_MEMORY", "100")
    assert memory.available_memory() == 100 * 2**20
    assert [Room().place(size * 2**20, CPU) for size in (50, 51)] == ["memory", "file"]
    monkeypatch.setenv("FINECAL_SIDE_BY_SIDE", "5")
    assert [Room().place(size * 2**20, CPU) for size in (10, 11)] == ["memory", "file"]
    assert Room(60).place(60 * 2**20, CPU) == "memory"  # what the user says counts


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.tempfile, "gettempdir", lambda: str(tmp_path))
    reserved: list[int] = []  # nothing: that would take all there is for a moment, in which the writes of others fail
    monkeypatch.setattr(memory.os, "posix_fallocate", lambda _number, _start, size: reserved.append(size))
    with pytest.raises(UserError) as caught:
        memory.file_in_scratch(2**55)
    assert str(caught.value).startswith(f"{tmp_path}: the images take 33554432.0 GiB, which fit neither into memory")
    assert "TMPDIR" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert reserved == []
