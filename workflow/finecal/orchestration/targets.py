"""What Snakemake is asked for and no rule makes: the results and targets with the most similar names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from snakemake.exceptions import MissingRuleException

from finecal.errors import UserError
from finecal.orchestration.inputs import or_stop
from finecal.plan.jobs import jobs, most_similar
from finecal.plan.plan import Plan

MISSING = re.compile(r"No rule to produce (.+?) \(if you use input")


def explain_unknown_targets(workflow: Any, plan: Plan, below: str = "") -> None:
    """Say what a target that is not known was most likely meant to be.

    Parameters
    ----------
    workflow
        Snakemake's, before it plans.
    below
        What a `module` statement puts before all paths.
    """
    build = workflow._build_dag

    def explained(*given: Any, **named: Any) -> Any:
        try:
            return build(*given, **named)
        except MissingRuleException as error:
            found = MISSING.search(str(error))
            if found is None:
                raise
            target = found[1]
            return or_stop(lambda: _refuse(target, [*_known(workflow, target), *_results(plan, below)], plan))

    workflow._build_dag = explained


def _known(workflow: Any, target: str) -> Iterator[str]:
    """Rules and the outputs that they name; `--until` and `--omit-from` also take rules with wildcards."""
    ends = target in workflow.dag_settings.until | workflow.dag_settings.omit_from
    for rule in workflow.rules:
        if ends or not rule.has_wildcards():
            yield rule.name
        if not rule.has_wildcards():
            yield from map(str, rule.output)


def _results(plan: Plan, below: str) -> Iterator[str]:
    for job in jobs(plan):
        yield from (f"{below}{output}" for output in job.outputs)


def _refuse(target: str, known: list[str], plan: Plan) -> None:
    raise UserError(
        f"no rule makes {target!r}", where=f"studies {', '.join(plan.names)}",
        why=f"Most similar: {', '.join(most_similar(target, known))}",
        hint="Paths are relative to the working directory; `finecal status` prints the results",
    )  # fmt: skip
