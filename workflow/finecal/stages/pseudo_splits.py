"""Pseudo cross-validation: fine-tune on parts of S and keep the logits of validation samples.

Everything is drawn from the training samples of S: what PCV may read. The weights are not kept, since nothing
reads them again and they would be K times the disk of the run itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from finecal import paths, registry, schemas
from finecal.calibration.inputs import group_names, read_split
from finecal.config import PseudoSplits, Training, plugin_options
from finecal.data.divisions import stratified_test
from finecal.data.packed import Samples
from finecal.data.reader import PackedFile
from finecal.errors import UserError
from finecal.io.declared import from_rows
from finecal.io.list_columns import list_array
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance, sha256
from finecal.models.extraction import extract
from finecal.models.files import load_model
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.runtime.device import choose_device, device_record, numerics
from finecal.runtime.memory import Room
from finecal.seeds import generator
from finecal.stages import Settings
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile, earlier_tries
from finecal.training.state_folder import lock_state
from finecal.training.task import Execution, TrainingTask


def pseudo_splits(plan: Plan, run: RunKey, settings: Settings) -> None:
    """Write pcv/logits.parquet (fold, sample, label, group, logits) and pcv/history.parquet of a run."""
    spec = plan.options("pseudo_splits", run.dataset, run.backbone, run.recipe)
    options = PseudoSplits.model_validate(spec["pseudo_splits"])
    device = choose_device(settings.device, settings.threads)
    pretrained = run.pretrained_folder / paths.MODEL
    inputs = [pretrained, plan.images_of_run(run), run.path(paths.SPLIT)]
    images = PackedFile.open(inputs[1])
    fine_tuning, _ = read_split(inputs[2])
    recipe = registry.load("recipe", spec["recipe"]).Recipe(plugin_options("recipe", spec["recipe"], spec["options"]))
    identity = Identities(plan).of_run("pseudo_splits", run)
    computed = {
        "code": identity.code,
        "options": identity.options,
        "inputs": [sha256(path) for path in inputs],
        "numerics": numerics(device, settings.precision, settings.compile),
    }
    data = TrainingData.from_file(images, images.train & fine_tuning[images.labels], device, Room(settings.data_memory))
    logits_parts, history_rows = [], []

    with lock_state(paths.state_folder(run.path(paths.PSEUDO))) as state_folder:
        for fold in range(options.folds):
            print(f"pseudo-split {fold + 1} of {options.folds}", file=sys.stderr, flush=True)
            coordinates = (*run.columns().values(), "pcv", fold)
            s_prime, training, validation = divide(images, fine_tuning, options, coordinates)
            belongs_to = {**computed, "coordinates": coordinates}
            model, description = load_model(pretrained, device)
            history = TrainingRun(
                TrainingTask(
                    model,
                    description,
                    data.select(training),
                    recipe,
                    Training.model_validate(spec["training"]),
                    fine_tuning=s_prime,
                    coordinates=coordinates,
                ),
                StateFile(_state(state_folder, fold), belongs_to, settings.state_interval),
                observe=lambda _model: {},
                execution=Execution(settings.precision, settings.compile),
            ).run()
            _, logits = extract(model, description, data.select(validation).pixels, device, settings.precision)
            labels = images.labels[validation]
            logits_parts.append(_fold_table(fold, np.flatnonzero(validation), labels, s_prime, logits))
            history_rows += [{"fold": fold, **row} for row in history]
        record = provenance(
            identity.record(), inputs=inputs, **device_record(device, settings.precision, compiled=settings.compile)
        )
        record |= earlier_tries()
        for pattern, table, schema in (
            (
                paths.PSEUDO_HISTORY,
                from_rows(history_rows, schemas.own_columns(schemas.PSEUDO_HISTORY)),
                schemas.PSEUDO_HISTORY,
            ),
            (paths.PSEUDO_LOGITS, pa.concat_tables(logits_parts), schemas.PSEUDO_LOGITS),
        ):
            write_table(run.path(pattern), with_columns(table, run.columns()), schema, provenance=record)


def divide(
    images: Samples, fine_tuning: np.ndarray, options: PseudoSplits, coordinates: tuple[str | int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide the classes of S and its training samples at random.

    Returns
    -------
    s_prime (C,) bool, the pseudo-fine-tuning classes; training (N,) bool, the training samples of S′ that are
    not kept for validation; validation (N,) bool, the validation samples of all of S.

    Raises
    ------
    UserError
        If S has fewer than two classes, or a class of S too few training samples to divide.
    """
    random = generator(*coordinates, "divide")
    classes = random.permutation(np.flatnonzero(fine_tuning))
    if len(classes) < 2:
        raise UserError(f"pcv needs at least 2 fine-tuning classes, there are {len(classes)}", where="splits")
    size = min(max(1, round(options.fine_tuning_fraction * len(classes))), len(classes) - 1)
    s_prime = np.zeros(len(fine_tuning), dtype=bool)
    s_prime[classes[:size]] = True
    members = np.flatnonzero(images.train & fine_tuning[images.labels])
    counts = np.bincount(images.labels[members], minlength=len(fine_tuning))
    few = np.flatnonzero(fine_tuning & (counts < 2))
    if len(few):
        raise UserError(
            f"class {images.classes[few[0]]!r} has {counts[few[0]]} training sample", where="pseudo_splits",
            why="pcv divides the training samples of each class in two, so it needs at least 2",
        )  # fmt: skip
    validation = np.zeros(len(images), dtype=bool)
    validation[members] = stratified_test(images.labels[members], options.validation_fraction, random)
    training = np.zeros(len(images), dtype=bool)
    training[members] = True
    return s_prime, training & ~validation & s_prime[images.labels], validation


def _fold_table(
    fold: int, samples: np.ndarray, labels: np.ndarray, s_prime: np.ndarray, logits: np.ndarray
) -> pa.Table:
    return pa.table(
        {
            "fold": pa.array(np.full(len(samples), fold, dtype=np.int32)),
            "sample": pa.array(samples.astype(np.int32)),
            "label": pa.array(labels.astype(np.int32)),
            "group": pa.array(group_names(s_prime[labels]), pa.string()),
            "logits": list_array(logits),
        }
    )


def _state(folder: Path, fold: int) -> Path:
    return folder / f"fold{fold}.pt"
