"""Tables of all runs and of what their jobs took."""

from __future__ import annotations

import pyarrow as pa

from finecal.schemas import columns
from finecal.schemas.columns import FLOAT64, INT64, OF_RUN, TEXT, column

RUNS = pa.schema(
    [
        *OF_RUN,
        column("built_in_recipe", TEXT, "name of the built-in recipe"),
        column("optimizer", TEXT, "timm's name of the optimiser"),
        column("lr", FLOAT64, "learning rate of the head at the start"),
        column("backbone_lr_scale", FLOAT64, "the backbone's learning rate as a multiple of the head's"),
        column("weight_decay", FLOAT64, "weight decay, as the optimiser defines it"),
        column("momentum", FLOAT64, "momentum, where the optimiser has one"),
        column("label_smoothing", FLOAT64, "label smoothing"),
        column("batch_size", INT64, "samples per step"),
        column("epochs", INT64, "epochs of fine-tuning"),
        column("model", TEXT, "timm's name of the model"),
        column("head", TEXT, "kind of the last layer: linear or cosine"),
        column("split_kind", TEXT, "kind of the split: random, clustered, classes or official"),
        column("split_seed", INT64, "seed of the split; missing where nothing is drawn"),
        column("n_fine_tuning", INT64, "number of classes in S"),
        column("n_absent", INT64, "number of classes in U"),
    ]
)


def _where_there_is_one(field: pa.Field) -> pa.Field:
    return column(field.name, field.type, f"{columns.description(field)}; missing where the stage has none")


COST = pa.schema(
    [
        column(
            "stage",
            TEXT,
            "prepare, pretrain, extract_pretrained, finetune, pcv, extract or interpolate; a row is a job",
        ),
        columns.DATASET,
        column("domain", TEXT, "of prepare, its domain; of pretrain, the source domain"),
        *map(_where_there_is_one, OF_RUN[1:]),
        column("device", TEXT, "cpu, or the name of the GPU"),
        column(
            "wall_seconds",
            FLOAT64,
            "wall time from the start of the job's process, or from its fork, to its last output; with the next three "
            "what the job noted at the end of its last attempt, NaN if results were copied without that. Of a training "
            "that went on from its state, the earlier attempts are added, up to the last save of each",
        ),
        column(
            "cpu_seconds",
            FLOAT64,
            "CPU time of all its threads and of the processes below it. (In files that finecal 0.1.0 left, this and "
            "memory are sampled, at last every 30 s, and NaN if there was no sample.)",
        ),
        column(
            "peak_memory_mib",
            FLOAT64,
            "most resident memory of its process, or of one that it started if that had more, in 2²⁰ bytes: what a "
            "request for the job alone must cover. What it shares with the process that it is a fork of is in it",
        ),
        column(
            "own_memory_mib",
            FLOAT64,
            "most memory that no other process shared, in 2²⁰ bytes: what each further fork of the same process adds. "
            "Of the last attempt; NaN where the system does not say",
        ),
        column(
            "peak_gpu_memory_mib",
            FLOAT64,
            "most memory of torch's tensors on the GPU; NaN on the CPU, and for logits that the training job has left",
        ),
    ]
)
