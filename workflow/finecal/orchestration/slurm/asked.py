"""Whether what people ask for, in time and memory, was understood as they meant it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from finecal.errors import UserError
from finecal.orchestration.modules import stage_of
from finecal.orchestration.slurm.commands import print_message
from finecal.orchestration.slurm.limits import RESUMABLE
from finecal.orchestration.slurm.requests import Resources

SIGNAL = re.compile(r"--signal=\S*@(\d+)")
EARLY = 1.5  # SLURM looks at times now and then: a warning may come so much earlier than it is asked for
SECONDS = re.compile(r"(?:(\w+):)?runtime=['\"]?(\d+\.\d*)['\"]?")
WRITTEN = "Minutes are a whole number (90); with units it is 1.5h or 2.5d. 90.0 is 90 seconds, 2-12 is a difference"


def check_asked(rule: str, resources: Resources) -> None:
    """Check that a job asks for time at all, and a training for more than is left after the warning of its end.

    Parameters
    ----------
    rule
        The name of its rule.
    resources
        Those of the job.

    Raises
    ------
    UserError
        If not: the number was probably meant in another way.
    """
    minutes, extra = resources.get("runtime"), SIGNAL.search(str(resources.get("slurm_extra") or ""))
    if not isinstance(minutes, int):
        return
    least = EARLY * int(extra[1]) / 60 if extra and rule in RESUMABLE else 0.0
    if minutes <= 0 or minutes < least:
        why = (
            f"A training is warned {int(extra[1])} s before its end, which would be at once. "
            if extra and least
            else ""
        )
        raise UserError(
            f"the time of {rule} was understood as {minutes} minute{'s' * (minutes != 1)}",
            where=f"--set-resources {rule}:runtime", why=f"{why}{WRITTEN}",
        )  # fmt: skip


def check_words(words: Iterable[str]) -> None:
    """Check that no time on the command line is a decimal: Snakemake takes it for seconds, of any job.

    Raises
    ------
    UserError
        If one is.
    """
    for found in filter(None, map(SECONDS.fullmatch, words)):
        rule, text = found.groups()
        minutes = max(1, int(float(text) / 60))
        raise UserError(
            f"runtime={text} was understood as {minutes} minute{'s' * (minutes != 1)}",
            where=f"--set-resources {rule}:runtime" if rule else "--default-resources runtime", why=WRITTEN,
        )  # fmt: skip


def say_constant_memory(jobs: list[Any]) -> None:
    """Print which trainings have the same memory at every try: a number replaces what the rule says of tries.

    Parameters
    ----------
    jobs
        Snakemake's.
    """
    fixed = {}
    for job in jobs:
        given = getattr(job.rule, "resources", {}).get("mem_mb")
        if stage_of(job.rule) in RESUMABLE and given is not None and not given.is_evaluable():
            fixed[job.rule.name] = given.raw
    for rule, amount in fixed.items():
        print_message(
            f"{rule} gets {amount} MB at each try, also after it had too little; "
            f"`--set-resources '{rule}:mem_mb={amount}*attempt'` gives it more at the next"
        )
