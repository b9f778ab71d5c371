"""Members of a SLURM job, started by the launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finecal.orchestration.slurm import launcher


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(folder), *options], start_new_session=True
    )


def scripts(folder: Path, *texts: str) -> list[Path]:
    made = [folder / f"{place}.sh" for place in range(len(texts))]
    for script, text in zip(made, texts, strict=True):
        script.write_text(text)
    return made


def until_asked(ready: Path, answer: str) -> str:
    """A member that works until SIGTERM, then answers: in short sleeps, for a signal may come before one begins."""
    return f"trap '{answer}' TERM; touch {ready}; for _ in $(seq 600); do sleep 0.1; done"


def test_a_member_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    made = scripts(tmp_path, "sleep 1; echo done", "echo broken >&2; exit 3", "kill -KILL $$")
    assert start(tmp_path).wait(30) == 0
    assert [launcher.read_status(script) for script in made] == [0, 3, -signal.SIGKILL]
    assert [script.with_suffix(".log").read_text() for script in made] == ["done\n", "broken\n", ""]


@pytest.mark.parametrize("options", [[], [launcher.IN_TURN]])
def test_side_by_side_or_in_turn(tmp_path: Path, options: list[str]) -> None:
    """Each notes how many are at work when it begins."""
    note = f"cd {tmp_path}; touch working$$; sleep 0.5; ls | grep -c working; sleep 1; rm working$$; exit 3"
    made = scripts(tmp_path, note, note)
    assert start(tmp_path, *options).wait(30) == 0
    assert [launcher.read_status(script) for script in made] == [3, 3]
    at_work = [script.with_suffix(".log").read_text().strip() for script in made]
    assert at_work == (["1", "1"] if options else ["2", "2"])


def test_who_waits_for_its_turn_does_not_start_after_the_end(tmp_path: Path) -> None:
    made = scripts(tmp_path, until_asked(tmp_path / "ready", "exit 0"), f"touch {tmp_path}/second")
    process = start(tmp_path, launcher.IN_TURN)
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert [launcher.read_status(script) for script in made] == [0, None]
    assert not (tmp_path / "second").exists()


def test_members_with_a_status_do_not_run_again(tmp_path: Path) -> None:
    """As when SLURM starts the job again after the loss of its node."""
    made = scripts(tmp_path, "touch first", "touch second")
    launcher.status_file(made[0]).write_text("0")
    assert (
        subprocess.run(
            [sys.executable, "-m", "finecal.orchestration.slurm.launcher", "."], cwd=tmp_path, check=False
        ).returncode
        == 0
    )
    assert not (tmp_path / "first").exists()
    assert (tmp_path / "second").exists()


def test_a_full_disk_leaves_the_others_alone(tmp_path: Path) -> None:
    """Of one neither the log nor, of another, the status can be written: folders lie in their place."""
    made = scripts(tmp_path, *(f"touch {tmp_path}/{name}" for name in ("first", "second", "third")))
    made[0].with_suffix(".log").mkdir()
    (tmp_path / f".{launcher.status_file(made[1]).name}").mkdir()
    assert start(tmp_path).wait(30) == 128 + signal.SIGTERM
    assert [launcher.read_status(script) for script in made] == [None, None, 0]
    assert (tmp_path / "third").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("place", [".log", ".status"])
def test_a_disk_that_is_full_for_messages_too(tmp_path: Path, place: str) -> None:
    """Neither what one left can be noted nor that it could not: the next runs all the same."""
    made = scripts(tmp_path, f"touch {tmp_path}/first", f"touch {tmp_path}/second")
    taken = made[0].with_suffix(".log") if place == ".log" else tmp_path / ".0.status"
    taken.mkdir()
    command = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(tmp_path), launcher.IN_TURN]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, timeout=30, check=False).returncode == 128 + signal.SIGTERM
    assert (tmp_path / "second").exists()
    assert [launcher.read_status(script) for script in made] == [None, 0]


def test_a_folder_that_the_node_does_not_see(tmp_path: Path) -> None:
    """Not a success: SLURM is to say that the job has failed."""
    assert start(tmp_path / "elsewhere").wait(30) == 1


def test_who_is_ended_leaves_no_status(tmp_path: Path) -> None:
    """The launcher waits for what the members make of a SIGTERM; one may have just finished."""
    answers = ("exit 0", "sleep 1; exit 143")
    made = scripts(tmp_path, *(until_asked(tmp_path / f"ready{place}", text) for place, text in enumerate(answers)))
    process = start(tmp_path)
    while not all((tmp_path / f"ready{place}").exists() for place in (0, 1)):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert [launcher.read_status(script) for script in made] == [0, None]
