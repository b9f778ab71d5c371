"""What did fine-tuning damage in my classifier, and how do I get it back?

snakemake                      everything that the studies in config.yaml ask for
snakemake table1 figure2       some of its results
snakemake results/…/logits.parquet     one file and what it needs
"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.19")  # the first that reads profile.yaml


# A working directory elsewhere (--directory) may have a configuration of its own.
configfile: "config.yaml" if Path("config.yaml").is_file() else f"{workflow.basedir}/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        paths.REPORT,
        expand(
            "{table}.{suffix}",
            table=expand(paths.TABLE, table=TABLES),
            suffix=["parquet", "csv", "md", "tex"],
        ),
        expand(
            "{figure}.{suffix}",
            figure=expand(paths.FIGURE, figure=FIGURES),
            suffix=["svg", "png", "parquet"],
        ),


# Stages to stop at.


rule pretrained:
    input:
        [run.pretrained_folder / paths.MODEL for run in PLAN.trainings],


rule finetuned:
    input:
        [run.folder / paths.MODEL for run in PLAN.trainings],


rule extracted:
    input:
        [run.folder / paths.LOGITS for run in PLAN.trainings],


rule calibrated:
    input:
        [run.folder / paths.CALIBRATION for run in PLAN.runs],


rule evaluated:
    input:
        [run.folder / paths.METRICS for run in PLAN.runs],


rule cost:
    input:
        paths.TABLE.format(table="cost_by_stage") + ".md",
        paths.FIGURE.format(figure="cost") + ".svg",


# Results by their number in the paper.


rule table1:
    input:
        paths.TABLE.format(table="main") + ".md",


rule table2:
    input:
        paths.TABLE.format(table="ausuc") + ".md",


rule figure1:
    input:
        paths.FIGURE.format(figure="gain") + ".svg",


rule figure2:
    input:
        paths.FIGURE.format(figure="curve") + ".svg",


rule figure3:
    input:
        paths.FIGURE.format(figure="relations") + ".svg",


rule figure7:
    input:
        paths.FIGURE.format(figure="anatomy") + ".svg",
