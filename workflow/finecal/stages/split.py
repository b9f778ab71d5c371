"""Divide the classes Y into fine-tuning classes S and absent classes U: split.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from finecal import paths, schemas
from finecal.calibration.inputs import group_names
from finecal.config import ClassesSplit, DrawnSplit, PresentSplit, Split
from finecal.config.official_splits import official_classes
from finecal.config.split_resolution import AnySplit, check_size, class_numbers, draw_order, split_size
from finecal.data.packed import read_format
from finecal.download.fetch import check
from finecal.io.arrow_values import numbers, words
from finecal.io.list_columns import matrix_column
from finecal.io.parquet import read_table, with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics.class_clustering import order_by_similarity
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan


def split(plan: Plan, dataset: str, split: str) -> None:
    """Write results/{dataset}/splits/{split}.parquet: class, name, group (fine_tuning or absent)."""
    spec = plan.options("split", dataset, split)
    inputs = [paths.IMAGES.format(dataset=dataset, domain=spec.get("target", plan.first_domain(dataset)))]
    classes = tuple(read_format(inputs[0])["classes"])
    means = None
    if spec["kind"] == "clustered":
        inputs.append(f"{paths.PRETRAINED}/{paths.CLASS_MEANS}".format(dataset=dataset, **spec))
        means = matrix_column(read_table(inputs[1]), "mean", inputs[1])
    elif spec["kind"] == "official":
        data_set = plan.data_set(dataset)
        folder = paths.downloads_folder(data_set.source)
        inputs += [str(folder / download.name) for download in data_set.official_downloads()]
    groups = group_names(_mask(plan, spec, classes, dataset, f"splits.{split}", inputs[0], means))
    table = pa.table(
        {
            "class": pa.array(range(len(classes)), pa.int32()),
            "name": pa.array(classes, pa.string()),
            "group": pa.array(groups, pa.string()),
        }
    )
    columns = {"dataset": dataset, "split": split}
    path = paths.SPLIT.format(**columns)
    made = Identities(plan).of("split", columns).record()
    write_table(path, with_columns(table, columns), schemas.SPLIT, provenance=provenance(made, inputs=inputs))


def _mask(
    plan: Plan,
    spec: dict[str, object],
    classes: tuple[str, ...],
    dataset: str,
    where: str,
    images: str,
    means: np.ndarray | None,
) -> np.ndarray:
    mask = np.zeros(len(classes), dtype=bool)
    if spec["kind"] == "all":
        return ~mask
    use: AnySplit = TypeAdapter(Split).validate_python(spec)
    size = split_size(use, classes, where)  # where it is known without the images
    if isinstance(use, DrawnSplit):
        # Both kinds start with the same class, and differ in those added to it.
        order = draw_order(dataset, use.seed, len(classes))
        mask[order[:size] if means is None else order_by_similarity(means, order[0])[:size]] = True
    elif isinstance(use, ClassesSplit):
        mask[class_numbers(use.fine_tuning, classes, where)] = True
    elif isinstance(use, PresentSplit):
        table = read_table(images, schemas.select(schemas.IMAGES, "class", "subset"))
        mask[numbers(table["class"])[words(table["subset"]) == "train"]] = True
        check_size(int(mask.sum()), len(classes), where)
    else:
        data_set = plan.data_set(dataset)
        folder = paths.downloads_folder(data_set.source)
        for download in data_set.official_downloads():
            check(download, folder)
        mask[official_classes(data_set, use, folder, len(classes))] = True
    return mask
