"""What decides the result of each job of the selected studies: code and options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from finecal import paths
from finecal.errors import UserError, unknown
from finecal.paths import RunKey
from finecal.plan import axes, run_table
from finecal.plan.code_digests import PACKAGE, Identity, plugin_files
from finecal.plan.decisive_options import decisive_options, without_path
from finecal.plan.options import IMPORTED, Options, changed_options, own_weights
from finecal.plan.plan import Plan

# The coordinates on which a stage's options depend.
STAGE_KEYS: dict[str, tuple[str, ...]] = {
    "prepare": ("dataset", "domain"),
    "split": ("dataset", "split"),
    "pretrain": ("dataset", "backbone"),
    "means": ("dataset", "backbone"),
    "extract": ("dataset", "backbone"),
    "finetune": ("dataset", "backbone", "recipe"),
    "pseudo": ("dataset", "backbone", "recipe"),
    "similarity": (),
    "embed": (),
    "regions": (),
    "aggregate": (),
    "cost": (),
    "runs": (),
    "table": ("table",),
    "figure": ("figure",),
    "report": (),
}

# Stages whose options are those of the calibrators of all studies that contain a run.
OF_STUDIES = ("interpolate", "calibrate", "evaluate", "gamma_data")
# Stages of all runs together.
OF_ALL_RUNS = ("aggregate", "cost", "runs", "table", "figure", "report")

# What decides the result of some jobs of a stage only, beside the files of the stage.
FURTHER_FILES = {
    "checkpoints": "models/checkpoints.py",
    "sources": "models/locations.py",
    "take_over": "stages/take_over.py",
    "official": "config/official_splits.py",
    "zero_shot": "models/zero_shot.py",
    "calibrated": "export/standalone.py",
}
OF_CHECKPOINTS = ("checkpoints", "sources", "take_over")


class Identities:
    """Stage and coordinates → `Identity`, each computed once: jobs that differ in split and seed only share one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._found: dict[tuple[str, ...], Identity] = {}

    def of(self, stage: str, coordinates: Mapping[str, Any]) -> Identity:
        """The identity of a job.

        Parameters
        ----------
        stage
            Key of `finecal.plan.code_digests.STAGE_FILES`.
        coordinates
            The wildcards of its rule by name; more than the stage needs may be there.

        Raises
        ------
        UserError
            If no selected study contains it.
        """
        return self._of_key(stage, self._key(stage, coordinates))

    def of_run(self, stage: str, run: RunKey, **further: str) -> Identity:
        """The identity of a job of a run, with further wildcards."""
        return self.of(stage, {**run.columns(), "source": run.source, "target": run.target, **further})

    def of_all(self, stage: str) -> Identity | None:
        """The identity that all jobs of a stage of runs share; None if they differ."""
        if stage in OF_STUDIES:
            keys = self.plan.combinations()
        else:
            keys = {tuple(getattr(run, name) for name in STAGE_KEYS[stage]) for run in self.plan.trainings}
        return self._of_key(stage, keys.pop()) if len(keys) == 1 else None

    def with_places(self, stage: str, coordinates: Mapping[str, Any]) -> Options:
        """The options of a job of a training or of calibrators with the paths that the study gives, not contents."""
        key = self._key(stage, coordinates)
        if stage in OF_STUDIES or stage == "export":
            uses = self.plan.asked(tuple(key[stage == "export" :])).calibrators
            return uses[key[0]] if stage == "export" else uses
        names = {"prepare": ("dataset",)}.get(stage, STAGE_KEYS[stage])
        return self.plan.options(stage, *(str(coordinates[name]) for name in names)) if names else {}

    def _key(self, stage: str, coordinates: Mapping[str, Any]) -> tuple[str, ...]:
        """The coordinates on which a stage's options depend; for calibrators, the studies that contain the run."""
        if stage in OF_STUDIES:
            return self.plan.studies_of(_run(coordinates))
        if stage == "export":
            return (str(coordinates["calibrator"]), *self.plan.studies_of(_run(coordinates)))
        if stage in ("finetune", "pseudo"):
            run = self.plan.known(_run(coordinates))
            if self.plan.imported(run):  # each run has its own checkpoint
                return tuple(map(str, run.columns().values()))
        return tuple(str(coordinates[name]) for name in STAGE_KEYS[stage])

    def _of_key(self, stage: str, key: tuple[str, ...]) -> Identity:
        if (stage, *key) not in self._found:
            options, extra = self._resolve(stage, key)
            self._found[(stage, *key)] = Identity.of(stage, options, extra)
        return self._found[(stage, *key)]

    def _resolve(self, stage: str, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        """Options of a stage, and further files that its code consists of."""
        if stage in ("similarity", "embed", "regions"):
            return {}, []
        if stage in OF_ALL_RUNS:
            return self._of_all_runs(stage, key)
        if stage in (*OF_STUDIES, "export"):
            return self._of_calibrators(stage, key)
        return self._of_training(stage, key)

    def _of_all_runs(self, stage: str, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        used: dict[str, Callable[[], tuple[str, Iterable[str]]]] = {
            "table": lambda: ("table", key),
            "figure": lambda: ("figure", key),
            "report": lambda: ("table", axes.applicable("table", self.plan.axes())),
        }
        options: Options = {"studies": [Path(name).name for name in self.plan.names]}
        if stage == "runs":
            options["runs"] = run_table.digest(self.plan)
        return options, plugin_files(*used[stage]()) if stage in used else []

    def _of_calibrators(self, stage: str, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        if stage == "interpolate":
            return {"alphas": self.plan.asked(key).alphas}, []
        if stage != "export":
            uses = self.plan.asked(key).calibrators
            decisive = {name: without_path("calibrator", use) for name, use in uses.items()}
            return decisive, plugin_files("calibrator", {use["calibrator"] for use in uses.values()})
        name, *studies = key
        uses = self.plan.asked(tuple(studies)).calibrators
        if name not in uses:
            raise unknown("calibrator", name, uses, where="export")
        files = [*_further("calibrated"), *plugin_files("calibrator", [uses[name]["calibrator"]])]
        return without_path("calibrator", uses[name]), files

    def _of_training(self, stage: str, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        run = None
        if stage == "finetune" and len(key) == len(paths.RUN_KEYS):
            *names, seed = key
            run = RunKey(**dict(zip(paths.RUN_KEYS, names, strict=False)), seed=int(seed))
            key = (run.dataset, run.backbone, run.recipe)
        options = self.plan.options(stage, *(key[:1] if stage == "prepare" else key))
        return decisive_options(self.plan, stage, key, run), self._further_files(stage, key, options)

    def _further_files(self, stage: str, key: tuple[str, ...], options: Options) -> Iterable[Path]:
        if stage == "split" and options["kind"] == "official":
            return [*_further("official"), *plugin_files("dataset", [self.plan.data_set(key[0]).source])]
        if options.get("recipe") == IMPORTED or (stage == "pretrain" and own_weights(options)):
            return _further(*OF_CHECKPOINTS)
        if stage == "pretrain" and "zero_shot" in options["backbone"]:
            return _further("zero_shot")
        plugin = {"prepare": ("dataset", "source"), "finetune": ("recipe",) * 2, "pseudo": ("recipe",) * 2}.get(stage)
        return plugin_files(plugin[0], [options[plugin[1]]]) if plugin else []


def _further(*names: str) -> list[Path]:
    return [PACKAGE / FURTHER_FILES[name] for name in names]


def changed_modules(earlier: Mapping[str, str], later: Mapping[str, str]) -> Iterator[str]:
    """Say which modules of a stage mean something else than before, from the digests in `Identity.modules`."""
    for name in sorted({*earlier, *later}):
        if name not in later:
            yield f"{name}: no longer used"
        elif name not in earlier:
            yield f"{name}: new"
        elif earlier[name] != later[name]:
            yield f"{name}: changed"


def check_made_as_planned(
    identities: Identities, stage: str, run: RunKey, record: Mapping[str, Any], file: Path
) -> None:
    """Refuse a result that was made with other options or code than the plan has now.

    Parameters
    ----------
    record
        The provenance of the file; one without an identity, of an earlier finecal, is accepted.

    Raises
    ------
    UserError
        It names the first difference.
    """
    made, planned = Identity.recorded(record), identities.of_run(stage, run)
    if made is None or str(made) == str(planned):
        return
    options, code = changed_options(made.options, planned.options), changed_modules(made.modules, planned.modules)
    difference = next(options, None) or next(code, "its code is another")
    raise UserError(
        "this result was made with other options or code than are selected now", where=str(file),
        why=f"{difference} (from what made it to what is selected)",
        hint="Call snakemake again, which makes it anew; `finecal why` with the file says all differences",
    )  # fmt: skip


def _run(coordinates: Mapping[str, Any]) -> RunKey:
    try:
        names = ("source", "target", "dataset", "backbone", "recipe", "split", "seed")
        return RunKey.named(**{name: str(coordinates[name]) for name in names})
    except KeyError as error:
        raise UserError(f"the coordinate {error} of a run is missing", why=f"A run is {paths.RUN}") from error
