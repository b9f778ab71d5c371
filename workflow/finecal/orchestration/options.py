"""Options of Snakemake with which finecal cannot do what they promise: refused before anything else, or explained."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from snakemake.settings.enums import RerunTrigger

from finecal.errors import UserError
from finecal.orchestration.inputs import or_stop
from finecal.orchestration.lock import others_at_work
from finecal.plan.code_digests import Identity
from finecal.plan.identities import Identities
from finecal.plan.jobs import Job
from finecal.plan.records import read_record


def check_options(workflow: Any) -> None:
    """Refuse what would fail later, or give a wrong answer.

    Parameters
    ----------
    workflow
        Snakemake's.

    Raises
    ------
    UserError
        For a default storage and a database of notes elsewhere.
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


def guard_actions(workflow: Any) -> None:
    """Refuse what Snakemake does in place of running jobs where it fails or does harm, and say what it does not see.

    However it is asked for: on the command line, shortened, or in a profile.

    Parameters
    ----------
    workflow
        Snakemake's, before it does anything but read the Snakefile.
    """
    no_image = UserError(
        "`--containerize` is not possible",
        why="It describes an image with conda's packages, without finecal itself",
        hint="Install finecal in an image with pip (docs/install.md), and run Snakemake in it",
    )
    no_tests = UserError(
        "`--generate-unit-tests` is not possible",
        why="Such tests compare bytes, and results say how long they took",
        hint="`.ci/run` in a checkout runs finecal's own tests",
    )
    _before(workflow, "containerize", lambda: _refuse(no_image))
    _before(workflow, "generate_unit_tests", lambda: _refuse(no_tests))
    _before(workflow, "archive", lambda: _check_archive(Path(workflow.basedir)))
    for action, option in (("unlock", "--unlock"), ("delete_output", "--delete-all-output")):
        _before(workflow, action, partial(_check_alone, option))
    _before(workflow, "_build_dag", lambda: explain_triggers(workflow.rerun_triggers))


def check_room(cores: int | None, jobs: int | None) -> None:
    """Check that a job can run at all: with `--cores 0` or `--jobs 0` Snakemake waits for ever.

    Raises
    ------
    UserError
        If none can.
    """
    for option, number in (("--cores", cores), ("--jobs", jobs)):
        if number is not None and number < 1:
            raise UserError(
                f"`{option} {number}`: no job can run", hint=f"`{option} 1` or more; `-n` says what would run"
            )


def explain_triggers(triggers: Iterable[RerunTrigger]) -> None:
    """Say what Snakemake does not see with fewer `--rerun-triggers`."""
    if RerunTrigger.PARAMS not in triggers:
        print(
            "finecal: without `params` in --rerun-triggers Snakemake does not see that options or code have changed: "
            "results that are there stay as they are. `finecal why FILE` says what differs.",
            file=sys.stderr,
        )


def explain_touch(jobs: Iterable[Job], identities: Identities, below: str = "") -> None:
    """Say how many results `--touch` takes for those of the present options and code, though they are not.

    Parameters
    ----------
    below
        What a `module` statement puts before all paths.
    """
    others = [job.result for job in jobs if job.record.code and _is_of_other(job, identities, below)]
    if others:
        print(
            f"finecal: --touch: {len(others):,} results were made with other options or code than the present ones, "
            f"first {others[0]}; Snakemake takes them for up to date from now on. `finecal why FILE` says what "
            "differs, and what is deleted is made again.",
            file=sys.stderr,
        )


def _is_of_other(job: Job, identities: Identities, below: str) -> bool:
    result = Path(below, job.result)
    if not result.exists():
        return False
    try:
        made = Identity.recorded(read_record(result))
    except UserError:  # no table, or a damaged one: the job that reads it says so
        return False
    return made is not None and str(made) != str(identities.of(job.stage, job.wildcards))


def _before(workflow: Any, action: str, check: Callable[[], None]) -> None:
    """Let something be checked before an action of Snakemake's."""
    act = getattr(workflow, action)

    def checked(*given: Any, **named: Any) -> Any:
        or_stop(check)
        return act(*given, **named)

    setattr(workflow, action, checked)


def _refuse(error: UserError) -> None:
    raise error


def _check_archive(folder: Path) -> None:
    if not folder.resolve().is_relative_to(Path.cwd().resolve()):
        raise UserError(
            "`--archive` is not possible here", where=str(Path.cwd()),
            why=f"Rules and code lie in {folder}, and only what is below the working directory is archived",
            hint="Copy the folder in place of it (`cp -r`, `rsync`): finished results are not made again",
        )  # fmt: skip


def _check_alone(option: str) -> None:
    found = others_at_work()
    if found:
        raise UserError(
            f"{option} is not possible while {found} is at work here", where=str(Path.cwd()),
            why="It would take away what that one locks or makes", hint="Let it end, or end it, and try again",
        )  # fmt: skip
