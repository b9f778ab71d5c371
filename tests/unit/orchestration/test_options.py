"""Options of Snakemake with which finecal cannot do what they promise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.settings.types import StorageSettings, WorkflowSettings

from finecal.errors import UserError
from finecal.orchestration import options
from finecal.orchestration.options import check_options


def workflow(storage: str | None = None, url: str | None = None) -> Any:
    return SimpleNamespace(
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


def test_taken() -> None:
    check_options(workflow())
