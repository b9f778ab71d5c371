"""What becomes of a job that was to follow others in their SLURM job, and of the folders of SLURM jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm_jobs import job

from finecal.orchestration.slurm import markers
from finecal.orchestration.slurm.shared_jobs import MAIN, Follower, SharedJobs, link_to


class Planned:
    """A training and what follows it, in the folder of a SLURM job, as the executor leaves it."""

    def __init__(self, place: Path, *elsewhere: Path, number: str = "7") -> None:
        place.mkdir()
        self.shared = SharedJobs(keep=False)
        self.training, self.job, self.last = job("finetune"), job("extract"), job("evaluate")
        self.member, script, last = (place / f"{name}.sh" for name in ("0", "1", "2"))
        needs = [self.member, *elsewhere]
        self.follower = Follower(script, needs, {need.parent for need in needs})
        self.followers = {self.job: self.follower, self.last: Follower(last, [self.member, script], {place})}
        for one in (self.member, script, last):
            one.touch()
        self.shared.add(number, {self.training: self.member}, self.followers)


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    return Planned(tmp_path / "shared")


def test_a_follower_is_of_use_once(planned: Planned) -> None:
    markers.write_status(planned.member, 0)
    assert planned.shared.is_follower(planned.job)
    assert planned.shared.start(planned.job) is planned.follower
    assert planned.shared.numbers(planned.follower) == ["7"]
    assert not planned.follower.is_stale
    assert planned.shared.start(planned.job) is None
    assert planned.shared.start(job()) is None


def not_the_first_try(planned: Planned) -> None:
    markers.write_status(planned.member, 0)
    planned.job.attempt = 2


def not_what_it_needed(planned: Planned) -> None:
    markers.write_status(planned.member, 3)


@pytest.mark.parametrize("change", [not_the_first_try, not_what_it_needed])
def test_a_follower_that_is_of_no_use_is_taken_back(planned: Planned, change: Callable[[Planned], None]) -> None:
    change(planned)
    assert planned.shared.start(planned.job) is None
    assert markers.taken_by(planned.follower.script) == MAIN
    assert not markers.claim(planned.follower.script, "7")
    assert planned.shared.script_of(planned.job) is None


def test_what_follows_a_member_that_failed_is_taken_back(planned: Planned) -> None:
    planned.shared.forget(planned.training, planned.member)
    assert planned.shared.script_of(planned.training) is None
    for one, follower in planned.followers.items():
        assert not planned.shared.is_follower(one)
        assert markers.taken_by(follower.script) == MAIN


def test_what_has_begun_with_what_is_made_again_is_stale(planned: Planned) -> None:
    """Snakemake was not content with the outputs of a member that had ended with 0."""
    markers.write_status(planned.member, 0)
    assert markers.claim(planned.follower.script, "7")
    planned.shared.forget(planned.training, planned.member)
    started = planned.shared.start(planned.job)
    assert started is planned.follower
    assert started.is_stale
    assert planned.shared.start(planned.last) is None  # it had not begun


def test_when_nobody_will_run_a_follower(tmp_path: Path) -> None:
    """Not before all SLURM jobs are over of which the launcher may run it: their launcher or SLURM says so."""
    other = tmp_path / "other"
    other.mkdir()
    need = other / "0.sh"
    planned = Planned(tmp_path / "shared", need)
    shared = planned.shared
    shared.add("8", {job(): need}, {})
    assert not shared.will_never_run(planned.follower)
    markers.closed_file(planned.member.parent).touch()
    assert not shared.will_never_run(planned.follower)
    assert list(shared.living()) == ["8"]
    shared.note_end("8")
    assert shared.will_never_run(planned.follower)
    assert list(shared.living()) == []
    assert markers.claim(planned.follower.script, "8")
    assert not shared.will_never_run(planned.follower)
    assert shared.numbers(planned.follower) == ["8"]


def test_a_folder_goes_when_nothing_in_it_is_of_use(tmp_path: Path) -> None:
    """What is needed elsewhere stays until that has ended."""
    first = Planned(tmp_path / "first")
    second_member, follower = tmp_path / "second/0.sh", Follower(tmp_path / "second/1.sh", [], set())
    second_member.parent.mkdir()
    follower.folders = {tmp_path / "first", tmp_path / "second"}
    scores: Any = job("evaluate")
    first.shared.add("8", {job(): second_member}, {scores: follower})
    first.shared.settle(first.member)
    for one in first.followers.values():
        assert first.member.parent.exists()
        first.shared.settle(one.script, one)
    assert first.member.parent.exists()
    first.shared.settle(second_member)
    assert second_member.parent.exists()
    assert first.shared.take_back(scores, follower)
    assert not first.member.parent.exists()
    assert not second_member.parent.exists()


def test_folders_stay_where_logs_are_kept(planned: Planned) -> None:
    planned.shared._keep = True
    for script in (planned.member, *(one.script for one in planned.followers.values())):
        planned.shared.settle(script)
    assert planned.member.exists()


def test_links_for_other_launchers(planned: Planned, tmp_path: Path) -> None:
    """Scripts of the same name in several folders do not get in each other's way."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.sh").write_text(name)
        link_to(tmp_path / name / "1.sh", [planned.member.parent])
    links = [file for file in planned.member.parent.iterdir() if file.is_symlink()]
    assert sorted(file.read_text() for file in links) == ["a", "b"]
    assert all(file.suffix == markers.SCRIPT for file in links)
