"""Members of a SLURM job, started by the launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from finecal.orchestration.modules import below_prefix
from finecal.orchestration.slurm import launcher, markers
from finecal.orchestration.slurm.launcher import AT_A_TIME, BELOW, STAGES
from finecal.orchestration.slurm.submitting import warm_options


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
    assert [markers.read_status(script) for script in made] == [0, 3, -signal.SIGKILL]
    assert [script.with_suffix(".log").read_text() for script in made] == ["done\n", "broken\n", ""]


@pytest.mark.parametrize("options", [[], [AT_A_TIME, "1"]])
def test_side_by_side_or_in_turn(tmp_path: Path, options: list[str]) -> None:
    """Each notes how many are at work when it begins."""
    note = f"cd {tmp_path}; touch working$$; sleep 0.5; ls | grep -c working; sleep 1; rm working$$; exit 3"
    made = scripts(tmp_path, note, note)
    assert start(tmp_path, *options).wait(30) == 0
    assert [markers.read_status(script) for script in made] == [3, 3]
    at_work = [script.with_suffix(".log").read_text().strip() for script in made]
    assert at_work == (["1", "1"] if options else ["2", "2"])


def test_who_waits_for_its_turn_does_not_start_after_the_end(tmp_path: Path) -> None:
    made = scripts(tmp_path, until_asked(tmp_path / "ready", "exit 0"), f"touch {tmp_path}/second")
    process = start(tmp_path, AT_A_TIME, "1")
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert [markers.read_status(script) for script in made] == [0, None]
    assert not (tmp_path / "second").exists()


def test_members_with_a_status_do_not_run_again(tmp_path: Path) -> None:
    """As when SLURM starts the job again after the loss of its node."""
    made = scripts(tmp_path, "touch first", "touch second")
    markers.status_file(made[0]).write_text("0")
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
    (tmp_path / f".{markers.status_file(made[1]).name}").mkdir()
    assert start(tmp_path).wait(30) == 128 + signal.SIGTERM
    assert [markers.read_status(script) for script in made] == [None, None, 0]
    assert (tmp_path / "third").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("place", [".log", ".status"])
def test_a_disk_that_is_full_for_messages_too(tmp_path: Path, place: str) -> None:
    """Neither what one left can be noted nor that it could not: the next runs all the same."""
    made = scripts(tmp_path, f"touch {tmp_path}/first", f"touch {tmp_path}/second")
    taken = made[0].with_suffix(".log") if place == ".log" else tmp_path / ".0.status"
    taken.mkdir()
    command = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(tmp_path), AT_A_TIME, "1"]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, timeout=30, check=False).returncode == 128 + signal.SIGTERM
    assert (tmp_path / "second").exists()
    assert [markers.read_status(script) for script in made] == [None, 0]


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
    assert [markers.read_status(script) for script in made] == [0, None]


def follower(folder: Path, name: str, text: str, *needs: Path) -> Path:
    script = folder / f"{name}.sh"
    markers.write_needs(script, needs)
    script.write_text(text)
    return script


def test_the_launcher_may_learn_last_that_all_are_ended(tmp_path: Path) -> None:
    """The same signal goes to all: no member has failed by itself."""
    (member,) = scripts(tmp_path, f"trap : EXIT; touch {tmp_path}/ended; kill -TERM $$")
    process = start(tmp_path)
    while not (tmp_path / "ended").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    assert markers.read_status(member) is None


def test_a_member_may_be_ended_alone(tmp_path: Path) -> None:
    made = scripts(tmp_path, "kill -TERM $$", "sleep 0.5")
    assert start(tmp_path).wait(30) == 0
    assert [markers.read_status(script) for script in made] == [-signal.SIGTERM, 0]


def test_followers_run_one_at_a_time_when_all_that_they_need_has_succeeded(tmp_path: Path) -> None:
    """Those of a member that fails do not run, nor those of these."""
    at_work = f"cd {tmp_path}; touch work$$; sleep 0.3; ls | grep -c work; rm work$$"
    good, bad = scripts(tmp_path, "sleep 0.2", "exit 3")
    first = follower(tmp_path, "2", at_work, good)
    second = follower(tmp_path, "3", f"{at_work}; cat {first.with_suffix('.status')}", first, good)
    third = follower(tmp_path, "4", at_work, good)
    never = [follower(tmp_path, "5", "true", bad), follower(tmp_path, "6", "true", tmp_path / "5.sh")]
    assert start(tmp_path).wait(30) == 0  # they are submitted by themselves
    assert [markers.read_status(script) for script in (good, bad, first, second, third)] == [0, 3, 0, 0, 0]
    logs = [script.with_suffix(".log").read_text().split() for script in (first, second, third)]
    assert logs == [["1"], ["1", "0"], ["1"]]
    assert [(markers.read_status(script), markers.taken_by(script)) for script in never] == [(None, None)] * 2
    assert markers.closed_file(tmp_path).exists()


def test_members_come_before_followers(tmp_path: Path) -> None:
    """Where one runs at a time, a GPU is not to wait."""
    made = scripts(tmp_path, *(f"echo {place} >> {tmp_path}/order" for place in (0, 1)))
    follower(tmp_path, "2", f"echo 2 >> {tmp_path}/order", made[0])
    assert start(tmp_path, AT_A_TIME, "1").wait(30) == 0
    assert (tmp_path / "order").read_text().split() == ["0", "1", "2"]


def test_the_launcher_that_finds_last_that_nothing_is_missing_runs_a_follower(tmp_path: Path) -> None:
    """It needs members of two SLURM jobs; the one without its script has a link to it."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    needs = [*scripts(here, "true"), *scripts(there, f"echo late; sleep 0.2; ls {here}")]
    waiting = follower(here, "1", "echo $SLURM_JOB_ID", *needs)
    (there / "here.1.sh").symlink_to(waiting)
    for folder, number in ((here, "7"), (there, "8")):
        command = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(folder)]
        subprocess.run(command, env={**os.environ, "SLURM_JOB_ID": number}, check=True, timeout=30)
        if folder == here:
            assert markers.closed_file(here).exists()
            assert markers.taken_by(waiting) is None
    assert markers.taken_by(waiting) == "8"
    assert markers.read_status(waiting) == 0
    assert waiting.with_suffix(".log").read_text() == "8\n"


def test_a_follower_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    """By Snakemake, which submits it by itself, or by another SLURM job; but not by this one before it was requeued."""
    (member,) = scripts(tmp_path, "true")
    made = [follower(tmp_path, name, "true", member) for name in ("1", "2", "3")]
    for script, name in zip(made, ("snakemake", "7", "8"), strict=True):
        assert markers.claim(script, name)
    assert not markers.claim(made[0], "8")
    markers.closed_file(tmp_path).touch()
    command = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(tmp_path)]
    subprocess.run(command, env={**os.environ, "SLURM_JOB_ID": "8"}, check=True, timeout=30)
    assert [markers.read_status(script) for script in made] == [None, None, 0]


def test_nothing_follows_the_end(tmp_path: Path) -> None:
    """A member that has succeeded after a SIGTERM; SLURM may start the job again, so its folder is not closed."""
    (member,) = scripts(tmp_path, until_asked(tmp_path / "ready", "exit 0"))
    waiting = follower(tmp_path, "1", "true", member)
    process = start(tmp_path)
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 0
    assert markers.read_status(member) == 0
    assert markers.taken_by(waiting) is None
    assert not markers.closed_file(tmp_path).exists()
    assert start(tmp_path).wait(30) == 0
    assert markers.read_status(waiting) == 0


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    """Of a SLURM job that could not be submitted."""
    scripts(tmp_path, "true")
    (tmp_path / "gone.0001.sh").symlink_to(tmp_path / "gone" / "0001.sh")
    assert start(tmp_path).wait(30) == 0


def test_jobs_of_stages_are_forks_of_one_process(tmp_path: Path) -> None:
    """The command is found where the client of the warm process is; it does what it does elsewhere."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (script,) = scripts(tmp_path, "finecal --version; command -v finecal")
    command = [sys.executable, "-m", "finecal.orchestration.slurm.launcher", str(tmp_path), STAGES, "split"]
    subprocess.run(command, env={**os.environ, "PATH": path}, check=True, timeout=60)
    version, program = script.with_suffix(".log").read_text().splitlines()
    assert version.startswith("finecal ")
    assert "finecal-warm-" in program


def test_the_common_process_of_a_module_with_a_prefix_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the prefix when it is imported; each member says its own, and one of another module has another."""
    seen: list[Mapping[str, str]] = []

    @contextmanager
    def started(stages: list[str], environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
        seen.append(environment)
        yield {**environment, "PATH": "there:" + environment["PATH"]}

    monkeypatch.setattr(launcher, "started", started)
    (script,) = scripts(tmp_path, 'echo "$FINECAL_BELOW" "${PATH%%:*}"')
    rule = SimpleNamespace(shellcmd=below_prefix("exec finecal split {output}", "mine/"))
    options = warm_options([SimpleNamespace(rule=SimpleNamespace(shellcmd="true")), SimpleNamespace(rule=rule)])
    assert options == [BELOW, "mine/", STAGES, "split"]
    monkeypatch.setattr(sys, "argv", ["launcher", str(tmp_path), *options])
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the tests go on in this process
    assert launcher.main() == 0
    assert [environment["FINECAL_BELOW"] for environment in seen] == ["mine/"]
    assert script.with_suffix(".log").read_text() == " there\n"
    assert warm_options([]) == []
