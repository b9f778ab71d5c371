"""What the rules may use of machines."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.resources import Resources

from finecal.errors import UserError
from finecal.orchestration.rules import GPU_PERCENT, check_writable, limit_gpu, use_cores_of_nodes


class Job:
    """As Snakemake's: works out its threads once, unless it is told that this is another try."""

    def __init__(self, workflow: Any) -> None:
        self.workflow, self.known, self._attempt = workflow, 0, 1

    @property
    def attempt(self) -> int:
        return self._attempt

    @attempt.setter
    def attempt(self, attempt: int) -> None:
        self._attempt, self.known = attempt, 0

    @property
    def threads(self) -> int:
        self.known = self.known or min(8, self.workflow.global_resources["_cores"].value)
        return self.known


def test_the_cores_of_this_machine_limit_no_job_of_a_cluster() -> None:
    """Though profiles/default, which is loaded beside the profile of a cluster, says `cores: all`."""
    workflow: Any = SimpleNamespace(
        resource_settings=SimpleNamespace(cores=2), global_resources=Resources.from_mapping({"_cores": 2})
    )
    job = Job(workflow)
    workflow.dag = SimpleNamespace(needrun_jobs=lambda: [job])
    assert job.threads == 2
    use_cores_of_nodes(workflow)
    assert (job.threads, job.attempt, workflow.resource_settings.cores) == (8, 1, sys.maxsize)


@pytest.mark.parametrize(("given", "percent"), [({}, 100), ({"disk_mb": 5}, 100), ({GPU_PERCENT: 200}, 200)])
def test_trainings_take_turns_whatever_resources_are_given(given: dict[str, int], percent: int) -> None:
    workflow: Any = SimpleNamespace(global_resources=Resources.from_mapping(given))
    limit_gpu(workflow)
    assert workflow.global_resources[GPU_PERCENT].value == percent


def test_a_folder_that_another_job_removes_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of states is removed when it is empty, by a job of another Snakemake."""
    monkeypatch.chdir(tmp_path)
    access = os.access

    def gone(path: Path, mode: int) -> bool:
        with suppress(OSError):
            Path("state").rmdir()
        return access(path, mode)

    monkeypatch.setattr(os, "access", gone)
    Path("state").mkdir()
    check_writable(Path("state"))
    assert not Path("state").exists()


def test_a_file_in_place_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable(Path("logs"))
    assert not [*tmp_path.iterdir()]
    Path("logs").write_text("")
    with pytest.raises(UserError, match=r"'logs' is not a folder\. Jobs are to write there"):
        check_writable(Path("logs"))
