"""Whether `--directory` names the folder that was meant: Snakemake makes one that is not there."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from finecal.config.settings import is_configured, parse_settings
from finecal.errors import UserError

CONFIGURATION = "config.yaml"
OF_SNAKEMAKE = ".snakemake"
LOG = "log"  # what Snakemake makes there before it reads the Snakefile


def check_place(workflow: Any) -> None:
    """Check that the folder of `--directory` has a configuration, or that the command line says what to make there.

    In a folder that has been worked in, the default is made, as is said.

    Parameters
    ----------
    workflow
        Snakemake's, whose working directory is that folder.

    Raises
    ------
    UserError
        If the folder is new or empty; then it is removed again.
    """
    settings = workflow.config_settings
    is_told = settings.configfiles or any(str(one).startswith("studies") for one in settings.config_args or [])
    if is_told or is_configured() or workflow.overwrite_workdir is None:
        return
    folder = Path.cwd()
    studies = ", ".join(parse_settings(dict(workflow.globals["config"])).studies)
    if not _is_new(folder):
        print(f"finecal: no {CONFIGURATION} in {folder}, so this makes {studies}, the default, there", file=sys.stderr)
        return
    os.chdir(folder.parent)
    shutil.rmtree(folder / OF_SNAKEMAKE, ignore_errors=True)
    with suppress(OSError):  # another Snakemake has just begun there
        folder.rmdir()
    others = [one.name for one in folder.parent.iterdir() if (one / CONFIGURATION).is_file()]
    close = difflib.get_close_matches(folder.name, others, n=1)
    raise UserError(
        f"no {CONFIGURATION} in {folder}, which is new or empty", where="--directory",
        why=f"Nothing was made there{f'. Beside it is {folder.parent / close[0]}' if close else ''}",
        hint=f"Write {CONFIGURATION} there first; or say what to make: `--config 'studies=[{studies}]'`",
    )  # fmt: skip


def _is_new(folder: Path) -> bool:
    """Return whether nobody has put anything there but this Snakemake."""
    own = folder / OF_SNAKEMAKE
    made = {one.name for one in own.iterdir()} if own.is_dir() else set()
    return {one.name for one in folder.iterdir()} <= {OF_SNAKEMAKE} and made <= {LOG}
