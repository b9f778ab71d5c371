"""What did fine-tuning damage in my classifier, and how do I get it back?

snakemake                      everything that the studies in config.yaml ask for
snakemake table1 figure2       some of its results
snakemake results/…/logits.parquet     one file and what it needs
"""

from pathlib import Path

from snakemake.utils import min_version

from finecal.paths import PROJECT

min_version("9.19")  # the first that reads profile.yaml


# A working directory elsewhere (--directory) may have a configuration of its own.
configfile: "config.yaml" if Path("config.yaml").is_file() else f"{PROJECT}/config.yaml"


include: "workflow/rules/code.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/targets.smk"


# After the rules: an input that is another rule's output then names that rule, and Snakemake need not search for it.
wildcard_constraints:
    **paths.WILDCARDS,
    table="[a-z_]+",
    figure="[a-z_]+",


keep_signatures(workflow.rules)


rule all:
    """Everything that makes sense for the selected studies."""
    default_target: True
    input:
        paths.REPORT,
        [WORKFLOW.files("table", name) for name in WORKFLOW.tables],
        [WORKFLOW.files("figure", name) for name in WORKFLOW.figures],
    localrule: True


rule reproduce_paper:
    """The whole paper, whatever config.yaml selects; `finecal check reproduce_paper` says what it takes"""
    input:
        rules.all.input,
    localrule: True
