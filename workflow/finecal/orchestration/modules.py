"""What holds also where another workflow has taken finecal's rules over: `use rule * from finecal as finecal_*`.

Its rules may then have other names, and its `onstart` is not heard: Snakemake hears only that of the main Snakefile.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from finecal.errors import UserError
from finecal.paths import BELOW_VARIABLE
from finecal.plan.stages import STAGES

# In the working directory, or below `prefix`.
FOLDERS = ("results/", "resources/", "logs/")
_BY_VERB = {stage.verb: name for name, stage in STAGES.items()}


def stage_of(rule: Any) -> str | None:
    """The stage of a rule, whatever it is called: that of the verb in its command. None if it is not of finecal."""
    words, _ = _command_of(rule)
    return _BY_VERB.get(words[2]) if words[:2] == ["exec", "finecal"] and len(words) > 2 else None


def below_of(rule: Any) -> str:
    """What the command of a rule puts before all paths; "" without `prefix`."""
    return _command_of(rule)[1]


def _command_of(rule: Any) -> tuple[list[str], str]:
    """The first words of a command without what `below_prefix` has put in, and that."""
    words, named = shlex.split(rule.shellcmd or "")[:5], f"{BELOW_VARIABLE}="
    if words[1:2] == ["env"] and words[2:3] and words[2].startswith(named):
        return [words[0], *words[3:]], words[2].removeprefix(named)
    return words, ""


def at_start(workflow: Any, work: Callable[[], None]) -> None:
    """Do something before the first job, beside what the main Snakefile's `onstart` does, now or later."""
    workflow._onstart = _after(work, workflow._onstart)
    register = workflow.onstart

    def onstart(function: Callable[[Any], None]) -> None:
        register(function)
        workflow._onstart = _after(work, workflow._onstart)

    workflow.onstart = onstart


def at_end(workflow: Any, work: Callable[[], None]) -> None:
    """Do something once Snakemake has run its jobs, or has failed to: a notebook may go on after that."""
    execute = workflow.execute

    def execute_first(*given: Any, **named: Any) -> Any:
        try:
            return execute(*given, **named)
        finally:
            work()

    workflow.execute = execute_first


def _after(work: Callable[[], None], function: Callable[[Any], None]) -> Callable[[Any], None]:
    def both(log: Any) -> None:
        work()
        function(log)

    return both


def prefix_of(workflow: Any) -> str:
    """Return what a `module` statement puts before all paths of finecal, with its slash; "" without `prefix`.

    Raises
    ------
    UserError
        If it moves single folders (`replace_prefix`), so that Snakemake would look for results where jobs do not write
        them; or if it has characters that a shell reads otherwise.
    """
    modifier = workflow.modifier.path_modifier
    moved: list[str] = [modifier.replace_prefix(folder) for folder in FOLDERS]
    (prefix, *others) = [new.removesuffix(folder) for new, folder in zip(moved, FOLDERS, strict=True)]
    if any(other != prefix for other in others):
        raise UserError(
            "`replace_prefix` is not possible", where="module finecal",
            why="The folders of finecal lie beside each other", hint="`prefix: \"DIR\"` puts all of them below DIR",
        )  # fmt: skip
    if not re.fullmatch(r"[\w./+-]*", prefix):
        raise UserError(
            f"`prefix: {prefix!r}` is not possible", where="module finecal",
            why="It stands in commands: letters, digits and . _ + - / are allowed",
        )  # fmt: skip
    return prefix


def below_prefix(command: str, prefix: str) -> str:
    """Return a command of a rule with what its job puts before all paths; without a prefix the command as it is.

    >>> below_prefix("exec finecal split {output}", "mine/")
    'exec env FINECAL_BELOW=mine/ finecal split {output}'
    """
    return command.replace("exec ", f"exec env {BELOW_VARIABLE}={prefix} ", 1) if prefix else command
