"""Say why a result would be made again, by comparing what made it with what would make it now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from finecal.errors import UserError
from finecal.io.provenance import sha256
from finecal.plan.code_digests import Identity
from finecal.plan.identities import Identities, changed_modules
from finecal.plan.jobs import Job, job_of, jobs
from finecal.plan.options import changed_options
from finecal.plan.plan import Plan
from finecal.plan.records import read_record


def explain(plan: Plan, path: str | Path) -> str:
    """Say in words what differs between what made a file and what would make it now.

    Options are named by key path with their old and new value, code by module, inputs by file.

    Parameters
    ----------
    plan
        Of the selected studies.
    path
        An output of a job, relative to the working directory.

    Raises
    ------
    UserError
        If no job of the selected studies makes the file, or it is not there.
    """
    job = job_of(plan, Path(path))
    if not Path(path).exists():
        raise UserError("this file is missing", where=str(path), hint=f"snakemake {path} makes it")
    found = [f"  {line}" for line in _own_differences(plan, job)]
    for source in _made_before(plan, job):
        found += [f"  {source.result} would be made again: {line}" for line in _own_differences(plan, source)]
    if not found:
        return f"{path} is what would be made now."
    return "\n".join([f"{path} would be made again:", *found])


def _own_differences(plan: Plan, job: Job) -> Iterator[str]:
    """Yield what differs for the job itself, whatever differs for the jobs before it."""
    missing = [str(output) for output in job.outputs if not output.exists()]
    if missing:
        yield f"missing: {', '.join(missing)}"
    if not job.record.code or not job.result.exists():
        return
    try:
        record = read_record(job.result)
    except UserError as error:
        yield f"damaged: {error.what}"
        return
    made, now = Identity.recorded(record), Identities(plan).of(job.stage, job.wildcards)
    if made is None:  # by an earlier finecal, which noted options alone, and not of all stages
        noted = record.get("options", {})
        yield from (
            f"option {line}" for line in changed_options(noted, {name: now.options.get(name) for name in noted})
        )
    elif str(made) != str(now):
        yield from (f"option {line}" for line in changed_options(made.options, now.options))
        if made.code != now.code:
            yield from (f"code {line}" for line in changed_modules(made.modules, now.modules))
    for name, digest in sorted(record.get("inputs", {}).items()):
        # A missing input is no reason to run: it is made again only if a job that has to run reads it.
        if Path(name).exists() and sha256(name) != digest:
            yield f"input {name}: other contents"


def _made_before(plan: Plan, job: Job) -> list[Job]:
    """Return the jobs that a finished job depends on, directly or not, in the order of the plan."""
    every = jobs(plan)
    makers = {output: one for one in every for output in one.outputs}
    found: set[Path] = set()
    pending = [job]
    while pending:
        for source in _sources(pending.pop(), every, makers):
            if source.result not in found:
                found.add(source.result)
                pending.append(source)
    return [one for one in every if one.result in found]


def _sources(job: Job, every: Iterable[Job], makers: Mapping[Path, Job]) -> Iterator[Job]:
    if job.stage == "report":  # made from all tables and figures
        yield from (one for one in every if one.record.options == "studies" and one is not job)
    elif job.record.code and job.result.exists():
        try:
            inputs = map(Path, read_record(job.result).get("inputs", {}))
        except UserError:  # damaged, as `_own_differences` says
            return
        yield from (makers[file] for file in inputs if file in makers)
