"""The selected studies as the table of runs, with the resolved options of every stage: pure data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from finecal import paths
from finecal.config import Study
from finecal.config.groups import expand_groups
from finecal.config.load import load_study
from finecal.config.official_splits import is_for_task
from finecal.data.dataset import DataSet
from finecal.errors import UserError, unknown
from finecal.models import locations
from finecal.paths import ALL_CLASSES, OF_FIRST_RUNS, RunKey
from finecal.plan import axes
from finecal.plan.imported import check_imported
from finecal.plan.options import Options, different_options, resolve_options
from finecal.plan.requests import RunRequest


class Plan:
    """The runs and options that the selected studies ask for.

    Studies share runs: one (data set, task, backbone, recipe, split, seed) is computed once, so a name must mean the
    same in all of them. The calibrators of a run are those of all its studies, since each is computed on its own.

    Parameters
    ----------
    names
        Built-in studies, selections of them, or paths of study files.

    Raises
    ------
    UserError
        If a study is wrong, or a name means two different things.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = expand_groups(names)
        if not self.names:
            raise UserError("no study is selected", where="studies")
        self.studies: dict[str, Study] = {name: load_study(name) for name in self.names}
        self._options: dict[tuple[str, ...], tuple[Options, str]] = {}
        self._members: dict[RunKey, list[str]] = {}
        self._asked: dict[tuple[str, ...], RunRequest] = {}
        self._axes: frozenset[str] | None = None
        for name, study in self.studies.items():
            self._register(name, study)

    @property
    def runs(self) -> tuple[RunKey, ...]:
        """The runs with absent classes: those that are calibrated and evaluated."""
        return tuple(run for run in self._members if run.split != ALL_CLASSES)

    @property
    def trainings(self) -> tuple[RunKey, ...]:
        """All fine-tuning runs, those on all classes included."""
        return tuple(self._members)

    @property
    def first_runs(self) -> tuple[RunKey, ...]:
        """The first run of each data set, task, backbone and recipe: those that pictures of one run show."""
        first: dict[tuple[str, ...], RunKey] = {}
        for run in self.runs:
            first.setdefault((run.dataset, run.task, run.backbone, run.recipe), run)
        return tuple(first.values())

    def runs_in(self, table: str) -> tuple[RunKey, ...]:
        """The runs that an aggregated table holds."""
        if table == "decision_regions":  # of points in the plane alone
            return tuple(run for run in self.first_runs if self.options("prepare", run.dataset)["source"] == "toy")
        return self.first_runs if table in OF_FIRST_RUNS else self.runs

    def studies_of(self, run: RunKey) -> tuple[str, ...]:
        """The selected studies that contain a run."""
        return tuple(self._members[self.check_contains(run)])

    def calibrators(self, run: RunKey) -> Options:
        """Name → {calibrator, options} of a run, joined over the studies that contain it."""
        return self.request(self.studies_of(run)).calibrators

    def request(self, studies: tuple[str, ...]) -> RunRequest:
        """Return what some of the selected studies ask for of the runs that they share."""
        if studies not in self._asked:
            names = dict.fromkeys(name for study in studies for name in self.studies[study].calibrators)
            self._asked[studies] = RunRequest(
                {name: self._options[("calibrator", name)][0] for name in names},
                any(self.studies[study].oracle_fine_tuning for study in studies),
            )
        return self._asked[studies]

    def combinations(self) -> set[tuple[str, ...]]:
        """Return each set of studies that share a calibrated run, once."""
        return {tuple(studies) for run, studies in self._members.items() if run.split != ALL_CLASSES}

    def reads(self, run: RunKey) -> frozenset[str]:
        """The data that the calibrators of a run read, all taken together."""
        return self.request(self.studies_of(run)).reads

    def takes(self, run: RunKey) -> frozenset[str]:
        """What the calibrators of a run take of each sample besides its logits, all taken together."""
        return self.request(self.studies_of(run)).takes

    def has_oracle(self, run: RunKey) -> bool:
        """Whether a study wants the upper bound, fine-tuning on all classes, beside this run."""
        return self.request(self.studies_of(run)).oracle

    def axes(self) -> frozenset[str]:
        """Return what the selected studies vary: keys of `finecal.plan.axes.MEANING`."""
        if self._axes is None:
            self._axes = axes.axes_of({key: options for key, (options, _) in self._options.items()})
        return self._axes

    def applicable(self, kind: str) -> tuple[str, ...]:
        """The names of the figures or tables that show something of the selected studies."""
        return axes.applicable(kind, self.axes())

    def aggregated(self) -> tuple[str, ...]:
        """The names of the tables of all runs that figures, tables and the report are made from."""
        return axes.aggregated(self.axes())

    def check_contains(self, run: RunKey) -> RunKey:
        """Return the run if a selected study contains it; else raise a UserError that names what does not fit."""
        if run in self._members:
            return run
        for coordinate, value in run.columns().items():
            values = {getattr(other, coordinate) for other in self._members}
            if value not in values:
                error = unknown(coordinate, value, map(str, values), where=str(run.folder))
                raise UserError(
                    error.what, where=error.where, why=f"{error.why}. Selected studies: {', '.join(self.names)}"
                )
        raise UserError(
            "no selected study contains this run", where=str(run.folder), why=f"Selected: {', '.join(self.names)}"
        )

    def options(self, stage: str, *coordinates: str) -> Options:
        """Resolved options of a stage, plain types only.

        `coordinates` are the `keys` of its record in `finecal.plan.stages`, for prepare the data set only.
        """
        try:
            return self._options[(stage, *coordinates)][0]
        except KeyError:
            kinds = ("dataset", "split") if stage == "split" else ("dataset", "backbone", "recipe")
            for place, (kind, name) in enumerate(zip(kinds, coordinates, strict=False), 1):
                same = (stage, *coordinates)[:place]
                known = {key[place] for key in self._options if key[:place] == same and len(key) > place}
                if name not in known:
                    raise unknown(kind, name, known, where=f"{stage} of the selected studies") from None
            raise

    def options_of(self, stage: str) -> dict[tuple[str, ...], Options]:
        """Coordinates → options of a stage, for all that the selected studies have."""
        return {key[1:]: options for key, (options, _) in self._options.items() if key[0] == stage}

    def first_domain(self, dataset: str) -> str:
        """Return the domain whose file gives the names of the classes; all domains of a data set have the same."""
        data_set = self.data_set(dataset)
        return next(domain for domain in data_set.domains() if domain not in data_set.without_images())

    def has_images(self, dataset: str, domain: str) -> bool:
        """Whether a domain is prepared; one that is not stands for the images of a pretraining elsewhere."""
        return domain not in self.data_set(dataset).without_images()

    def is_framed(self, dataset: str, backbone: str) -> bool:
        """Whether a backbone is shown the images in its own way, and not as stored squares."""
        return ("frame", dataset, backbone) in self._options

    def images(self, dataset: str, domain: str, backbone: str) -> str:
        """Return the file of a domain's images as a backbone reads them."""
        return paths.images_of(dataset, domain, backbone, framed=self.is_framed(dataset, backbone))

    def images_of_run(self, run: RunKey) -> Path:
        """Return the file of images that a run is trained and tested with."""
        return Path(self.images(run.dataset, run.target, run.backbone))

    def images_of_source(self, dataset: str, source: str, backbone: str) -> str:
        """The images that a pretrained model needs: the source's, or for names and channels the first domain's."""
        domain = source if self.has_images(dataset, source) else self.first_domain(dataset)
        return self.images(dataset, domain, backbone)

    def data_set(self, dataset: str) -> DataSet:
        """A data set of the selected studies, with its options."""
        spec = self.options("prepare", dataset)
        return DataSet(spec["source"], spec["options"])

    def domains(self) -> tuple[tuple[str, str], ...]:
        """The domains whose images are prepared: data set and domain, each once."""
        used = [(run.dataset, domain) for run in self.trainings for domain in (run.source, run.target)]
        datasets = dict.fromkeys(run.dataset for run in self.trainings)
        first = [(dataset, self.first_domain(dataset)) for dataset in datasets]
        return tuple(one for one in dict.fromkeys((*used, *first)) if self.has_images(*one))

    def _set(self, study: str, options: Options, *key: str) -> None:
        earlier = self._options.setdefault(key, (options, study))
        if earlier[0] != options:
            path, one, other = next(different_options(earlier[0], options))
            raise UserError(
                f"{' / '.join(key[1:])} means two different things",
                where=f"{key[0]} of the selected studies",
                why=f"{path} is {one!r} in {earlier[1]} and {other!r} in {study}",
                hint="Give one of them another name, or select the studies one at a time",
            )  # fmt: skip

    def _register(self, name: str, study: Study) -> None:
        for key, options in resolve_options(name, study):
            self._set(name, options, *key)
        for run in self._runs(study):
            self._members.setdefault(run, []).append(name)
        check_imported((run for run in self._members if name in self._members[run]), self.checkpoint_of, name, study)

    def checkpoint_of(self, run: RunKey, where: str = "") -> str | None:
        """Return the path of the checkpoint that a run is, None if it is trained. `where` names the study in errors."""
        pattern = self.options("finetune", run.dataset, run.backbone, run.recipe).get("weights")
        coordinates = {**run.columns(), "source": run.source, "target": run.target}
        return locations.fill(pattern, coordinates, where) if pattern else None

    def _runs(self, study: Study) -> Iterable[RunKey]:
        splits = [*study.splits, *([ALL_CLASSES] if study.oracle_fine_tuning else [])]
        return (
            RunKey(dataset, task, backbone, recipe, split, seed)
            for dataset in study.datasets
            for task in study.tasks[dataset]
            for backbone in study.backbones
            for recipe in study.recipes
            for split in splits
            if is_for_task(self.options("split", dataset, split), task)
            for seed in study.seeds
        )
