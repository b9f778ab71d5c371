"""The plan of the selected studies, and what every rule needs of it."""

import os
import time

from finecal import cluster, paths, plugins
from finecal.lock import release_stale_lock
from finecal.workflow import Workflow, or_stop

WORKFLOW = or_stop(lambda: Workflow(config))
PLAN = WORKFLOW.plan

if workflow.is_main_process:
    release_stale_lock()
    STARTED = time.time()


# Parts of commands: which studies are selected, and where jobs run. Neither makes a finished result out of date, so
# they are functions of `output`: Snakemake does not compare params that are derived from a job's other parts (and
# `threads` would make it work out the resources of every job, finished ones too).
def STUDY(wildcards, output):
    return WORKFLOW.study_option


def TORCH(wildcards, output):
    return WORKFLOW.torch_options(on_cluster=workflow.remote_exec)


def GPUS(wildcards):
    return WORKFLOW.gpus(on_cluster=workflow.remote_exec or workflow.non_local_exec)


CONDA = "../../envs/finecal.yaml"
# Where the conda environment's post-deploy script finds finecal, also with --directory.
os.environ.setdefault("FINECAL_SOURCE", str(workflow.basedir))


wildcard_constraints:
    **paths.WILDCARDS,
    table="[a-z_]+",
    figure="[a-z_]+",


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
