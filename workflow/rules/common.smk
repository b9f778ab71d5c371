"""The plan of the selected studies, and what every rule needs of it."""

import atexit
import gc
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from finecal import paths, registry
from finecal.config.groups import PAPER
from finecal.io.sharing import share_with_group
from finecal.orchestration.acceptance import (
    check_dates,
    discard_accepted_states,
    follow_results,
    keep_states,
)
from finecal.orchestration.inputs import Inputs, or_stop
from finecal.orchestration.interrupts import explain_interrupts
from finecal.orchestration.inventories import forgive_inventories
from finecal.orchestration.killed_jobs import explain_killed_jobs
from finecal.orchestration.lock import release_stale_lock
from finecal.orchestration.modules import (
    at_end,
    at_start,
    below_prefix,
    prefix_of,
    stage_of,
)
from finecal.orchestration.options import (
    check_options,
    check_room,
    explain_touch,
    guard_actions,
)
from finecal.orchestration.own_weights import check_before_jobs
from finecal.orchestration.place import check_place
from finecal.orchestration.rules import (
    NotCompared,
    Studies,
    check_writable,
    find_own_programs,
    keep_signatures,
    limit_gpu,
    use_cores_of_nodes,
)
from finecal.orchestration.targets import explain_unknown_targets
from finecal.orchestration.turns import keep_locks_of_others
from finecal.orchestration.wake_ups import wake_rarely
from finecal.plan.jobs import files_of_page, jobs
from finecal.plan.own_files import inspect_files
from finecal.plan.stages import STAGES

# `snakemake reproduce_paper` selects the paper's studies, whatever config.yaml does, and passes that on to every job.
# (Snakemake itself knows its targets only after this file is read.)
if workflow.is_main_process and PAPER in sys.argv:
    config["studies"] = [PAPER]
    others = [
        entry
        for entry in workflow.config_settings.config_args or []
        if not entry.startswith("studies=")
    ]
    workflow.config_settings.config_args = [*others, f"studies={PAPER}"]

# Planning a sweep makes millions of objects, none of which is garbage: collecting garbage meanwhile takes a quarter of
# the time. `onstart` switches it on for the hours that follow. Freezing at the end spares Python a last collection.
ENDING = ExitStack()
if workflow.is_main_process:
    at_end(workflow, ENDING.close)
    explain_interrupts()
    gc.disable()
    # For what goes on afterwards, in a notebook; the last one is called first.
    ENDING.callback(gc.enable)
    ENDING.callback(gc.freeze)
    atexit.register(gc.freeze)

share_with_group()
# What `module: prefix:` puts before all paths.
BELOW = or_stop(lambda: prefix_of(workflow))
if workflow.is_main_process:
    or_stop(lambda: check_options(workflow))
    guard_actions(workflow)
if workflow.is_main_process and PAPER not in sys.argv:
    or_stop(lambda: check_place(workflow))
WORKFLOW = or_stop(lambda: Studies(config, BELOW))
PLAN = WORKFLOW.plan
if workflow.is_main_process:
    explain_unknown_targets(workflow, PLAN, BELOW)
INPUTS = Inputs(PLAN, BELOW)
limit_gpu(workflow)
keep_states()
explain_killed_jobs()

if workflow.is_main_process:
    from finecal.cli.terminal import prepare
    from finecal.orchestration.workers import explain_lock_errors

    prepare()
    explain_lock_errors()
    keep_locks_of_others()
    wake_rarely()
    forgive_inventories()
    or_stop(release_stale_lock)
    from finecal.orchestration.slurm import preflight
    from finecal.orchestration.slurm.settings import EXECUTOR, runs_per_gpu
    from finecal.orchestration.warm_jobs import start_warm_process
    from finecal.orchestration.notes import notes_of, restore_notes
    from finecal.orchestration.progress import show_progress

    NOTES = or_stop(lambda: notes_of(workflow))
    restore_notes(jobs(PLAN), NOTES, WORKFLOW.identities, BELOW)
    discard_accepted_states(jobs(PLAN), NOTES, BELOW)


def command(text):
    """What a job runs: it writes below the prefix, too."""
    return below_prefix(text, BELOW)


def on_cluster():
    """Also in the main process, so that the commands it prints are those that jobs run."""
    return workflow.remote_exec or workflow.non_local_exec


# Parts of commands: which studies are selected, where files come from, where jobs run.
STUDY = NotCompared(lambda: WORKFLOW.study_option)
MIRROR = NotCompared(WORKFLOW.mirror_option)
TORCH = NotCompared(lambda: WORKFLOW.torch_options(on_cluster=on_cluster()))


def GPUS(wildcards):
    return WORKFLOW.gpus(on_cluster=on_cluster())


def GPU_PERCENT(wildcards):
    return WORKFLOW.gpu_percent(GPUS(wildcards))


# On a cluster a limit within one job, not for all jobs together.
resource_scopes:
    gpu_percent="local",


# Jobs that take a few seconds: on SLURM so many share one job, one after the other.
IN_TURN = 10
# Needed with `--sdm conda` and for the linter, which alone does not check environment variables. Otherwise Snakemake's
# note of each output would hold the whole text of an environment in which its job did not run.
CONDA = (
    "../../envs/finecal.yaml"
    if not workflow.check_envvars
    or DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
    else None
)
# Jobs call `finecal`: that of this Python, also where its environment is not activated (`.venv/bin/snakemake`).
find_own_programs()
# Where the conda environment's post-deploy script finds finecal, also with --directory.
os.environ.setdefault("FINECAL_SOURCE", str(paths.PROJECT))


def start():
    gc.freeze()
    gc.enable()
    prepared = [
        job.wildcards.dataset
        for job in workflow.dag.needrun_jobs()
        if stage_of(job.rule) == "prepare"
    ]
    or_stop(lambda: check_room(workflow.cores, workflow.nodes))
    for name in ("results", "logs", "benchmarks", "state"):
        or_stop(lambda: check_writable(Path(BELOW, name)))
    or_stop(lambda: inspect_files(PLAN, prepared))
    due = {stage_of(job.rule) for job in workflow.dag.needrun_jobs()}
    check_before_jobs(PLAN, WORKFLOW.settings.studies, due)
    or_stop(lambda: preflight.check_executor(workflow.executor_plugin.name))
    if workflow.touch:  # it makes nothing
        explain_touch(jobs(PLAN), WORKFLOW.identities, BELOW)
    else:
        or_stop(lambda: check_dates(workflow.dag.needrun_jobs()))
        follow_results(workflow)
    if workflow.non_local_exec:
        use_cores_of_nodes(workflow)
    if workflow.executor_plugin.name == EXECUTOR:
        or_stop(
            lambda: preflight.prepare(
                workflow.dag.needrun_jobs(),
                runs_per_gpu(workflow),
                workflow.executor_settings,
            )
        )
    else:
        WORKFLOW.divide_memory(workflow.dag.needrun_jobs(), workflow.cores or 1)
        start_warm_process(workflow, WORKFLOW.settings, ENDING, BELOW)
    show_progress(workflow)


at_start(workflow, start)
