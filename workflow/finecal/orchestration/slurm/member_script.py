"""The script of a member of a SLURM job: what is done on the node for one of Snakemake's jobs.

Snakemake itself starts a Snakemake on the node for each job, which takes some seconds of processor time. For a rule
that is one shell command, all that this one does can be said in a few lines of shell: prepare folders, remove what an
earlier try has left, wait until a slow network shows the inputs, set the environment, run the command, and remove the
outputs if it fails. The rest is done by the main process when it learns of the end, as ever: it waits for the outputs,
looks at them, touches them and notes what they were made with.

Where a rule is more than that, the member is a Snakemake.
"""

from __future__ import annotations

import ast
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snakemake.common.tbdstring import TBDString
from snakemake.io import is_flagged
from snakemake.settings.types import SharedFSUsage
from snakemake.shell import MAX_ARG_LEN, shell

from finecal.warm.start import THREAD_VARIABLES

# Outputs with these marks need more than to be removed before and after a failure.
SPECIAL = ("directory", "pipe", "protected", "service", "touch", "update")
TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")
SYSTEM_TMPDIR = "system_tmpdir"  # the resource's value where nobody chose one: that of the node

# The shell outlives the signals that announce the end: what it runs has its own way with them, and some go on.
SCRIPT = """\
trap : TERM USR1
cd {folder} || exit 1
export {environment}
outputs={outputs}
fail() {{ echo "finecal: $1" | tee -a {log} >&2; exit 1; }}
set -f; IFS='
'
for file in $outputs; do
  [ ! -e "$file" ] || [ -w "$file" ] || fail "the output $file is write-protected"
done
rm -f -- $outputs {logs} || exit 1
mkdir -p -- {folders} || exit 1
waited=0
for file in {inputs}; do
  until [ -e "$file" ]; do
    [ "$waited" -lt {patience} ] || fail "the input $file was not there after {patience} s"
    sleep 1; waited=$((waited + 1))
  done
done
{command}
status=$?
[ "$status" -eq 0 ] || rm -f -- $outputs
exit "$status"
"""


def is_plain(job: Any) -> bool:
    """Return whether a job of Snakemake's is one shell command, and its script says all that is to be done.

    Not if it needs a Snakemake on its node: for software that Snakemake provides, storage, shadow folders, measuring,
    outputs with special marks, or a temporary folder that can be named there only.
    """
    if not job.is_shell:
        return False
    rule, workflow = job.rule, job.dag.workflow
    settings = workflow.remote_execution_settings
    is_cached = workflow.workflow_settings.cache is not None and rule.cache and rule.cache.output
    if job.is_shadow or job.benchmark is not None or is_cached or rule.is_handover:
        return False
    if workflow.deployment_settings.deployment_method or settings.precommand or settings.jobscript is not None:
        return False
    if workflow.execution_settings.keep_incomplete:
        return False
    if workflow.storage_settings.shared_fs_usage != SharedFSUsage.all():
        return False
    if any(file.is_storage for file in (*job.input, *job.output)):
        return False
    if any(is_flagged(file, mark) for file in job.output for mark in SPECIAL):
        return False
    return _tmpdir(job) is not None


def command_of(job: Any) -> str | None:
    """Return the whole shell command of a plain job; None if it depends on what is not known yet, or is too long."""
    command = str(job.shellcmd)
    if str(TBDString()) in command:
        return None
    own = job.resources.get("shell_exec")
    program = own or shell.get_executable() or "/bin/sh"
    # Not public, but what `shell` puts around each command.
    whole = f"{shell._get_process_prefix(own)} {command} {shell._process_suffix}".strip()
    quoted = f"{shlex.quote(program)} -c {shlex.quote(whole)}"
    return quoted if len(quoted) <= MAX_ARG_LEN else None


def plain_script(job: Any) -> str | None:
    """Return the script of a job that needs no Snakemake on its node; None for others.

    The job is told its own part of the memory of the SLURM job, since it sees the whole.
    """
    if not is_plain(job) or (command := command_of(job)) is None:
        return None
    environment = {"FINECAL_MEMORY": str(job.resources.get("mem_mb") or 0)}
    environment |= dict.fromkeys(THREAD_VARIABLES, str(job.threads))
    outputs, logs = [str(file) for file in job.output], [str(file) for file in job.log]
    folders = {os.path.dirname(file) for file in (*outputs, *logs)}  # noqa: PTH120 - "" of a file without a folder
    if tmpdir := _tmpdir(job):
        environment |= dict.fromkeys(TEMPORARY, tmpdir)
        folders.add(tmpdir)
    return SCRIPT.format(
        folder=shlex.quote(str(Path.cwd())),
        environment=" ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items()),
        outputs=shlex.quote("\n".join(outputs)),
        log=shlex.quote(logs[0] if logs else os.devnull),
        logs=shlex.join(logs),
        folders=shlex.join(sorted(folder or "." for folder in folders)),
        inputs=shlex.join(str(file) for file in dict.fromkeys(job.input)),
        patience=job.dag.workflow.execution_settings.latency_wait,
        command=command,
    )


def member_script(job: Any, command_with_snakemake: Callable[[Any], str]) -> str:
    """Return the script of a member, of which the launcher waits for the end, also after a SIGTERM.

    Parameters
    ----------
    command_with_snakemake
        Returns the command that starts a Snakemake for a job.
    """
    if (script := plain_script(job)) is not None:
        return script
    memory = job.resources.get("mem_mb") or 0
    return f"trap : TERM\nexport FINECAL_MEMORY={memory}\n{command_with_snakemake(job)}\n"


def _tmpdir(job: Any) -> str | None:
    """Return the temporary folder that was chosen for a job, "" if none was; None if only the node can tell."""
    given = job.rule.resources.get("tmpdir")
    if given is None or given.raw == SYSTEM_TMPDIR or (given.raw is None and not given.is_evaluable()):
        return ""
    text = str(given.raw or "")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text  # as it stands if it can be nothing else
    # Else an expression, in which the node's own variables may stand.
    return value if isinstance(value, str) and value.startswith("/") and not set(value) & set("$~()") else None
