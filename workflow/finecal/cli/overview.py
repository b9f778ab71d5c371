"""Describe as text what there is to choose from, and what would run."""

from __future__ import annotations

from collections import Counter

from finecal import registry
from finecal.cli.class_overview import describe_classes
from finecal.config.extends import base_description, base_names, study_names
from finecal.config.groups import SELECTIONS
from finecal.config.load import load_study
from finecal.config.settings import CONFIG, read_settings
from finecal.errors import UserError, how_to_install
from finecal.models.locations import has_open_clip
from finecal.paths import ALL_CLASSES
from finecal.plan import axes
from finecal.plan.estimate import IMAGES_PER_SECOND, describe
from finecal.plan.jobs import jobs
from finecal.plan.network import list_clips
from finecal.plan.plan import Plan


def describe_names(kind: str) -> str:
    """Return one line for each data set, recipe, calibrator or study: its name and what it is.

    Plugins of other packages follow, then the user's own files that a study selected in ./config.yaml names.
    """
    note = ""
    if kind == "studies":
        lines = {name: load_study(name).description for name in study_names()}
        lines |= {name: f"To extend: {base_description(name)}" for name in base_names()}
        lines |= {name: f"Together: {', '.join(studies)}." for name, studies in SELECTIONS.items()}
    else:
        singular = kind.removesuffix("s")
        try:
            own = _own_files(kind)
        except UserError as error:  # a list of the names may help to correct just this
            own, note = [], f"\nFiles of your own are not listed: {error}"
        lines = {name: _described(singular, name) for name in [*registry.names(singular), *own]}
    width = max(map(len, lines), default=0)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items()) + note


def _described(kind: str, name: str) -> str:
    """Return the description of a plugin and the package that brings it; why a package's plugin cannot be used."""
    package = registry.package_of(kind, name)
    try:
        text = registry.description(kind, name)
    except UserError as error:  # one broken package must not hide all the others
        return f"Cannot be used: {error}"
    return f"{text} (package {package})" if package else text


def _own_files(kind: str) -> list[str]:
    """The user's own files of a kind, in the studies of ./config.yaml; none where there is no config.yaml."""
    studies = [load_study(name) for name in read_settings().studies] if CONFIG.is_file() else []
    attribute = "source" if kind == "datasets" else kind.removesuffix("s")
    used = [getattr(use, attribute) for study in studies for use in getattr(study, kind).values()]
    return sorted({name for name in used if name and registry.is_own(name)})


def describe_plan(plan: Plan, images_per_second: float = IMAGES_PER_SECOND) -> str:
    """Describe the runs of the selected studies, the number of jobs of each stage, and what they take."""
    lines = []
    for name, study in plan.studies.items():
        lines += [f"{name}: {study.description}", ""]
    for run in plan.trainings:
        lines.append(f"  {run.folder}{'  (upper bound: all classes)' if run.split == ALL_CLASSES else ''}")
    lines += ["", *describe_classes(plan)]
    varied = [meaning for name, meaning in axes.MEANING.items() if name in plan.axes()]
    lines += [f"To compare: {'; '.join(varied) or 'nothing but methods'}."]
    drawn = [*plan.applicable("table"), *plan.applicable("figure")]
    lines += [f"Tables and figures: {', '.join(drawn)}."]
    lines += ["", "Jobs at most (results that exist are not made again):"]
    lines += [f"  {stage:<22} {count:>7,}" for stage, count in job_counts(plan).items()]
    lines += [f"  {'total':<22} {sum(job_counts(plan).values()):>7,}", ""]
    if needed := describe(plan, images_per_second):
        lines += [*needed, ""]
    if list_clips(plan):
        there = "installed" if has_open_clip() else f"not installed: {how_to_install('clip')}"
        lines += [f"Zero-shot heads ({', '.join(list_clips(plan))}) need the extra `clip` ({there}).", ""]
    lines += ["Nothing was run. The studies are valid."]
    return "\n".join(lines)


def job_counts(plan: Plan) -> dict[str, int]:
    """Count the jobs of each stage as if none were done, in the order of the pipeline."""
    return dict(Counter(job.record.title for job in jobs(plan)))
