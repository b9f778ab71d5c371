"""Check that the sizes of images fit together: that are stored, that weights were trained with, that are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finecal.config.extends import Origin
from finecal.config.preprocessing import STRETCH, Preprocessing
from finecal.config.study import Study
from finecal.errors import UserError
from finecal.models import locations, transformers_config


def check_stored_sizes(study: Study, where: Origin) -> None:
    """Refuse squares that are smaller than what a backbone gets that is shown them, and pictures of points framed."""
    stretched = [name for name in study.backbones if _is_stretched(study, name)]
    framed = [name for name in study.backbones if name not in stretched]
    for dataset, use in study.datasets.items() if framed else ():
        if (use.source or dataset) == "toy":
            raise UserError(
                f"the pictures of {dataset!r} stand for points and can only be shown as they are",
                where=where.at("backbones", framed[0]), hint="Say `preprocessing: stretch`",
            )  # fmt: skip
    for dataset in study.datasets if stretched else ():
        data_set = study.data_set(dataset)
        size = getattr(data_set.options, "size", None)
        if data_set.decodes_files() and size is not None and size < study.image_size:
            raise UserError(
                f"images stored with {size} pixels would be enlarged to `image_size`, {study.image_size}",
                where=where.at("datasets", dataset, "options", "size"),
                why=f"{stretched[0]!r} is shown the stored squares; what the files had beyond them is lost",
                hint=f"Take a `size` of {study.image_size} or more, or a smaller `image_size`",
            )  # fmt: skip


def _is_stretched(study: Study, backbone: str) -> bool:
    said = study.preprocessing_of(backbone)
    return said == STRETCH or (isinstance(said, Preprocessing) and said.like == STRETCH)


def check_input_size(study: Study, backbone: str, location: str) -> None:
    """Refuse another `image_size` than the config.json of weights says that are taken as they are.

    A backbone that states its preprocessing means it. One on the hub is compared once its configuration is in the
    cache: after `finecal prefetch`, or the first job that has fetched it. What timm itself knows of its weights,
    `finecal check` compares before (`finecal.cli.model_checks`).
    """
    if not takes_weights_as_they_are(study, backbone):
        return
    use = study.backbones[backbone]
    place, model = use.weights or locations.folder_of(use.model or ""), use.model or backbone
    config: dict[str, Any] | None
    said_in = locations.CONFIG
    if place is not None:
        config = locations.transform_config(place)
        if config is None and (config := transformers_config.framing(Path(place))):
            said_in = transformers_config.PREPROCESSOR
    elif model.startswith(locations.HUB):
        config = locations.cached_config(model)
    else:
        return
    compare_size(config or {}, study.image_size, f"the weights' {said_in} says", location)


def takes_weights_as_they_are(study: Study, backbone: str) -> bool:
    """Return whether a backbone is shown what its weights' configuration says, without a word of the study."""
    return study.backbones[backbone].preprocessing is None and study.pretraining.training is None


def compare_size(config: Mapping[str, Any], image_size: int, who: str, location: str) -> None:
    """Refuse an `image_size` that is neither the size of the training nor, where there is one, that of the test."""
    sizes = [size for name in ("input_size", "test_input_size") if (size := config.get(name))]
    sizes = [[*size][1:] for size in sizes if isinstance(size, Sequence) and len(size) == 3]
    if not sizes or [image_size] * 2 in sizes:
        return
    (height, width), *_ = sizes
    raise UserError(
        f"the study's `image_size` is {image_size}, {who} {height} × {width}", where=location,
        hint=f"Say `image_size: {height}`, or, if it is to be so, `preprocessing: timm` for this backbone",
    )  # fmt: skip
