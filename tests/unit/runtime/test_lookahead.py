"""What comes next is made while the model works: the same to the bit as one after the other."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipe_runs import DESCRIPTION, FINE_TUNING, TRAINING, one_thread, pretrained, recipe_of  # noqa: F401
from torch import Tensor

from finecal import registry
from finecal.data import augmentation
from finecal.data.reader import Pixels
from finecal.models import extraction
from finecal.models.extraction import extract
from finecal.runtime.lookahead import can_work_ahead, prefetch
from finecal.training import inputs
from finecal.training.batches import BatchLoader, TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile
from finecal.training.task import TrainingTask

CPU = torch.device("cpu")
N = 600  # three batches of an extraction
OF_FEATURES = ("linear_probe",)  # recipes that give the model no images


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many cores this process may use."""
    found = {"n": 2}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(found["n"])))
    return found


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, 16, 16, 1), dtype=np.uint8)


def in_thread() -> bool:
    return threading.current_thread() is not threading.main_thread()


# ------------------------------------------------------------------ when


def test_only_one_thread_of_torch_on_several_cores_leaves_one_spare(cores: dict[str, int]) -> None:
    assert can_work_ahead(CPU)
    assert not can_work_ahead(torch.device("cuda"))
    cores["n"] = 1
    assert not can_work_ahead(CPU)
    cores["n"] = 4
    torch.set_num_threads(2)
    assert not can_work_ahead(CPU)


# ------------------------------------------------------------------ items


def test_items_come_in_order_and_the_next_is_made_while_one_is_used() -> None:
    begun = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    seen = []
    for item in prefetch(items()):
        assert item == len(begun) - 1 or begun[item + 1].wait(10)
        seen.append(item)
    assert seen == [0, 1, 2, 3]


def test_an_error_reaches_who_uses_the_items() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    made = prefetch(items())
    assert next(made) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(made)


# ------------------------------------------------------------------ steps


def test_a_step_is_prepared_once_in_the_thread(cores: dict[str, int], images: np.ndarray) -> None:
    made: list[tuple[int, bool]] = []

    def change(pixels: Tensor, step: int) -> Tensor:
        made.append((step, in_thread()))
        return pixels.float() + step

    loader = BatchLoader(Pixels.of(images, CPU), change)
    assert loader.prefetches
    positions = np.array([3, 1])
    expected = torch.from_numpy(images[positions]).permute(0, 3, 1, 2).float()
    assert torch.equal(loader(0, positions), expected)
    loader.prefetch(1, positions)
    assert torch.equal(loader(1, positions), expected + 1)
    assert torch.equal(loader(5, positions), expected + 5)
    assert made == [(0, False), (1, True), (5, False)]


def test_without_a_core_to_spare_a_file_is_read_in_the_thread(
    cores: dict[str, int], images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores["n"] = 1
    file = mmap.mmap(-1, images.nbytes)
    file.write(images.tobytes())
    stored = torch.frombuffer(file, dtype=torch.uint8).reshape(images.shape)
    read, done = Pixels.read, list[tuple[str, bool]]()

    def noted(self: Pixels, positions: np.ndarray) -> Tensor:
        done.append(("read", in_thread()))
        return read(self, positions)

    def change(pixels: Tensor, step: int) -> Tensor:
        done.append(("changed", in_thread()))
        return pixels.float() + step

    monkeypatch.setattr(Pixels, "read", noted)
    loader = BatchLoader(Pixels(stored, CPU, file=file), change)
    assert loader.prefetches
    positions = np.array([3, 1])
    loader.prefetch(1, positions)
    assert torch.equal(loader(1, positions), torch.from_numpy(images[positions]).permute(0, 3, 1, 2).float() + 1)
    assert done == [("read", True), ("changed", False)]


def test_without_a_core_to_spare_nothing_is_begun_with_images_at_hand(
    cores: dict[str, int], images: np.ndarray
) -> None:
    cores["n"] = 1
    loader = BatchLoader(Pixels.of(images, CPU), lambda pixels, step: pixels.float())
    assert not loader.prefetches
    loader.prefetch(1, np.array([0]))
    assert torch.equal(loader(1, np.array([0])), torch.from_numpy(images[:1]).permute(0, 3, 1, 2).float())


def test_another_step_than_the_one_begun_gets_its_own(cores: dict[str, int], images: np.ndarray) -> None:
    loader = BatchLoader(Pixels.of(images, CPU), lambda pixels, step: pixels.float() + step)
    loader.prefetch(7, np.array([0]))
    assert torch.equal(loader(8, np.array([0])), torch.from_numpy(images[:1]).permute(0, 3, 1, 2).float() + 8)


def test_an_error_of_a_step_is_that_of_its_training(cores: dict[str, int], images: np.ndarray) -> None:
    def change(pixels: Tensor, step: int) -> Tensor:
        raise ValueError(f"step {step} fails")

    loader = BatchLoader(Pixels.of(images, CPU), change)
    loader.prefetch(2, np.array([0]))
    with pytest.raises(ValueError, match="step 2 fails"):
        loader(2, np.array([0]))


# ------------------------------------------------------------------ the same results


@pytest.mark.parametrize("recipe", registry.names("recipe"))
def test_a_training_is_the_same(
    recipe: str, cores: dict[str, int], images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    augment, helped = augmentation.augment, {1: 0, 2: 0}

    def noted(*arguments: Any) -> Tensor:
        helped[cores["n"]] += in_thread()
        return augment(*arguments)

    monkeypatch.setattr(inputs, "augment", noted)
    labels = (np.arange(N) % len(FINE_TUNING)).astype(np.int32)
    found = []
    for cores["n"] in (1, 2):
        model = pretrained()
        data = TrainingData.from_arrays(images, labels, FINE_TUNING[labels] & (np.arange(N) < 60), CPU)
        task = TrainingTask(model, DESCRIPTION, data, recipe_of(recipe), TRAINING, FINE_TUNING, ("x", 1))
        history = TrainingRun(task, StateFile(tmp_path / f"{cores['n']}.pt", {}, 1e9), lambda _: {}).run()
        found.append((model.state_dict(), [row["loss"] for row in history[1:]]))
    assert found[0][1] == found[1][1]
    assert all(torch.equal(value, found[1][0][name]) for name, value in found[0][0].items())
    assert helped[1] == 0
    assert (helped[2] == 0) == (recipe in OF_FEATURES)


def test_an_extraction_is_the_same(cores: dict[str, int], images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    resize_and_normalise, where = extraction.resize_and_normalise, []

    def noted(*arguments: Any) -> Tensor:
        where.append(in_thread())
        return resize_and_normalise(*arguments)

    monkeypatch.setattr(extraction, "resize_and_normalise", noted)
    model, found = pretrained(), []
    for cores["n"] in (1, 2):
        found.append(extract(model, DESCRIPTION, images, CPU))
    for one, other in zip(*found, strict=True):
        assert one.tobytes() == other.tobytes()
    assert where == [False] * 3 + [True] * 3
