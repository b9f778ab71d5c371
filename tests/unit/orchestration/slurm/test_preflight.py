"""Checks before the first job, with a pretended `sbatch`; tests/slurm asks a real one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slurm_jobs import Program, Resources, job

from finecal.errors import UserError
from finecal.orchestration.slurm import limits
from finecal.orchestration.slurm.gpus import gpu_options
from finecal.orchestration.slurm.preflight import check_executor, check_requests, check_slurm

SETTINGS = SimpleNamespace(requeue=True, no_requeue=False, qos=None, reservation=None)


def ask(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *jobs: Any,
    refusal: str = "",
    runs_per_gpu: int = 1,
    script: str = "",
) -> list[str]:
    """The calls of sbatch, which refuses jobs with a GPU, or does what a script says."""
    script = f'#!/bin/sh\necho "$*" >> {folder}/calls\n{script}'
    if refusal:
        script += f"case \"$*\" in *--gpus*|*--gres=gpu*) echo 'allocation failure: {refusal}' >&2; exit 1;; esac\n"
    (folder / "sbatch").write_text(script)
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(limits, "longest", lambda _: 100)
    for one in jobs:
        one.resources = Resources({"runtime": 120, **one.resources})
    check_requests(jobs, runs_per_gpu, SETTINGS)
    return (folder / "calls").read_text().splitlines()


def test_each_place_is_asked_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the most that is asked for there, and no more time than the partition grants."""
    jobs = [job(), job(mem_mb=300), job("evaluate", gpu=0, qos="night", slurm_account="me"), job(mem_mb=200)]
    gpu, cpu = ask(tmp_path, monkeypatch, *jobs)
    assert "--test-only" in gpu
    assert "--mem 286 " in gpu
    assert "--gpus=1" in gpu
    assert " -t 100 " in gpu
    assert "--qos=night" in cpu
    assert "-A me" in cpu
    assert "--gpus" not in cpu


def test_members_are_asked_about_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (call,) = ask(tmp_path, monkeypatch, *(job() for _ in range(3)), runs_per_gpu=4)
    assert "--mem 286 " in call


@pytest.mark.parametrize(
    ("refusal", "key"),
    [
        ("Invalid qos specification", "qos"),
        ("Invalid account or account/partition combination specified", "account"),
        ("Invalid generic resource (gres) specification", "gpu_model"),
        ("Requested node configuration is not available", "gpu_model, partition"),
        ("No partition specified or system default partition", "partition, cpu_partition"),
        ("Group not permitted to use this partition", "partition, cpu_partition"),
        ("Invalid GRES specification (with and without type identification)", "gpu_model, gpu_share"),
        ("Time limit specification required, but not provided", "default-resources: runtime"),
        ("Requested reservation is invalid", "finecal-slurm-reservation"),
        ("Access denied to requested reservation", "finecal-slurm-reservation"),
        ("Invalid wckey specification", "default-resources: slurm_extra"),
        ("Invalid license specification", "default-resources: slurm_extra"),
        ("Requested account has breached requested QOS usage threshold", "account, qos"),
    ],
)
def test_what_slurm_never_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: str, key: str) -> None:
    with pytest.raises(UserError) as error:
        ask(tmp_path, monkeypatch, job("evaluate", gpu=0), job(gpu_model="h100"), refusal=refusal)
    assert f"profiles/slurm: {key}" in str(error.value)
    assert f"those of finetune: {refusal}." in str(error.value)
    assert "gpu_model=h100" in str(error.value)


@pytest.mark.parametrize(("known", "asked"), [("--gpus-per-node", "--gpus-per-node=1"), ("--gres", "--gres=gpu:1")])
def test_gpus_are_asked_for_as_the_site_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str, asked: str
) -> None:
    """With select/linear `--gpus` is no option; the jobs ask as the check did."""
    script = f"case \"$*\" in *{known}=*) ;; *) echo 'Invalid generic resource (gres) specification' >&2; exit 1;; esac"
    calls = ask(tmp_path, monkeypatch, job(), script=script)
    assert asked in calls[-1]
    assert gpu_options({"gpu": 1}) == f" {asked}"


def test_a_wrong_account_is_answered_with_those_that_one_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sacctmgr").write_text("#!/bin/sh\necho physics\necho biology\necho physics\n")
    (tmp_path / "sacctmgr").chmod(0o755)
    with pytest.raises(UserError, match=r"`account`.*Yours are: biology, physics"):
        ask(tmp_path, monkeypatch, job(), refusal="Invalid account or account/partition combination specified")


def test_what_may_be_over_later_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "Job violates accounting/QOS policy (job submit limit)"
    assert len(ask(tmp_path, monkeypatch, job(), refusal=refusal)) == 1


def test_nodes_that_are_down_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--test-only` says of them what it says of nodes that there are not; a real job is taken, and cancelled."""
    (tmp_path / "scancel").write_text(f'#!/bin/sh\necho "scancel $*" >> {tmp_path}/calls\n')
    (tmp_path / "scancel").chmod(0o755)
    says = "echo 'allocation failure: Requested node configuration is not available' >&2; exit 1"
    script = f'case "$*" in *--test-only*) {says};; esac\necho 17\n'
    calls = ask(tmp_path, monkeypatch, job(), script=script)
    assert ["--test-only" in call for call in calls] == [True, False, False]
    assert calls[-1] == "scancel 17"


def test_what_only_a_sites_own_check_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is known to be wrong; but a real job was refused, too."""
    with pytest.raises(
        UserError, match=r"profiles/slurm: SLURM takes no job like those of finetune: name your project"
    ):
        ask(tmp_path, monkeypatch, job(), refusal="name your project")
    assert ["--test-only" in call for call in (tmp_path / "calls").read_text().splitlines()[:2]] == [True, False]


def test_jobs_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SLURM is asked for instead of a job's own resources is not written into Snakemake's job."""
    one = job(slurm_partition="cpu", gpu_partition="gpu", gpu_type="a100")
    (call,) = ask(tmp_path, monkeypatch, one)
    assert "-p gpu" in call
    assert "--gpus=a100:1" in call
    assert (one.resources.slurm_partition, one.resources["runtime"]) == ("cpu", 120)
    assert "gpu_model" not in one.resources


def test_the_plugins_own_executor_is_refused() -> None:
    with pytest.raises(UserError, match=r"executor 'slurm'.*`--profile profiles/slurm`.*`executor: finecal-slurm`"):
        check_executor("slurm")
    for fine in ("finecal-slurm", "local", "dryrun"):
        check_executor(fine)


def test_slurm_that_does_not_answer(program: Program) -> None:
    program("sbatch", "")
    program("sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(UserError, match="SLURM does not answer: slurm_load_partitions: Unable to contact"):
        check_slurm([])
