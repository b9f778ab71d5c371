"""The inputs of jobs where they are more than a pattern."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from finecal import paths, registry
from finecal.errors import UserError
from finecal.models.locations import check_open_clip
from finecal.paths import RunKey
from finecal.plan.jobs import measured_jobs
from finecal.plan.plan import Plan
from finecal.plan.requests import RunRequest

T = TypeVar("T")

# Those of a run.
WILDCARDS = ("dataset", "source", "target", "backbone", "recipe", "split", "seed")


def run_key(wildcards: Any) -> RunKey:
    """Return the run of a job's wildcards."""
    return RunKey.named(**{name: getattr(wildcards, name) for name in WILDCARDS})


def or_stop(make: Callable[[], T]) -> T:
    """Call a function; a UserError ends Snakemake with its one paragraph and status 2, without a traceback."""
    try:
        return make()
    except UserError as error:
        print(f"finecal: {error}", file=sys.stderr)
        sys.exit(2)


class Inputs:
    """The inputs of the rules, by the plan of the selected studies.

    A mistake ends Snakemake with its one paragraph. `below` is what a `module` statement puts before all paths; those
    that are returned are without it.
    """

    def __init__(self, plan: Plan, below: str = "") -> None:
        self.plan = plan
        self.below = below

    def downloads(self, wildcards: Any) -> list[str]:
        """Return the files that a domain is made from."""
        return or_stop(lambda: self._downloads(wildcards.dataset, wildcards.domain))

    def _downloads(self, dataset: str, domain: str) -> list[str]:
        folder = paths.downloads_folder(self.plan.options("prepare", dataset)["source"])
        return [str(folder / download.name) for download in self.plan.data_set(dataset).downloads(domain)]

    def of_pretraining(self, wildcards: Any) -> str:
        """Return the images of the source domain.

        A checkpoint of the user's own is not among them: its contents are part of the options (`decisive_options`).
        """
        w = wildcards
        options = or_stop(lambda: self.plan.options("pretrain", w.dataset, w.backbone))
        if "zero_shot" in options["backbone"]:
            # Check before any job runs; whoever only looks at finished results needs no open_clip.
            folder = paths.PRETRAINED.format(dataset=w.dataset, source=w.source, backbone=w.backbone)
            if not Path(self.below, folder, paths.MODEL).exists():
                or_stop(lambda: check_open_clip(f"backbones.{w.backbone}.zero_shot"))
        return or_stop(lambda: self.plan.images_of_source(w.dataset, w.source, w.backbone))

    def images(self, domain: str) -> Any:
        """Select the images of a domain, "source" or "target", as a run's backbone reads them.

        A pattern if all backbones read the same, which plans faster, else a function.
        """
        if not self.plan.options_of("frame"):
            return paths.IMAGES.replace("{domain}", f"{{{domain}}}")
        return lambda wildcards: self.plan.images(wildcards.dataset, wildcards[domain], wildcards.backbone)

    def of_split(self, wildcards: Any) -> list[str]:
        """Return the file with the names of the classes, and for a clustered split the class means."""
        split = or_stop(lambda: self.plan.options("split", wildcards.dataset, wildcards.split))
        domain = split.get("target") or or_stop(lambda: self.plan.first_domain(wildcards.dataset))
        files = [paths.IMAGES.format(dataset=wildcards.dataset, domain=domain)]
        if split["kind"] == "clustered":
            files.append(f"{paths.PRETRAINED}/{paths.CLASS_MEANS}".format(dataset=wildcards.dataset, **split))
        elif split["kind"] == "official":
            data_set = self.plan.data_set(wildcards.dataset)
            folder = paths.downloads_folder(data_set.source)
            files += [str(folder / one.name) for one in data_set.official_downloads()]
        return files

    def of_calibration(self, **patterns: str) -> dict[str, Any]:
        """Select the patterns that calibrators read besides split and logits: pretrained, pseudo_splits, weights."""
        return self._where_asked(patterns, lambda request: request.reads)

    def of_evaluation(self, **patterns: str) -> dict[str, Any]:
        """Select the patterns that only some runs are scored with: oracle, interpolated, weights."""
        return self._where_asked(patterns, lambda request: request.for_scores)

    def _where_asked(self, patterns: dict[str, str], names: Callable[[RunRequest], frozenset[str]]) -> dict[str, Any]:
        """Return name → pattern if all runs need it, which plans faster, else → a function."""
        found: dict[str, Any] = {}
        for name, pattern in patterns.items():
            needed = {name in names(self.plan.request(studies)) for studies in self.plan.combinations()}
            if needed == {True}:
                found[name] = pattern
            elif True in needed:
                found[name] = self._of_some_runs(name, pattern.removeprefix(self.below), names)
        return found

    def _of_some_runs(
        self, name: str, pattern: str, names: Callable[[RunRequest], frozenset[str]]
    ) -> Callable[[Any], list[str]]:
        def files(wildcards: Any) -> list[str]:
            studies = or_stop(lambda: self.plan.studies_of(run_key(wildcards)))
            return [pattern.format(**wildcards)] if name in names(self.plan.request(studies)) else []

        return files

    def export_cards(self) -> list[str]:
        """Return for every run the card of the first calibrator that changes something and reads no test labels."""
        cards = []
        for run in self.plan.runs:
            uses = self.plan.calibrators(run)
            reads = {name: registry.calibrator_record(use["calibrator"]).reads for name, use in uses.items()}
            name = next(
                (name for name in uses if uses[name]["calibrator"] != "none" and "test" not in reads[name]), None
            )
            if name is not None:
                cards.append(str(run.path(paths.EXPORT, calibrator=name) / "README.md"))
        return cards

    def measured_results(self) -> list[str]:
        """Return the result of each job in the table of costs.

        The measurements themselves are no inputs: where results are copied without them, nothing must run again.
        """
        return [str(job.result) for job in measured_jobs(self.plan)]
