"""Typed models of a study: the options of training, models and splits, and the study that contains them all."""

from finecal.config.models import Backbone, ZeroShot
from finecal.config.splits import (
    ClassesSplit,
    ClusteredSplit,
    DrawnSplit,
    OfficialSplit,
    PresentSplit,
    RandomSplit,
    Split,
)
from finecal.config.study import CalibratorUse, Dataset, RecipeUse, Study, plugin_options
from finecal.config.training import Augmentation, Pretraining, PseudoSplits, Training
from finecal.config.types import Count, Fraction, Listed, Model, NonNegative, Positive, Probability, Range, Seed

__all__ = [
    "Augmentation",
    "Backbone",
    "CalibratorUse",
    "ClassesSplit",
    "ClusteredSplit",
    "Count",
    "Dataset",
    "DrawnSplit",
    "Fraction",
    "Listed",
    "Model",
    "NonNegative",
    "OfficialSplit",
    "Positive",
    "PresentSplit",
    "Pretraining",
    "Probability",
    "PseudoSplits",
    "RandomSplit",
    "Range",
    "RecipeUse",
    "Seed",
    "Split",
    "Study",
    "Training",
    "ZeroShot",
    "plugin_options",
]
