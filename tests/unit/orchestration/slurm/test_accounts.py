"""How many jobs the accounts allow, with a pretended `sacctmgr`; tests/slurm asks a real one."""

from __future__ import annotations

import pytest
from slurm_jobs import Program, job

from finecal.orchestration.slurm.accounts import Payer, accounts_of_user, most_jobs, payers

# Account, partition, default QoS, QoS, most jobs of the user there, most of all.
ASSOCIATIONS = """\
four||normal|normal|4|
wide||normal|normal,fast,crowded|100|
wide|gpu|normal|normal|7|
open|||normal,fast||
shared||normal|normal||5
"""
OF_QOS = "normal|||\nfast|9||\ncrowded|50|20|15\n"


@pytest.fixture
def accounts(program: Program) -> None:
    answers = {"user": "wide", "assoc": ASSOCIATIONS, "qos": OF_QOS}
    cases = "".join(f"*show\\ {what}*) printf '{answer}';; " for what, answer in answers.items())
    program("sacctmgr", f'case "$*" in {cases} esac'.replace("\n", "\\n"))


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("asking", "most"),
    [
        ((Payer("four", None, None),), 4),
        ((Payer("FOUR", "normal", "gpu"),), 4),
        ((Payer(None, None, None),), 100),  # of the default account
        ((Payer("wide", None, "gpu"),), 7),  # the partition has an association of its own
        ((Payer("wide", "fast", None),), 9),  # a QoS' limit comes before that of the association
        ((Payer("wide", "crowded", None),), 15),
        ((Payer("open", "normal", None),), None),
        ((Payer("open", None, None),), None),  # no one knows which of the QoS: the most generous
        ((Payer("shared", None, None),), 5),
        ((Payer("four", None, None), Payer("wide", "fast", None)), 9),
        ((Payer("nobody", None, None),), None),
        ((), None),
    ],
)
def test_the_limit_of_those_who_pay(asking: tuple[Payer, ...], most: int | None) -> None:
    assert most_jobs(asking) == most


def test_accounts_of_another_cluster_do_not_count(program: Program) -> None:
    """One database knows those of several; a limit there says nothing of this one."""
    program("scontrol", "echo 'ClusterName             = here'")
    program("sacctmgr", 'case "$*" in *assoc*cluster=here*) echo "four||normal|normal|4|";; esac')
    assert most_jobs([Payer("four", None, None)]) == 4
    program("sacctmgr", 'case "$*" in *assoc*cluster=here*format=Account) echo four;; esac')
    assert accounts_of_user() == ["four"]


def test_accounts_that_cannot_be_read(program: Program) -> None:
    program("sacctmgr", "exit 1")
    assert most_jobs([Payer("four", None, None)]) is None
    assert accounts_of_user() == []


def test_who_pays_for_jobs() -> None:
    """A job with a GPU may have a partition of its own; of several partitions SLURM takes any."""
    jobs = [job(gpu=0, slurm_account="a"), job(slurm_partition="c", gpu_partition="g,h", qos="q"), job()]
    assert payers(jobs) == {
        Payer("a", None, None), Payer(None, "q", "g"), Payer(None, "q", "h"), Payer(None, None, None),
    }  # fmt: skip
