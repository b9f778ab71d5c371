"""finecal: what did fine-tuning damage in my classifier, and how do I get it back?

What other code may import is what stands here: what a calibrator, recipe or data set of one's own is made of, and what
a notebook needs to measure logits and read results. All else, in whatever module it lies, is private and may change
from one version to the next. Each name is imported from its module when it is first used, so that `import finecal`
itself imports nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # the same names as in `_PUBLIC`, for type checkers and editors
    from finecal.calibration.contract import AddGamma as AddGamma
    from finecal.calibration.contract import Calibrator as Calibrator
    from finecal.calibration.contract import Data as Data
    from finecal.calibration.contract import Fitted as Fitted
    from finecal.calibration.contract import Head as Head
    from finecal.calibration.contract import Labelled as Labelled
    from finecal.calibration.contract import PseudoFold as PseudoFold
    from finecal.calibration.contract import State as State
    from finecal.calibration.contract import Unlabelled as Unlabelled
    from finecal.calibration.contract import finite_gamma as finite_gamma
    from finecal.config.load import load_study as load_study
    from finecal.config.study import Study as Study
    from finecal.config.types import Count as Count
    from finecal.config.types import Fraction as Fraction
    from finecal.config.types import Model as Model
    from finecal.config.types import NonNegative as NonNegative
    from finecal.config.types import Positive as Positive
    from finecal.config.types import Probability as Probability
    from finecal.config.types import Range as Range
    from finecal.data.image_files import ImageFiles as ImageFiles
    from finecal.data.packed import PackedImages as PackedImages
    from finecal.download.spec import Download as Download
    from finecal.download.spec import Files as Files
    from finecal.errors import UserError as UserError
    from finecal.io.parquet import read_metadata as read_metadata
    from finecal.io.parquet import read_table as read_table
    from finecal.library.diagnosis import diagnose as diagnose
    from finecal.library.estimators import LogitCalibrator as LogitCalibrator
    from finecal.library.fitted import FittedCalibrator as FittedCalibrator
    from finecal.library.fitted import load_calibrator as load_calibrator
    from finecal.library.given import ScoresAs as ScoresAs
    from finecal.library.models import calibrate as calibrate
    from finecal.library.result import Diagnosis as Diagnosis
    from finecal.metrics.classification import accuracies as accuracies
    from finecal.metrics.classification import class_means as class_means
    from finecal.metrics.classification import expected_calibration_error as expected_calibration_error
    from finecal.metrics.classification import harmonic_mean as harmonic_mean
    from finecal.metrics.classification import ncm_scores as ncm_scores
    from finecal.metrics.classification import negative_log_likelihood as negative_log_likelihood
    from finecal.metrics.curve import SeenUnseenCurve as SeenUnseenCurve
    from finecal.metrics.curve import seen_unseen_curve as seen_unseen_curve
    from finecal.recipes import BaseRecipe as BaseRecipe
    from finecal.recipes import Context as Context

# Module → what it has that others may import.
_PUBLIC = {
    "calibration.contract": (
        "AddGamma", "Calibrator", "Data", "Fitted", "Head", "Labelled", "PseudoFold", "State", "Unlabelled",
        "finite_gamma",
    ),
    "config.load": ("load_study",),
    "config.study": ("Study",),
    "config.types": ("Count", "Fraction", "Model", "NonNegative", "Positive", "Probability", "Range"),
    "data.image_files": ("ImageFiles",),
    "data.packed": ("PackedImages",),
    "download.spec": ("Download", "Files"),
    "errors": ("UserError",),
    "io.parquet": ("read_metadata", "read_table"),
    "library.diagnosis": ("diagnose",),
    "library.estimators": ("LogitCalibrator",),
    "library.fitted": ("FittedCalibrator", "load_calibrator"),
    "library.given": ("ScoresAs",),
    "library.models": ("calibrate",),
    "library.result": ("Diagnosis",),
    "metrics.classification": (
        "accuracies", "class_means", "expected_calibration_error", "harmonic_mean", "ncm_scores",
        "negative_log_likelihood",
    ),
    "metrics.curve": ("SeenUnseenCurve", "seen_unseen_curve"),
    "recipes": ("BaseRecipe", "Context"),
}  # fmt: skip
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'finecal' has no attribute {name!r}")
    from importlib import import_module

    try:
        value = getattr(import_module(f"finecal.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        from finecal.errors import how_to_install

        missing = (error.name or "finecal").partition(".")[0]
        if missing == "finecal":
            raise
        said = f"finecal.{name} needs {missing}, which is not installed: {how_to_install('pipeline')}"
        raise ModuleNotFoundError(said, name=missing) from error
    globals()[name] = value  # not asked for again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
