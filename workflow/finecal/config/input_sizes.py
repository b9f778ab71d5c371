"""Check that the sizes of images fit together: that are stored, that weights were trained with, that are shown."""

from __future__ import annotations

from finecal.config.extends import Origin
from finecal.config.preprocessing import STRETCH, Preprocessing
from finecal.config.study import Study
from finecal.errors import UserError
from finecal.models import locations


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
    cache: after `finecal prefetch`, or the first job that has fetched it.
    """
    use = study.backbones[backbone]
    if use.preprocessing is not None or study.pretraining.training is not None:
        return
    place, model = use.weights or locations.folder_of(use.model or ""), use.model or backbone
    if place is not None:
        config = locations.transform_config(place)
    elif model.startswith(locations.HUB):
        config = locations.cached_config(model)
    else:
        return
    size = (config or {}).get("input_size")
    if not isinstance(size, list) or len(size) != 3 or size[1:] == [study.image_size] * 2:
        return
    raise UserError(
        f"the study's `image_size` is {study.image_size}, the weights' config.json says {size[1]} × {size[2]}",
        where=location,
        hint=f"Say `image_size: {size[1]}`, or, if it is to be so, `preprocessing: timm` for this backbone",
    )
