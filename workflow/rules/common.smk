"""The plan of the selected studies, and what every rule needs of it."""

import os
import time

from snakemake.settings.types import DeploymentMethod

from finecal import cluster, paths, plugins
from finecal.lock import release_stale_lock
from finecal.workflow import TABLES, FIGURES, Workflow, or_stop

WORKFLOW = or_stop(lambda: Workflow(config))
PLAN = WORKFLOW.plan

if workflow.is_main_process:
    release_stale_lock()
    STARTED = time.time()


# Parts of commands: which studies are selected, and where jobs run. Neither makes a finished result out of date, so
# they are functions of `threads`: Snakemake does not compare params that are derived from a job's other parts.
def STUDY(wildcards, threads):
    return WORKFLOW.study_option


def TORCH(wildcards, threads):
    return WORKFLOW.torch_options(on_cluster=workflow.remote_exec)


def GPUS(wildcards):
    return WORKFLOW.gpus(on_cluster=workflow.remote_exec or workflow.non_local_exec)


# Left out of a run without --sdm conda: for the directive, Snakemake expands the params of every job once more.
if (
    workflow.execution_settings is not None
    and DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method
):
    CONDA = None
else:
    CONDA = "../../envs/finecal.yaml"
# Where the conda environment's post-deploy script finds finecal, also with --directory.
os.environ.setdefault("FINECAL_SOURCE", str(workflow.basedir))


wildcard_constraints:
    **paths.WILDCARDS,
    table="[a-z_]+",
    figure="[a-z_]+",


localrules:
    all,
    pretrained,
    finetuned,
    extracted,
    calibrated,
    evaluated,
    cost,
    table1,
    table2,
    figure1,
    figure2,
    figure3,
    figure7,


def on_slurm():
    return workflow.executor_plugin.name == "slurm"


onstart:
    if on_slurm():
        partitions = {
            job.resources.get("slurm_partition")
            for job in workflow.dag.needrun_jobs()
        }
        or_stop(lambda: cluster.prepare(partitions - {None}))


onerror:
    if on_slurm():
        cluster.explain_failure(STARTED)
