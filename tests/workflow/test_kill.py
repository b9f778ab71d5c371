"""A killed training goes on where it was, and ends as if it had never been interrupted: to the last bit."""

from __future__ import annotations

import functools
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from conftest import RUNS, TINY, Project, one_paragraph
from safetensors.numpy import load_file

from finecal.io.parquet import read_metadata

pytestmark = pytest.mark.slow

RUN = f"{RUNS}/half0/seed0"
STATE = RUN.replace("results/", "state/") + "/state.pt"
STEPS = TINY["training"]["epochs"] * TINY["training"]["steps_per_epoch"]
STUDY_OPTIONS = ("--study", "tiny.yaml", "--device", "cpu")


@pytest.fixture
def unfinished(project: Project) -> Project:
    """The project without the run, so that it is to be made."""
    shutil.rmtree(project.path(RUN))
    return project


def train(project: Project, interval: float, log: Path, verb: str = "finetune") -> subprocess.Popen[bytes]:
    """Start the training of the run, or with the verb `pseudo-splits` that of its pseudo-splits."""
    options = (*STUDY_OPTIONS, "--state-interval", str(interval))
    return project.start("finecal", verb, RUN, *options, log=log)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"nothing happened:\n{log.read_text()}"
        time.sleep(0.001)


class Saves:
    """Counts how often the state has been replaced."""

    def __init__(self, file: Path) -> None:
        self.file, self.last, self.count = file, self._inode(file), 0

    @staticmethod
    def _inode(file: Path) -> tuple[int, int]:
        try:
            found = file.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def at_least(self, number: int) -> bool:
        now = self._inode(self.file)
        if now != self.last and now[0]:
            self.last, self.count = now, self.count + 1
        return self.count >= number


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process and all below it, at once."""
    for member in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        member.kill()
    process.wait()


def resumed(log: Path) -> list[int]:
    """The steps from which the trainings in a log went on."""
    return [int(step) for step in re.findall(r"resuming at step (\d+)", log.read_text())]


def assert_same_run(one: Path, other: Path) -> None:
    """Two folders of a run agree in every bit that does not say how long something took."""
    tensors, others = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert tensors.keys() == others.keys()
    assert len(tensors) > 10
    for name, tensor in tensors.items():
        assert tensor.tobytes() == others[name].tobytes(), name
    assert pq.read_table(one / "logits.parquet").equals(pq.read_table(other / "logits.parquet"))
    assert pq.read_table(one / "head.parquet").equals(pq.read_table(other / "head.parquet"))
    histories = [pq.read_table(folder / "history.parquet").to_pandas() for folder in (one, other)]
    assert len(histories[0]) == TINY["training"]["epochs"] + 1
    pd.testing.assert_frame_equal(*(h.drop(columns="seconds") for h in histories), check_exact=True)


def leftovers(project: Project) -> set[str]:
    """What a killed job may leave that is neither result nor state."""
    return {file for folder in ("results", "state") for file in project.files(folder) if file.endswith(".part")}


def test_killed_at_five_steps(complete: Project, unfinished: Project) -> None:
    """SIGKILL at random steps, the state being saved at each, then the rest through Snakemake."""
    log = unfinished.path("killed.log")
    stops = sorted(random.Random(20).sample(range(1, STEPS - 3), 5))
    reached = 0
    for stop in stops:
        saves = Saves(unfinished.path(STATE))
        process = train(unfinished, 0, log)
        further = max(1, stop - reached)
        wait_until(functools.partial(saves.at_least, further), process, log)
        kill(process)
        assert process.returncode == -signal.SIGKILL
        reached = max(stop, reached + 1)
    assert not unfinished.path(RUN).exists(), "a part of a training is not a result"
    # A write cut off by the kill leaves a hidden file: neither state nor result.
    unfinished.path(STATE).with_name(".state.pt.1.part").write_bytes(b"half a state")

    unfinished.snakemake("--cores", "1", f"{RUN}/logits.parquet")
    steps = resumed(log) + resumed(unfinished.path(f"logs/finetune/{RUN.removeprefix('results/')}.log"))
    assert len(steps) == 5, steps
    assert steps == sorted(set(steps)), "each went on further than the one before"
    assert steps[0] >= stops[0]
    assert_same_run(complete.path(RUN), unfinished.path(RUN))
    histories = [read_metadata(project.path(RUN, "history.parquet")) for project in (complete, unfinished)]
    assert "earlier_tries" not in histories[0]
    assert set(histories[1]["earlier_tries"]) == {"wall_seconds", "cpu_seconds", "peak_memory_mib"}
    assert not unfinished.path("state").exists()
    assert not leftovers(unfinished)


def test_asked_to_stop(unfinished: Project) -> None:
    """SIGTERM, as a cluster sends it before the time is up: the state is saved then, whatever the interval.

    It is that of the pseudo-splits, and outlives the end of the run's own training, which may well be meanwhile.
    """
    log = unfinished.path("stopped.log")
    process = train(unfinished, 1e6, log, "pseudo-splits")
    wait_until(lambda: "epoch 1" in log.read_text(), process, log)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert "interrupted by SIGTERM; the state is saved" in log.read_text()
    assert "Traceback" not in log.read_text()
    states = {file for file in unfinished.files("state") if file.endswith(".pt")}
    assert len(states) == 1
    assert not unfinished.path(RUN).exists()

    unfinished.finecal("finetune", RUN, *STUDY_OPTIONS)
    assert unfinished.path(RUN, "model.safetensors").is_file()
    assert states <= unfinished.files("state")
    again = unfinished.path("again.log")
    process = train(unfinished, 1e6, again, "pseudo-splits")
    wait_until(lambda: bool(resumed(again)), process, again)
    assert resumed(again)[0] >= TINY["training"]["steps_per_epoch"]
    kill(process)


def test_snakemake_killed(complete: Project, unfinished: Project) -> None:
    """SIGKILL of Snakemake and all its jobs: the next call goes on, and takes nothing half written for whole."""
    with unfinished.settings() as settings:
        settings["state_interval"] = 0
    target = f"{RUN}/logits.parquet"
    log = unfinished.path("snakemake.log")
    saves = Saves(unfinished.path(STATE))
    process = unfinished.start(*unfinished.snakemake_command("--cores", "2", target), log=log)
    wait_until(lambda: saves.at_least(3), process, log)
    kill(process)
    assert list(unfinished.path(".snakemake/locks").iterdir()), "the lock outlives a killed Snakemake"
    # What a file system may make of a write that the crash cut off, under the final name.
    whole = complete.path(RUN, "model.safetensors").read_bytes()
    unfinished.path(RUN).mkdir(exist_ok=True)
    unfinished.path(RUN, "model.safetensors").write_bytes(whole[: len(whole) // 2])

    output = unfinished.snakemake("--cores", "2", target)
    assert "going on" in output
    assert resumed(unfinished.path(f"logs/finetune/{RUN.removeprefix('results/')}.log"))[0] >= 3
    assert_same_run(complete.path(RUN), unfinished.path(RUN))
    assert not unfinished.path("state").exists()
    assert not leftovers(unfinished)
    assert unfinished.planned(target) == {}


def test_an_input_from_the_future(complete: Project, unfinished: Project) -> None:
    """Said before the first job; where the date changes while the training runs, its state outlives the refusal."""
    images, target = unfinished.path("results/digits/images/handwritten.parquet"), f"{RUN}/model.safetensors"
    ahead = (time.time() + 3 * 3600,) * 2
    os.utime(images, ahead)
    said = unfinished.snakemake("--cores", "1", target, status=2)
    one_paragraph(said, "handwritten.parquet: this file is dated", "in the future")
    assert "rule finetune" not in said

    os.utime(images)
    with unfinished.settings() as settings:
        settings["state_interval"] = 0
    log, saves = unfinished.path("snakemake.log"), Saves(unfinished.path(STATE))
    process = unfinished.start(*unfinished.snakemake_command("--cores", "1", target), log=log)
    wait_until(lambda: saves.at_least(1), process, log)
    os.utime(images, ahead)
    assert process.wait(200)
    assert "has older modification time" in log.read_text()
    assert not unfinished.path(RUN).exists()

    os.utime(images)
    unfinished.snakemake("--cores", "1", f"{RUN}/logits.parquet")
    assert resumed(unfinished.path(f"logs/finetune/{RUN.removeprefix('results/')}.log")) == [STEPS]
    assert_same_run(complete.path(RUN), unfinished.path(RUN))
    assert not unfinished.path("state").exists()


def test_living_snakemake_keeps_its_lock(unfinished: Project) -> None:
    """A second call for the same results is refused while the first is at work."""
    target = f"{RUN}/logits.parquet"
    log = unfinished.path("first.log")
    process = unfinished.start(*unfinished.snakemake_command("--cores", "2", target), log=log)
    try:
        wait_until(lambda: "rule finetune" in log.read_text(), process, log)
        psutil.Process(process.pid).suspend()  # or it may be done before the second has begun
        said = unfinished.snakemake("--cores", "1", target, status=None)
        assert f"another Snakemake makes the same files in {unfinished.folder}" in said
        assert f"process {process.pid}, last sign of life" in said
    finally:
        kill(process)
