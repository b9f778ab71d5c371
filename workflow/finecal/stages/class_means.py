"""Class means of the pretrained model on its source domain, from which clustered splits are made: class_means.parquet.

They have a file of their own, so that a split needs neither the model nor torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from finecal import paths, schemas
from finecal.data.reader import PackedFile
from finecal.io.list_columns import list_array
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics import classification
from finecal.models.extraction import extract
from finecal.models.files import load_model
from finecal.plan.code_digests import Identity
from finecal.runtime.device import choose_device, device_record
from finecal.runtime.memory import Room
from finecal.stages import Settings


def class_means(dataset: str, source: str, backbone: str, settings: Settings) -> None:
    """Write results/{dataset}/pretrained/{source}/{backbone}/class_means.parquet: class, name, mean.

    A mean is that of the L2-normalised features of the class's training samples, float32 × D; NaN for a class that has
    none.
    """
    device = choose_device(settings.device, settings.threads)
    columns: dict[str, str | int] = {"dataset": dataset, "source": source, "backbone": backbone}
    folder = Path(paths.PRETRAINED.format(**columns))
    model, description = load_model(folder / paths.MODEL, device)
    framed = description.framing is not None
    inputs = [folder / paths.MODEL, Path(paths.images_of(dataset, source, backbone, framed=framed))]
    images = PackedFile.open(inputs[1])
    pixels = images.load(images.train, device, Room(settings.data_memory))
    features, _ = extract(model, description, pixels, device, settings.precision)
    found = classification.class_means(features, images.labels[images.train], len(images.classes))
    table = pa.table(
        {
            "class": pa.array(range(len(found)), pa.int32()),
            "name": pa.array(images.classes, pa.string()),
            "mean": list_array(found.astype(np.float32)),
        }
    )
    made = Identity.of("class_means", {"image_size": description.image_size})
    record = provenance(made.record(), inputs=inputs, **device_record(device, settings.precision))
    write_table(folder / paths.CLASS_MEANS, with_columns(table, columns), schemas.CLASS_MEANS, provenance=record)
