"""The folder of an unfinished training: one process at a time, gone after success, kept after an error."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finecal.state import StateFile, fingerprint, state_of_one_process

FOLDER = Path("state/digits/run")

# Holds the folder until it reads a line, and says when it has got it and when it lets go.
HOLDER = """
import sys
from pathlib import Path
from finecal.state import state_of_one_process
with state_of_one_process(Path("state/digits/run")) as folder:
    (folder / "mine").write_text(sys.argv[1])
    print("in", (folder / "mine").read_text(), flush=True)
    sys.stdin.readline()
    assert (folder / "mine").read_text() == sys.argv[1], "another process was here"
    print("out", flush=True)
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def hold(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_folder_goes_after_success() -> None:
    with state_of_one_process(FOLDER) as folder:
        assert folder == FOLDER
        (folder / "state.pt").write_text("")
    assert not Path("state").exists()


def test_the_folder_stays_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), state_of_one_process(FOLDER) as folder:  # noqa: PT012 - the block is tested
        (folder / "state.pt").write_text("half")
        raise ZeroDivisionError
    with state_of_one_process(FOLDER) as folder:
        assert (folder / "state.pt").read_text() == "half"
    assert not Path("state").exists()


def test_the_states_of_others_stay() -> None:
    Path("state/digits/other").mkdir(parents=True)
    with state_of_one_process(FOLDER):
        pass
    assert sorted(p.name for p in Path("state/digits").iterdir()) == ["other"]


def test_processes_wait_for_each_other() -> None:
    """Three at once: also one that waited on a lock file that the one before it has removed."""
    processes = [hold(str(n)) for n in range(3)]
    try:
        for _ in processes:
            inside = wait_for_one_inside(processes)
            time.sleep(0.2)  # the others, if they could, would come in now
            out, error = inside.communicate("\n", timeout=60)
            processes = [p for p in processes if p is not inside]
            assert (out, inside.returncode) == ("out\n", 0), error
            assert all(p.poll() is None for p in processes)
        # The last one had to wait, and says for whom.
        assert "waiting: process " in error
        assert f"is at work on the training whose state is {FOLDER}" in error
    finally:
        for process in processes:
            process.kill()
    assert not Path("state").exists()


def wait_for_one_inside(processes: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    import select

    outputs = {p.stdout: p for p in processes}
    ready, _, _ = select.select(list(outputs), [], [], 60)
    assert len(ready) == 1, f"{len(ready)} processes hold the folder at once"
    assert ready[0].readline().startswith("in ")
    return outputs[ready[0]]


def test_a_killed_process_does_not_block_the_next() -> None:
    first = hold("first")
    assert wait_for_one_inside([first]) is first
    first.kill()
    first.wait()
    assert (FOLDER / "mine").read_text() == "first"
    with state_of_one_process(FOLDER) as folder:
        assert (folder / "mine").read_text() == "first"


# ------------------------------------------------------------------ the state file


def test_a_state_comes_back() -> None:
    file = StateFile(Path("state.pt"), {"lr": 0.1}, interval=60)
    assert file.load() is None
    file.save({"step": 3, "history": [{"loss": float("nan"), "epoch": 0}]})
    found = StateFile(Path("state.pt"), {"lr": 0.1}, interval=60).load()
    assert found is not None
    assert (found["step"], found["history"][0]["epoch"]) == (3, 0)


def test_a_state_of_something_else_is_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    StateFile(Path("state.pt"), {"lr": 0.1}, interval=60).save({"step": 3})
    assert StateFile(Path("state.pt"), {"lr": 0.2}, interval=60).load() is None
    expected = "state.pt belongs to other options, inputs or code; starting from the beginning\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("kind", ["empty", "text", "noise", "truncated", "pickle", "list"])
def test_a_corrupt_state_is_ignored(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    import pickle
    import random

    import torch

    path = Path("state.pt")
    file = StateFile(path, {}, interval=60)
    file.save({"step": 3, "model": {"w": torch.zeros(100)}})
    noise = random.Random(0).randbytes(500)
    contents = {
        "empty": b"",
        "text": b"hello\n" * 50,
        "noise": noise,
        "truncated": path.read_bytes()[:-200],
        "pickle": pickle.dumps(os.getcwd),  # a function: weights_only must refuse to load it
    }
    if kind == "list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(contents[kind])
    assert file.load() is None
    error = capsys.readouterr().err
    assert error.startswith("state.pt is not readable (")
    assert error.endswith("); starting from the beginning\n")


def test_every_byte_lost_is_noticed_or_does_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is wrong with the file, a job starts again instead of dying."""
    path = Path("state.pt")
    file = StateFile(path, {}, interval=60)
    file.save({"step": 3})
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + b"\xff" + content[position + 1 :])
        found = file.load()
        assert found is None or isinstance(found, dict)
    capsys.readouterr()


def test_the_fingerprint_depends_on_values_not_on_order() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_save_is_due_after_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    file = StateFile(Path("state.pt"), {}, interval=60)
    assert not file.is_due()
    now = 160.0
    assert file.is_due()
    file.save({"step": 1})
    assert not file.is_due()
    assert StateFile(Path("state.pt"), {}, interval=0).is_due()
