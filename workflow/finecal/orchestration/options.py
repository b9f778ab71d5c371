"""Options of Snakemake with which finecal cannot do what they promise: refused before anything else."""

from __future__ import annotations

import sys
from typing import Any

from finecal.errors import UserError


def check_options(workflow: Any) -> None:
    """Refuse what would fail later, or give a wrong answer.

    Parameters
    ----------
    workflow
        Snakemake's.

    Raises
    ------
    UserError
        For a default storage, a database of notes elsewhere, and `--containerize`.
    """
    provider = workflow.storage_settings.default_storage_provider
    if provider is not None:
        raise UserError(
            f"`--default-storage-provider {provider}` is not possible",
            why="Jobs write their results into `results/` of the working directory",
            hint="Work in a folder of that storage, mounted: `snakemake --directory DIR`",
        )
    if workflow.workflow_settings.persistence_backend_db_url:
        raise UserError(
            "`--persistence-backend-db-url` is not possible",
            why="`finecal status` reads Snakemake's notes in .snakemake",
            hint="`--persistence-backend db` keeps them there in one file",
        )
    if "--containerize" in sys.argv:
        raise UserError(
            "`--containerize` is not possible",
            why="It describes an image with conda's packages, without finecal itself",
            hint="Install finecal in an image with pip (docs/install.md), and run Snakemake in it",
        )
