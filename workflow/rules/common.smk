"""The plan of the selected studies, and what every rule needs of it."""

import os

from finecal import paths, plugins
from finecal.lock import release_stale_lock
from finecal.workflow import TABLES, FIGURES, Workflow, or_stop

WORKFLOW = or_stop(lambda: Workflow(config))
PLAN = WORKFLOW.plan

# On a cluster (`nodes` is --jobs) the jobs of a killed Snakemake live on, so there a person looks before unlocking.
if workflow.is_main_process and workflow.resource_settings.nodes is None:
    release_stale_lock()


# Parts of commands: which studies are selected, and where jobs run. Neither makes a finished result out of date, so
# they are functions of `threads`: Snakemake does not compare params that are derived from a job's other parts.
def STUDY(wildcards, threads):
    return WORKFLOW.study_option


def TORCH(wildcards, threads):
    return WORKFLOW.torch_options


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
    table1,
    table2,
    figure1,
    figure2,
    figure3,
    figure7,
