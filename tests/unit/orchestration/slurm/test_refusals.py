"""Which of SLURM's refusals time heals."""

from __future__ import annotations

import pytest

from finecal.orchestration.slurm.refusals import heals, reason_of

POLICY = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, size)"
SUBMIT = f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}"
WALL = f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{POLICY}"
CONTROLLER = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
FULL = "sbatch: error: Batch job submission failed: Resource temporarily unavailable"
ACCOUNT = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"


# What else `sbatch` says of a controller, a partition or a site that take no jobs for now, in SLURM's own words.
FOR_NOW = (
    "Socket timed out on send/recv operation", "Zero Bytes were transmitted or received", "Message receive failure",
    "Slurm backup controller in standby mode", "Controller is in standby mode, try a different controller",
    "Unable to create job record, try again", "I/O error writing script/environment to file",
    "Required partition not available (inactive or drain)", "Partition in DOWN state", "System submissions disabled",
    "Unable to connect to database", "Protocol authentication error", "Invalid authentication credential",
    "Failed to connect to authentication agent", "RPC rate limit exceeded 5 times",
)  # fmt: skip


@pytest.mark.parametrize("said", [SUBMIT, CONTROLLER, FULL, "QOSMaxSubmitJobPerUserLimit", *FOR_NOW])
def test_what_time_heals(said: str) -> None:
    assert heals(said)


@pytest.mark.parametrize("said", [WALL, ACCOUNT, "", POLICY])
def test_what_it_does_not(said: str) -> None:
    assert not heals(said)


def test_a_limit_without_a_name_may_be_one_on_jobs_if_there_are_some() -> None:
    assert heals(POLICY, others_live=True)
    assert not heals(WALL, others_live=True)


def test_the_reason_stands_in_one_line_without_the_words_of_sbatch() -> None:
    assert reason_of(WALL).startswith("QOSMaxWallDurationPerJobLimit: Job violates accounting/QOS policy")
    assert reason_of("allocation failure: Invalid qos specification\n") == "Invalid qos specification"
