"""The selected studies as the table of runs, and the resolved options of every stage: pure data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from finecal import plugins
from finecal.axes import axes_of
from finecal.config import Study, plugin_options
from finecal.errors import UserError, unknown
from finecal.paths import ALL_CLASSES, OF_FIRST_RUNS, RunKey
from finecal.splits import resolved_split
from finecal.study import load_study

Options = dict[str, Any]


class Plan:
    """What the selected studies ask for.

    Studies share runs: one (data set, task, backbone, recipe, split, seed) is computed once, so a name must
    mean the same in all of them. Calibrators are joined, since each is computed on its own.

    Parameters
    ----------
    names
        Built-in studies or paths of study files.

    Raises
    ------
    UserError
        If a study is wrong, or a name means two different things.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        if not self.names:
            raise UserError("no study is selected", where="studies")
        self.studies: dict[str, Study] = {name: load_study(name) for name in self.names}
        self._options: dict[tuple[str, ...], tuple[Options, str]] = {}
        self._members: dict[RunKey, list[str]] = {}
        self._calibrators: dict[tuple[str, ...], Options] = {}
        self._axes: frozenset[str] | None = None
        self._reads: dict[tuple[str, ...], frozenset[str]] = {}
        self._takes: dict[tuple[str, ...], frozenset[str]] = {}
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
        """Of each data set, task, backbone and recipe the first split and seed: what pictures of one run show."""
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
        return tuple(self._members[self.known(run)])

    def calibrators(self, run: RunKey) -> Options:
        """Name → {calibrator, options} of a run, joined over the studies that contain it."""
        return self.joined_calibrators(self.studies_of(run))

    def joined_calibrators(self, studies: tuple[str, ...]) -> Options:
        """Name → {calibrator, options} of all calibrators of some studies, in their order."""
        if studies not in self._calibrators:
            names = dict.fromkeys(name for study in studies for name in self.studies[study].calibrators)
            self._calibrators[studies] = {name: self._options[("calibrator", name)][0] for name in names}
        return self._calibrators[studies]

    def reads(self, run: RunKey) -> frozenset[str]:
        """The data that the calibrators of a run read, all taken together."""
        studies = self.studies_of(run)
        if studies not in self._reads:
            uses = self.joined_calibrators(studies).values()
            modules = [plugins.load("calibrator", use["calibrator"]) for use in uses]
            self._reads[studies] = frozenset(data for module in modules for data in module.READS)
        return self._reads[studies]

    def takes(self, run: RunKey) -> frozenset[str]:
        """What the calibrators of a run take of each sample besides its logits, all taken together."""
        studies = self.studies_of(run)
        if studies not in self._takes:
            uses = self.joined_calibrators(studies).values()
            self._takes[studies] = frozenset(name for use in uses for name in plugins.takes(use["calibrator"]))
        return self._takes[studies]

    def alphas(self, studies: tuple[str, ...]) -> list[float]:
        """The weights α of the models between θ⁰ and θ that the calibrators of some studies ask for, ascending."""
        uses = self.joined_calibrators(studies).values()
        return sorted({use["options"]["alpha"] for use in uses if "interpolated" in plugins.takes(use["calibrator"])})

    def has_oracle(self, run: RunKey) -> bool:
        """Whether a study wants the upper bound, fine-tuning on all classes, beside this run."""
        return any(self.studies[name].oracle_fine_tuning for name in self.studies_of(run))

    def axes(self) -> frozenset[str]:
        """What the selected studies vary: keys of `finecal.axes.MEANING`."""
        if self._axes is None:
            self._axes = axes_of({key: options for key, (options, _) in self._options.items()})
        return self._axes

    def hub_models(self) -> list[str]:
        """timm's names of the models whose weights the jobs fetch from the hub."""
        uses = [options for (stage, *_), (options, _) in self._options.items() if stage == "pretrain"]
        return sorted({use["backbone"]["model"] for use in uses if use["pretraining"]["weights"] == "hub"})

    def known(self, run: RunKey) -> RunKey:
        """The run itself if a selected study contains it; else a UserError that names what does not fit."""
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

        `coordinates` are, for the stages prepare: data set; split: data set, split; pretrain, means, extract: data
        set, backbone; finetune, pseudo: data set, backbone, recipe.
        """
        try:
            return self._options[(stage, *coordinates)][0]
        except KeyError:
            same = {" / ".join(key[1:]) for key in self._options if key[0] == stage}
            raise unknown(f"{stage} of", " / ".join(coordinates), same, where="selected studies") from None

    def first_domain(self, dataset: str) -> str:
        """The domain whose file gives the names of the classes; all domains of a data set have the same."""
        spec = self.options("prepare", dataset)
        module = plugins.load("dataset", spec["source"])
        domains: tuple[str, ...] = module.domains(module.Options.model_validate(spec["options"]))
        return domains[0]

    def _set(self, study: str, options: Options, *key: str) -> None:
        earlier = self._options.setdefault(key, (options, study))
        if earlier[0] != options:
            path, one, other = _first_difference(earlier[0], options)
            raise UserError(
                f"{' / '.join(key[1:])} means two different things",
                where=f"{key[0]} of the selected studies",
                why=f"{path} is {one!r} in {earlier[1]} and {other!r} in {study}",
                hint="Give one of them another name, or select the studies one at a time",
            )  # fmt: skip

    def _register(self, name: str, study: Study) -> None:
        for dataset, use in study.datasets.items():
            source = use.source or dataset
            resolved = plugin_options("dataset", source, use.options).model_dump(mode="json")
            prepare = {"source": source, "options": resolved, "validation_fraction": use.validation_fraction}
            self._set(name, prepare, "prepare", dataset)
            for split, spec in study.splits.items():
                self._set(name, resolved_split(study, dataset, spec), "split", dataset, split)
            self._set(name, {"kind": "all"}, "split", dataset, ALL_CLASSES)
            for backbone in study.backbones:
                self._register_backbone(name, study, dataset, backbone)
        for calibrator, use_ in study.calibrators.items():
            built_in = use_.calibrator or calibrator
            options = plugin_options("calibrator", built_in, use_.options).model_dump(mode="json")
            self._set(name, {"calibrator": built_in, "options": options}, "calibrator", calibrator)
        for run in _runs(study):
            self._members.setdefault(run, []).append(name)

    def _register_backbone(self, name: str, study: Study, dataset: str, backbone: str) -> None:
        use = study.backbones[backbone]
        model = {**use.model_dump(), "model": use.model or backbone, "image_size": study.image_size}
        pretraining = study.pretraining.model_dump(mode="json")
        self._set(name, {"backbone": model, "pretraining": pretraining}, "pretrain", dataset, backbone)
        self._set(name, {"image_size": study.image_size}, "means", dataset, backbone)
        self._set(name, {"image_size": study.image_size}, "extract", dataset, backbone)
        for recipe, recipe_use in study.recipes.items():
            built_in = recipe_use.recipe or recipe
            options = {
                "image_size": study.image_size,
                "recipe": built_in,
                "options": plugin_options("recipe", built_in, recipe_use.options).model_dump(mode="json"),
                "training": study.training_of(recipe).model_dump(mode="json"),
            }
            self._set(name, options, "finetune", dataset, backbone, recipe)
            pseudo = {**options, "pseudo_splits": study.pseudo_splits.model_dump(mode="json")}
            self._set(name, pseudo, "pseudo", dataset, backbone, recipe)


def _runs(study: Study) -> Iterable[RunKey]:
    splits = [*study.splits, *([ALL_CLASSES] if study.oracle_fine_tuning else [])]
    return (
        RunKey(dataset, task, backbone, recipe, split, seed)
        for dataset in study.datasets
        for task in study.tasks[dataset]
        for backbone in study.backbones
        for recipe in study.recipes
        for split in splits
        for seed in study.seeds
    )


def _first_difference(one: Options, other: Options, prefix: str = "") -> tuple[str, Any, Any]:
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            return _first_difference(a, b, f"{prefix}{key}.")
        if a != b:
            return f"{prefix}{key}", a, b
    raise AssertionError("called with equal options")
