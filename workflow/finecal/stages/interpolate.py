"""Logits of the models between θ⁰ and θ: interpolated/logits.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from finecal import paths, schemas
from finecal.data.reader import PackedFile
from finecal.io.list_columns import list_array
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.models.extraction import extract
from finecal.models.files import load_model
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.runtime.device import choose_device, device_record
from finecal.runtime.memory import Room
from finecal.stages import Settings


def interpolate(plan: Plan, run: RunKey, settings: Settings) -> None:
    """Write interpolated/logits.parquet of a run: sample, label, subset, alpha, logits.

    There is one block of rows for each α that a calibrator of the run asks for. Weights are not kept:
    they follow from two files.
    """
    alphas = plan.request(plan.studies_of(run)).alphas
    inputs = [run.pretrained_folder / paths.MODEL, run.folder / paths.MODEL, plan.images_of_run(run)]
    device = choose_device(settings.device, settings.threads)
    images = PackedFile.open(inputs[2])
    pixels = images.load(np.ones(len(images), dtype=bool), device, Room(settings.data_memory))
    pretrained, _ = load_model(inputs[0], device)
    tuned, description = load_model(inputs[1], device)
    before, after = pretrained.state_dict(), {k: v.clone() for k, v in tuned.state_dict().items()}
    parts = []
    for alpha in alphas:
        set_between(tuned, before, after, alpha)
        _, logits = extract(tuned, description, pixels, device, settings.precision)
        parts.append(
            pa.table(
                {
                    "sample": pa.array(range(len(images)), pa.int32()),
                    "label": pa.array(images.labels, pa.int32()),
                    "subset": pa.array(images.subset),
                    "alpha": pa.repeat(pa.scalar(alpha, pa.float64()), len(images)),
                    "logits": list_array(logits),
                }
            )
        )
    made = Identities(plan).of_run("interpolate", run).record()
    record = provenance(made, inputs=inputs, **device_record(device, settings.precision))
    table = with_columns(pa.concat_tables(parts), run.columns())
    write_table(run.path(paths.INTERPOLATED), table, schemas.INTERPOLATED, provenance=record)


@torch.no_grad()
def set_between(model: nn.Module, before: dict[str, Tensor], after: dict[str, Tensor], alpha: float) -> None:
    """Give a model the weights (1 − α) θ⁰ + α θ.

    The running statistics of batch normalisation are interpolated like weights; integers, such as its count of
    batches, are θ's. Wortsman et al. 2022 (arXiv 2109.01903).
    """
    mixed = {
        name: (1 - alpha) * before[name] + alpha * value if value.is_floating_point() else value
        for name, value in after.items()
    }
    model.load_state_dict(mixed)
