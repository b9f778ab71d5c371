"""What SLURM's reasons mean, and what is said of a job that it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from finecal.orchestration.slurm import reasons

FINAL = (
    "PartitionTimeLimit", "QOSMaxWallDurationPerJobLimit", "AssocMaxWallDurationPerJobLimit", "InvalidQOS",
    "QOSNotAllowed", "InvalidAccount", "AccountNotAllowed", "BadConstraints", "QOSMaxCpuPerJobLimit",
    "AssocMaxMemPerJob", "QOSMinGRES", "MaxMemPerLimit", "DeadLine", "ReservationDeleted",
    "Job's account not permitted to use this partition (closed allows few not root)",  # as SLURM 22.05 says it
)  # fmt: skip
LONG = (
    "JobHeldUser", "JobHeldAdmin", "QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "QOSGrpWallLimit", "QOSMaxGRESPerUser",
    "AssocGrpCPUMinutesLimit", "MaxGRESPerAccount", "launch failed requeued held", "job_requeued_in_held_state",
    "Reservation", "ReqNodeNotAvail, Reserved for maintenance", "PartitionDown",
)  # fmt: skip


@pytest.mark.parametrize("reason", FINAL)
def test_what_never_starts(reason: str) -> None:
    assert reasons.is_final(reason)
    assert reasons.advice(reason, "7", "finetune")


@pytest.mark.parametrize("reason", LONG)
def test_what_waits_long(reason: str) -> None:
    assert not reasons.is_final(reason)
    assert not reasons.is_usual(reason)
    assert reasons.advice(reason, "7", "finetune")


@pytest.mark.parametrize("reason", ["", "None", "Resources", "Priority", "BeginTime"])
def test_what_soon_starts(reason: str) -> None:
    assert reasons.is_usual(reason)
    assert not reasons.is_final(reason)


def test_a_held_job_is_named() -> None:
    assert "`scontrol release 7`" in reasons.advice("JobHeldUser", "7", "finetune")


def test_the_log_of_slurm_tells_what_the_state_does_not(tmp_path: Path) -> None:
    log = tmp_path / "7.log"
    log.write_text("".join(f"line {n}\n" for n in range(9)) + "slurmstepd: error: exceeded memory limit (2 > 1)\n\n")
    said = reasons.explain_failure("FAILED", log, "finetune", {"mem_mb": 300, "runtime": 5, "tmpdir": "/tmp"}, "290M")
    assert "    line 8\n    slurmstepd: error: exceeded memory limit (2 > 1)\n" in said
    assert "line 5\n" not in said
    assert "Asked for: 300 MB, 5 min; used: 290M." in said
    assert "`--set-resources finetune:mem_mb=…`" in said


@pytest.mark.parametrize(
    "said",
    ["Step 7.0 exceeded memory limit (2 > 1), being killed", "Exceeded job memory limit", "Detected 1 oom-kill event"],
)
def test_too_much_memory_in_slurms_words(said: str, tmp_path: Path) -> None:
    log = tmp_path / "7.log"
    log.write_text(f"slurmstepd-n1: error: {said}\n")
    assert "finetune:mem_mb=" in reasons.explain_failure("FAILED", log, "finetune", {})


@pytest.mark.parametrize(("outcome", "option"), [("TIMEOUT", "runtime"), ("OUT_OF_MEMORY", "mem_mb"), ("FAILED", "")])
def test_what_to_change(outcome: str, option: str) -> None:
    said = reasons.explain_failure(outcome, None, "finetune", {})
    assert (f"finetune:{option}=" in said) == bool(option)
