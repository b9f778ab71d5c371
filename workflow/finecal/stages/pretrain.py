"""The pretrained model θ⁰ of a source domain: model, head, history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from torch import nn

from finecal import paths
from finecal.artifacts import provenance, sha256, with_columns, write_table
from finecal.code import digests
from finecal.config import Pretraining
from finecal.device import choose_device, seed_everything, used
from finecal.errors import UserError
from finecal.extraction import extract
from finecal.images import read_images
from finecal.models import architecture, build, head_classes, save_model, write_head
from finecal.plan import Plan
from finecal.recipes import full
from finecal.seeds import seed_of
from finecal.stages import Settings
from finecal.state import StateFile, state_of_one_process
from finecal.training import TrainingData, train


def pretrain(plan: Plan, dataset: str, source: str, backbone: str, settings: Settings) -> None:
    """Write model.safetensors, head.parquet and history.parquet of results/{dataset}/pretrained/{source}/{backbone}."""
    spec = plan.options("pretrain", dataset, backbone)
    pretraining = Pretraining.model_validate(spec["pretraining"])
    device = choose_device(settings.device, settings.threads)
    images_path = paths.IMAGES.format(dataset=dataset, domain=source)
    images = read_images(images_path)
    coordinates = (dataset, source, backbone, "pretrain", pretraining.seed)
    folder = Path(paths.PRETRAINED.format(dataset=dataset, source=source, backbone=backbone))
    columns: dict[str, str | int] = {"dataset": dataset, "source": source, "backbone": backbone}

    with state_of_one_process(paths.state_folder(folder)) as state_folder:
        seed_everything(seed_of(*coordinates, "weights"))
        description = architecture(spec["backbone"], images.classes, images.pixels.shape[-1])
        model = build(description, weights=pretraining.weights).to(device)
        history: list[dict[str, float]] = []
        if pretraining.training is not None:
            belongs_to = {
                "code": digests("pretrain"),
                "options": spec,
                "coordinates": coordinates,
                "images": sha256(images_path),
            }

            def observe(model: nn.Module) -> dict[str, float]:
                _, logits = extract(model, description, images.pixels[images.test], device)
                return {"acc_y_y": float(np.mean(logits.argmax(axis=1) == images.labels[images.test]))}

            history = train(
                model,
                description,
                TrainingData.of(images.pixels, images.labels, images.train, device),
                full.Recipe(full.Options()),
                pretraining.training,
                fine_tuning=np.ones(len(images.classes), dtype=bool),
                coordinates=coordinates,
                state=StateFile(state_folder / "state.pt", belongs_to, settings.state_interval),
                observe=observe,
            )
        elif (hub_classes := head_classes(model)) != len(images.classes):
            raise UserError(
                f"the hub's head has {hub_classes} classes, the data set {dataset!r} has {len(images.classes)}",
                where="pretraining.training", why="`null` takes the hub's head as it is",
                hint="Give `training`, so that the head is trained on the source domain",
            )  # fmt: skip
        record = provenance(options=spec, inputs=[images_path], **used(device))
        table = pa.Table.from_pylist(history) if history else pa.table({"epoch": pa.array([], pa.int64())})
        write_table(folder / paths.HISTORY, with_columns(table, columns), provenance=record)
        write_head(folder / paths.HEAD, model, images.classes, columns, provenance=record)
        save_model(folder / paths.MODEL, model, description, provenance=record)
