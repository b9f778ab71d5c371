"""The plan of the selected studies, and what every rule needs of it."""

from finecal import paths
from finecal.workflow import TABLES, FIGURES, Workflow, or_stop

WORKFLOW = or_stop(lambda: Workflow(config))
PLAN = WORKFLOW.plan

# Written into commands, not into params: where a job runs does not decide whether its result is up to date.
STUDY = WORKFLOW.study_option
TORCH = WORKFLOW.torch_options
CONDA = "../../envs/finecal.yaml"


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
