"""Find, import and check plugins: data sets, recipes, calibrators, tables and figures.

A built-in plugin is a file in its kind's folder, found by its module name. A study may also name a file of the user's
own, by a path that ends in `.py`, relative to the working directory; and an installed package may bring data sets,
recipes and calibrators by entry points (`finecal.registry.packages`). All are checked alike.
"""

from finecal.registry.files import (
    KINDS,
    built_in_names,
    constant,
    description,
    is_own,
    names,
    package_of,
    source_file,
    title,
)
from finecal.registry.loading import load
from finecal.registry.records import (
    CalibratorRecord,
    DatasetRecord,
    RecipeRecord,
    Record,
    calibrator_record,
    dataset_record,
    recipe_record,
    record,
)

__all__ = [
    "KINDS",
    "CalibratorRecord",
    "DatasetRecord",
    "RecipeRecord",
    "Record",
    "built_in_names",
    "calibrator_record",
    "constant",
    "dataset_record",
    "description",
    "is_own",
    "load",
    "names",
    "package_of",
    "recipe_record",
    "record",
    "source_file",
    "title",
]
