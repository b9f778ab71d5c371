"""What the warm process imports before it forks: what the jobs that are due would import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module

from finecal.errors import UserError
from finecal.io.provenance import library_versions
from finecal.models.timm_names import architectures, deprecations
from finecal.plan.code_digests import stage_digest
from finecal.plan.stage import Stage
from finecal.plan.stages import STAGES
from finecal.registry import KINDS, built_in_names, calibrator_record, dataset_record, names, recipe_record
from finecal.runtime.imports import large_imports

# Modules that are imported only when a function is called, by finecal or by a library: of all stages, of those that run
# models (torch imports it for its first optimiser), and of others.
OF_ALL = (
    *("finecal.cli", "finecal.config.settings", "finecal.plan.plan", "finecal.plan.estimate", "finecal.plan.job_files"),
    *("finecal.plan.identities", "finecal.runtime.readiness", "finecal.runtime.usage", "tabulate"),
)
OF_MODELS = (
    *("timm", "torch._dynamo", "torch.optim", "torch.utils.serialization.config", "numpy.ctypeslib", "numpy.ma"),
    *("finecal.data.reader", "finecal.models.extraction", "finecal.models.files", "finecal.runtime.device"),
)
OF_STAGE = {
    "gamma_draws": ("numpy.ma", "numpy.random"),
    "split": ("finecal.seeds", "numpy.random", "scipy.cluster.hierarchy", "scipy.spatial.distance"),
    "calibrate": ("scipy.optimize",),
    "evaluate": ("scipy.spatial.distance",),
    "feature_map": ("sklearn.decomposition", "sklearn.manifold"),
    "figure": (
        *("seaborn", "scipy.ndimage", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
        *(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "Ppm")),
    ),
    "report": ("PIL.Image", "pandas"),
    "table": ("finecal.tables._text", "pandas", "pandas.core.methods.to_dict", "pandas.io.formats.csvs"),
}
# Stages that load torch without running models.
ALSO_TORCH = ("export", "frame")
# Kinds of plugins that jobs of a stage load; all jobs load those that the options of a study name.
OF_STUDIES = ("calibrator", "dataset", "recipe")
PRESENTED = ("table", "figure")


def with_torch(stages: Iterable[str]) -> list[str]:
    """Those of some stages whose jobs load torch."""
    return [stage for stage in stages if stage in ALSO_TORCH or (stage in STAGES and STAGES[stage].torch)]


def modules(stage: str) -> list[str]:
    """Return the modules that jobs of a stage import, or none if there is no such stage."""
    return list(dict.fromkeys(_modules(STAGES[stage]))) if stage in STAGES else []


def _modules(stage: Stage) -> Iterator[str]:
    yield from OF_ALL
    if stage.torch:
        yield from OF_MODELS
    yield f"finecal.stages.{stage.module or stage.name}"
    yield from OF_STAGE.get(stage.name, ())
    for kind in (*OF_STUDIES, *(kind for kind in PRESENTED if kind == stage.name)):
        yield from (f"finecal.{KINDS[kind]}.{name}" for name in built_in_names(kind))


class Libraries:
    """Modules that are imported when a job needs them, or before, while there is nothing else to do.

    With them goes what every job of a stage reads of files that do not change while the warm process is in use
    (freshness.py), and finecal keeps in memory: digests of its code, the names of timm's models, versions.

    Parameters
    ----------
    stages
        The names of the stages whose jobs are expected.
    """

    def __init__(self, stages: list[str]) -> None:
        self._expected = [stage for stage in stages if stage in STAGES]
        self._imported: set[str] = set()

    @property
    def complete(self) -> bool:
        """Whether all is imported that jobs of the expected stages need."""
        return not self._expected

    def import_next(self) -> None:
        """Import one more module that expected jobs need."""
        stage = self._expected[0]
        missing = self._missing(stage)
        if missing:
            self._import(missing[:1])
        else:
            self.import_for(stage)

    def import_for(self, stage: str) -> None:
        """Import what jobs of a stage need; nothing if there is no such stage."""
        self._import(self._missing(stage))
        if stage in STAGES:
            _read_for_all()
        self._expected = [one for one in self._expected if one != stage]

    def _missing(self, stage: str) -> list[str]:
        return [module for module in modules(stage) if module not in self._imported]

    def _import(self, names: list[str]) -> None:
        with large_imports():
            for name in names:
                import_module(name)
        self._imported |= set(names)


@cache
def _read_for_all() -> None:
    """Read what jobs of all stages ask for: names of models, versions, code, and what plugins say of themselves."""
    architectures()
    deprecations()
    library_versions()
    for stage in STAGES:  # jobs compare what made their inputs, too
        stage_digest(stage)
    for kind in KINDS:
        with suppress(UserError):  # two packages bring the same name: a job says so, if it is one that asks
            names(kind)
    for kind, record in (("calibrator", calibrator_record), ("dataset", dataset_record), ("recipe", recipe_record)):
        for name in built_in_names(kind):
            record(name)
