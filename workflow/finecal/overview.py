"""What there is, and what would run: for people, as text."""

from __future__ import annotations

from finecal import axes, plugins
from finecal.composition import study_names
from finecal.errors import UserError
from finecal.paths import ALL_CLASSES, RunKey
from finecal.plan import Plan
from finecal.settings import CONFIG, read_settings
from finecal.study import load_study


def describe_names(kind: str) -> str:
    """One line for each data set, recipe, calibrator or study: its name and what it is.

    Files of the user's own are listed by their paths, if a study selected in ./config.yaml names them.
    """
    note = ""
    if kind == "studies":
        lines = {name: load_study(name).description for name in study_names()}
    else:
        singular = kind.removesuffix("s")
        try:
            own = _own_files(kind)
        except UserError as error:  # just what a list of the names may help to mend
            own, note = [], f"\nFiles of your own are not listed: {error}"
        lines = {name: plugins.description(singular, name) for name in [*plugins.names(singular), *own]}
    width = max(map(len, lines), default=0)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items()) + note


def _own_files(kind: str) -> list[str]:
    """The user's own files of a kind, in the studies of ./config.yaml; none where there is no config.yaml."""
    studies = [load_study(name) for name in read_settings().studies] if CONFIG.is_file() else []
    attribute = "source" if kind == "datasets" else kind.removesuffix("s")
    used = [getattr(use, attribute) for study in studies for use in getattr(study, kind).values()]
    return sorted({name for name in used if name and plugins.is_own(name)})


def describe_plan(plan: Plan) -> str:
    """The runs of the selected studies and the number of jobs of each stage."""
    lines = []
    for name, study in plan.studies.items():
        lines += [f"{name}: {study.description}", ""]
    for run in plan.trainings:
        lines.append(f"  {run.folder}{'  (upper bound: all classes)' if run.split == ALL_CLASSES else ''}")
    varied = [meaning for name, meaning in axes.MEANING.items() if name in plan.axes()]
    lines += ["", f"To compare: {'; '.join(varied) or 'nothing but methods'}."]
    drawn = [*axes.applicable("table", plan.axes()), *axes.applicable("figure", plan.axes())]
    lines += [f"Tables and figures: {', '.join(drawn)}."]
    jobs = job_counts(plan)
    lines += ["", "Jobs at most (what is there already is not made again):"]
    lines += [f"  {stage:<22} {count:>7,}" for stage, count in jobs.items()]
    lines += [f"  {'total':<22} {sum(jobs.values()):>7,}", "", "Nothing was run. The studies are valid."]
    return "\n".join(lines)


def job_counts(plan: Plan) -> dict[str, int]:
    """Stage → number of jobs if nothing is there yet, in the order of the pipeline."""
    tasks = {(run.dataset, run.task, run.backbone) for run in plan.trainings}
    domains = {(run.dataset, domain) for run in plan.trainings for domain in (run.source, run.target)}
    domains |= {(run.dataset, plan.first_domain(run.dataset)) for run in plan.trainings}
    splits = {(run.dataset, run.split) for run in plan.trainings}
    specs = [(dataset, plan.options("split", dataset, split)) for dataset, split in splits]
    clustered = {(dataset, spec["source"], spec["backbone"]) for dataset, spec in specs if spec["kind"] == "clustered"}
    return {
        "prepare": len(domains),
        "split": len(splits),
        "pretrain": len({(run.dataset, run.source, run.backbone) for run in plan.trainings} | clustered),
        "class means": len(clustered),
        "finetune": len(plan.trainings),
        "finetune pseudo-splits": sum(_reads_pseudo_splits(plan, run) for run in plan.runs),
        "extract": len(tasks) + len(plan.trainings),
        "extract interpolated": sum("interpolated" in plan.takes(run) for run in plan.runs),
        "calibrate": len(plan.runs),
        "evaluate": len(plan.runs),
        "similarity": len(plan.runs),
        "gamma data": len(plan.runs),
        "embed": len(plan.first_runs),
        **({"regions": len(plan.runs_in("decision_regions"))} if "toy" in plan.axes() else {}),
        "aggregate": len(axes.aggregated(plan.axes())),
        "tables and figures": sum(len(axes.applicable(kind, plan.axes())) for kind in ("table", "figure")),
        "report": 1,
    }


def _reads_pseudo_splits(plan: Plan, run: RunKey) -> bool:
    return "pseudo_splits" in plan.reads(run)
