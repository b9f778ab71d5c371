"""What a backbone with a preprocessing of its own is shown of each image: images/{domain}/{backbone}.parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from finecal import paths
from finecal.data.decoding import pack
from finecal.data.packed import PackedImages, rows_in_group, write_parts
from finecal.io.provenance import provenance
from finecal.models.build import architecture
from finecal.models.preprocessing import transform
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.stages.prepare import open_samples


def frame(plan: Plan, dataset: str, domain: str, backbone: str, threads: int = 1) -> None:
    """Write the images of a domain after timm's transform, up to the bytes; files are decoded by this many threads.

    It starts from the image files. Where a data set has arrays, these are its images.
    """
    path = paths.FRAMED.format(dataset=dataset, domain=domain, backbone=backbone)
    columns = {"dataset": dataset, "domain": domain, "backbone": backbone}
    use = {**plan.options("frame", dataset, backbone)["backbone"], "options": {}}
    with open_samples(plan, dataset, domain, path) as (samples, inputs):
        channels = samples.pixels.shape[-1] if isinstance(samples, PackedImages) else 3
        shown = architecture(use, samples.classes, channels)
        assert shown.framing is not None
        framed = transform(shown.framing, shown.mean, shown.image_size)
        parts = {**shown.framing, "mean": shown.mean, "std": shown.std, "image_size": shown.image_size}
        record = provenance(Identities(plan).of("frame", columns).record(), inputs=inputs)
        made = {**record, "preprocessing": parts}
        if isinstance(samples, PackedImages):
            shape = (shown.image_size, shown.image_size, channels)
            write_parts(path, samples, shape, _parts(samples.pixels, shape, framed), columns=columns, provenance=made)
        else:
            files = replace(samples, size=shown.image_size)
            pack(files, path, columns=columns, provenance=made, threads=threads, framed=framed)


def _parts(
    pixels: np.ndarray, shape: tuple[int, int, int], framed: Callable[[Image.Image], np.ndarray]
) -> Iterator[np.ndarray]:
    rows = rows_in_group(shape)
    for start in range(0, max(1, len(pixels)), rows):
        part = pixels[start : start + rows]
        images = (Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one) for one in part)
        yield np.stack([framed(image) for image in images]) if len(part) else np.empty((0, *shape), np.uint8)
