"""Targets by name: stages to stop at, and results by their number in the paper. None of them runs a command."""

STOPS = {
    "pretrained": (
        "The pretrained models",
        lambda w: [run.pretrained_folder / paths.MODEL for run in PLAN.trainings],
    ),
    "finetuned": (
        "The fine-tuned models",
        lambda w: [run.folder / paths.MODEL for run in PLAN.trainings],
    ),
    "extracted": (
        "Logits and features of all fine-tuned models",
        lambda w: [run.folder / paths.LOGITS for run in PLAN.trainings],
    ),
    "calibrated": (
        "The fitted calibrators",
        lambda w: [run.folder / paths.CALIBRATION for run in PLAN.runs],
    ),
    "evaluated": (
        "The metrics of all runs",
        lambda w: [run.folder / paths.METRICS for run in PLAN.runs],
    ),
    "exported": (
        "Of every run a calibrated model to take home",
        lambda w: INPUTS.export_cards(),
    ),
    "cost": (
        "What the jobs took, a table and a figure",
        [
            WORKFLOW.main_file("table", "cost_by_stage"),
            WORKFLOW.main_file("figure", "cost"),
        ],
    ),
}
# Name → figure or table. The description is the figure's or table's own.
RESULTS = {
    "table1": ("table", "main"),
    "table2": ("table", "ausuc"),
    "macro": ("table", "macro"),
    "leaderboard": ("table", "leaderboard"),
    "gamma_data": ("table", "gamma_data"),
    "gamma_sensitivity": ("table", "gamma_sensitivity"),
    "figure1": ("figure", "gain"),
    "figure2": ("figure", "curve"),
    "figure3": ("figure", "relations"),
    "figure4": ("figure", "class_size"),
    "figure5": ("figure", "optimizers"),
    "figure6": ("figure", "update_similarity"),
    "figure7": ("figure", "anatomy"),
    "figure8": ("figure", "feature_map"),
    "figureA1": ("figure", "heads"),
    "figureA2": ("figure", "frozen"),
    "figureA3": ("figure", "backbones"),
    "figureA5": ("figure", "decision_regions"),
}


for target, (text, files) in STOPS.items():

    rule:
        name:
            target
        input:
            files,
        localrule: True

    getattr(rules, target).rule.docstring = text


for target, (kind, result) in RESULTS.items():

    rule:
        name:
            target
        input:
            WORKFLOW.main_file(kind, result),
        localrule: True

    getattr(rules, target).rule.docstring = registry.title(kind, result)
