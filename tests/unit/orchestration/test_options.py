"""Options of Snakemake with which finecal cannot do what they promise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.settings.types import Batch, DAGSettings, StorageSettings, WorkflowSettings

from finecal.errors import UserError
from finecal.orchestration import options
from finecal.orchestration.options import check_batch, check_options


def workflow(batch: Batch | None = None, storage: str | None = None, url: str | None = None) -> Any:
    return SimpleNamespace(
        dag_settings=DAGSettings(batch=batch),
        rules=[
            SimpleNamespace(name="all", shellcmd=None),
            SimpleNamespace(name="report", shellcmd="exec finecal report {params.study}"),
        ],
        storage_settings=StorageSettings(default_storage_provider=storage),
        workflow_settings=WorkflowSettings(persistence_backend_db_url=url),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            workflow(storage="s3"),
            "`--default-storage-provider s3` is not possible. Jobs write their results into",
        ),
        (workflow(url="sqlite:///x"), "`--persistence-backend-db-url` is not possible. `finecal status` reads"),
    ],
)
def test_refused(given: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_options(given)
    assert str(caught.value).startswith(said)


def test_an_image_without_finecal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.sys, "argv", ["snakemake", "--containerize"])
    with pytest.raises(UserError, match="without finecal itself"):
        check_options(workflow())


def test_a_part_of_what_a_job_reads() -> None:
    with pytest.raises(
        UserError, match=r"`--batch report=1/3` is not possible\. report would be given a part"
    ) as caught:
        check_batch(workflow(Batch("report", 1, 3)))
    assert "`--batch all=1/3`" in str(caught.value)


def test_taken() -> None:
    check_options(workflow())
    check_batch(workflow())
    check_batch(workflow(Batch("all", 1, 3)))
