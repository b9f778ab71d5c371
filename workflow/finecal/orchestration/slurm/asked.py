"""Whether what people ask for, in time and memory, was understood as they meant it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import chdir, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from snakemake.cli import parse_args
from snakemake.resources import Resource

from finecal.errors import UserError, counted
from finecal.orchestration.modules import stage_of
from finecal.orchestration.slurm.commands import print_message
from finecal.orchestration.slurm.limits import RESUMABLE
from finecal.orchestration.slurm.requests import Resources

SIGNAL = re.compile(r"--signal=\S*@(\d+)")
EARLY = 1.5  # SLURM looks at times now and then: a warning may come so much earlier than it is asked for
DECIMAL = re.compile(r"(?:(\w+):)?(runtime|mem|disk)=['\"]?(\d+\.\d+)['\"]?")
WRITTEN = "Minutes are a whole number (90); with units it is 1.5h or 2.5d. 90.0 is 90 seconds, 2-12 is a difference"
AMOUNT = "Megabytes are a whole number (4500); with units it is 4.5GB. 4.5 is 4.5 bytes"
UNITS = {"runtime": ("minute", WRITTEN), "mem": ("MB", AMOUNT), "disk": ("MB", AMOUNT)}


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
            f"the time of {rule} was understood as {counted(minutes, 'minute')}",
            where=f"--set-resources {rule}:runtime", why=f"{why}{WRITTEN}",
        )  # fmt: skip


def check_words(words: Iterable[str], where: str = "") -> None:
    """Check that no time or memory is a decimal: Snakemake takes it for seconds or bytes, of any job.

    Parameters
    ----------
    words
        Of a command line, or values of a profile's options for resources.
    where
        The profile's file; empty for the command line.

    Raises
    ------
    UserError
        If one is.
    """
    for found in filter(None, map(DECIMAL.fullmatch, words)):
        rule, name, text = found.groups()
        unit, why = UNITS[name]
        understood = Resource.parse_human_friendly(name, text)
        amount = counted(understood, unit) if unit == "minute" else f"{understood} {unit}"
        key = f"set-resources {rule}:{name}" if rule else f"default-resources {name}"
        raise UserError(
            f"{name}={text} was understood as {amount}",
            where=f"{where}: {key}" if where else f"--{key}", why=why,
        )  # fmt: skip


def check_profiles(words: Sequence[str], start: Path) -> None:
    """Check the same of all profiles, as they are written: later only whole numbers are left of them.

    Parameters
    ----------
    words
        Snakemake's command line, without its name.
    start
        Where Snakemake was started: profiles are looked for there.

    Raises
    ------
    UserError
        If there is a decimal.
    """
    try:
        with chdir(start), redirect_stderr(StringIO()):  # it would name the profiles once more
            parser, _ = parse_args([*words])
    except (SystemExit, OSError):  # this was not Snakemake's command line
        return
    for source, options in parser.get_source_to_settings_dict().items():
        kind, _, file = source.partition("|")
        if kind != "config_file":
            continue
        for name in ("default-resources", "set-resources"):
            _, given = options.get(name, (None, []))
            check_words([given] if isinstance(given, str) else [str(one) for one in given], file)


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
