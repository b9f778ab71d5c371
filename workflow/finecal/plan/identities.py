"""What decides the result of each job of the selected studies: code and options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finecal import paths
from finecal.errors import UserError, unknown
from finecal.paths import RunKey
from finecal.plan import run_table
from finecal.plan.code_digests import PACKAGE, Identity, plugin_files
from finecal.plan.decisive_options import decisive_options, without_path
from finecal.plan.options import IMPORTED, Options, changed_options, own_weights
from finecal.plan.plan import Plan
from finecal.plan.stage import Stage
from finecal.plan.stages import STAGES

# Files that decide the results of some jobs of a stage only, beside the files of the stage.
_READING = (
    "checkpoints", "fitting", "foreign_names", "nested_states", "pickled_types", "renaming", "said_beside",
    "state_dicts", "stated_model", "timm_conversion", "torchvision_names", "transformers_names", "weight_files",
    "wrappers",
)  # fmt: skip
FURTHER_FILES = {
    **{name: f"models/{name}.py" for name in _READING},
    "sources": "models/locations.py",
    "row_names": "models/row_names.py",
    "take_over": "stages/take_over.py",
    "official": "config/official_splits.py",
    "zero_shot": "models/zero_shot.py",
    "prompts": "models/prompts.py",
    "calibrated": "export/standalone.py",
    "of_files": "export/prepare.py",
}
OF_CHECKPOINTS = (*_READING, "sources", "row_names", "take_over")


class Identities:
    """Stage and coordinates → `Identity`, each computed once: jobs that differ in split and seed only share one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._found: dict[tuple[str, ...], Identity] = {}

    def of(self, stage: str, coordinates: Mapping[str, Any]) -> Identity:
        """Return the identity of a job.

        Parameters
        ----------
        stage
            Key of `finecal.plan.stages.STAGES`.
        coordinates
            The wildcards of its rule by name; more than the stage needs may be there.

        Raises
        ------
        UserError
            If no selected study contains it.
        """
        record = STAGES[stage]
        return self._of_key(record, self._key(record, coordinates))

    def of_run(self, stage: str, run: RunKey, **further: str) -> Identity:
        """Return the identity of a job of a run, with further wildcards."""
        return self.of(stage, {**run.columns(), "source": run.source, "target": run.target, **further})

    def of_all(self, stage: str) -> Identity | None:
        """Return the identity that all jobs of a stage of runs share; None if they differ."""
        record = STAGES[stage]
        if record.options == "calibrators":
            keys = self.plan.combinations()
        else:
            keys = {tuple(getattr(run, name) for name in record.keys) for run in self.plan.trainings}
        return self._of_key(record, keys.pop()) if len(keys) == 1 else None

    def with_places(self, stage: str, coordinates: Mapping[str, Any]) -> Options:
        """Return the options of a job with the paths that the study gives, in place of the files' contents."""
        record = STAGES[stage]
        if record.options == "calibrators":
            uses = self.plan.calibrators(_run(coordinates))
            return uses[str(coordinates["calibrator"])] if record.keys else uses
        if record.options == "study":
            return self.plan.options(stage, *_shared_key(record, [str(coordinates[name]) for name in record.keys]))
        return {}

    def _key(self, record: Stage, coordinates: Mapping[str, Any]) -> tuple[str, ...]:
        """The coordinates on which a stage's options depend; for calibrators also the studies that contain the run."""
        if "recipe" in record.keys:
            run = self.plan.check_contains(_run(coordinates))
            if self.plan.checkpoint_of(run):  # each run has its own checkpoint
                return tuple(map(str, run.columns().values()))
        own = tuple(str(coordinates[name]) for name in record.keys)
        return (*own, *self.plan.studies_of(_run(coordinates))) if record.options == "calibrators" else own

    def _of_key(self, record: Stage, key: tuple[str, ...]) -> Identity:
        if (record.name, *key) not in self._found:
            options, extra = self._resolve(record, key)
            self._found[(record.name, *key)] = Identity.of(record.name, options, extra)
        return self._found[(record.name, *key)]

    def _resolve(self, record: Stage, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        """Options of a stage, and further files that its code consists of."""
        if record.options == "studies":
            return self._of_all_runs(record, key)
        if record.options == "calibrators":
            return self._of_calibrators(record, key)
        return self._of_study(record, key) if record.options == "study" else ({}, [])

    def _of_all_runs(self, record: Stage, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        options: Options = {"studies": [Path(name).name for name in self.plan.names]}
        if record.name == "run_table":
            options["runs"] = run_table.digest(self.plan)
        # The report shows all tables.
        shown = key or (self.plan.applicable(record.plugins) if record.plugins else ())
        return options, plugin_files(record.plugins, shown) if shown else []

    def _of_calibrators(self, record: Stage, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        names, studies = key[: len(record.keys)], key[len(record.keys) :]
        request = self.plan.request(studies)
        if record.name == "interpolate":
            return {"alphas": request.alphas}, []
        if not names:
            uses = request.calibrators
            decisive = {name: without_path("calibrator", use) for name, use in uses.items()}
            if record.name == "evaluate" and (expected := self.plan.options_of("expect")):
                decisive[".expect"] = {key: found for (key,), found in expected.items()}  # no calibrator begins with .
            return decisive, plugin_files("calibrator", {use["calibrator"] for use in uses.values()})
        (name,) = names
        if name not in request.calibrators:
            raise unknown("calibrator", name, request.calibrators, where=record.name)
        use = request.calibrators[name]
        return without_path("calibrator", use), [
            *_further("calibrated", "of_files"),
            *plugin_files("calibrator", [use["calibrator"]]),
        ]

    def _of_study(self, record: Stage, key: tuple[str, ...]) -> tuple[Options, Iterable[Path]]:
        run = None
        if "recipe" in record.keys and len(key) == len(paths.RUN_KEYS):  # a checkpoint of its own
            *names, seed = key
            run = RunKey(**dict(zip(paths.RUN_KEYS, names, strict=False)), seed=int(seed))
            key = (run.dataset, run.backbone, run.recipe)
        options = self.plan.options(record.name, *_shared_key(record, key))
        return decisive_options(self.plan, record.name, key, run), self._further_files(record, key, options)

    def _further_files(self, record: Stage, key: tuple[str, ...], options: Options) -> Iterable[Path]:
        if options.get("kind") == "official":
            return [*_further("official"), *plugin_files("dataset", [self.plan.data_set(key[0]).source])]
        if options.get("recipe") == IMPORTED or (record.name == "pretrain" and own_weights(options)):
            return _further(*OF_CHECKPOINTS)
        if record.name == "pretrain" and "zero_shot" in options["backbone"]:
            return _further("zero_shot", "prompts")
        named = {"dataset": "source", "recipe": "recipe"}  # kind of plugin → the option that names it
        return plugin_files(record.plugins, [options[named[record.plugins]]]) if record.plugins else []


def _shared_key(record: Stage, key: Sequence[str]) -> Sequence[str]:
    """The coordinates that `Plan.options` takes: the domains of a data set share their options."""
    if record.name == "frame":
        return (key[0], key[2])
    return key[:1] if record.name == "prepare" else key


def _further(*names: str) -> list[Path]:
    return [PACKAGE / FURTHER_FILES[name] for name in names]


def changed_modules(earlier: Mapping[str, str], later: Mapping[str, str]) -> Iterator[str]:
    """Say which modules of a stage have changed, from the digests in `Identity.modules`."""
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
    difference = next(options, None) or next(code, "its code has changed")
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
