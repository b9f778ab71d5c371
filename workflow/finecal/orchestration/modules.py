"""What holds also where another workflow has taken finecal's rules over: `use rule * from finecal as finecal_*`.

Its rules may then have other names, and its `onstart` is not heard: Snakemake hears only that of the main Snakefile.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from finecal.errors import UserError
from finecal.plan.stages import STAGES

_BY_VERB = {stage.verb: name for name, stage in STAGES.items()}


def stage_of(rule: Any) -> str | None:
    """The stage of a rule, whatever it is called: that of the verb in its command. None if it is not of finecal."""
    words = shlex.split(rule.shellcmd or "")[:3]
    return _BY_VERB.get(words[2]) if words[:2] == ["exec", "finecal"] and len(words) == 3 else None


def at_start(workflow: Any, work: Callable[[], None]) -> None:
    """Do something before the first job, beside what the main Snakefile's `onstart` does, now or later."""
    workflow._onstart = _after(work, workflow._onstart)
    register = workflow.onstart

    def onstart(function: Callable[[Any], None]) -> None:
        register(function)
        workflow._onstart = _after(work, workflow._onstart)

    workflow.onstart = onstart


def _after(work: Callable[[], None], function: Callable[[Any], None]) -> Callable[[Any], None]:
    def both(log: Any) -> None:
        work()
        function(log)

    return both


def check_module(workflow: Any) -> None:
    """Refuse what a `module` statement may say, but finecal cannot do.

    Raises
    ------
    UserError
        For `prefix` and `replace_prefix`: Snakemake would look for results elsewhere than finecal writes them.
    """
    paths = workflow.modifier.path_modifier
    if paths.prefix or paths.modifies_prefixes:
        raise UserError(
            f"`prefix: {paths.prefix!r}` is not possible" if paths.prefix else "`replace_prefix` is not possible",
            where="module finecal", why="finecal's results lie in `results/` of the working directory",
            hint="To keep studies apart, run each in a folder of its own: `snakemake --directory DIR`",
        )  # fmt: skip
