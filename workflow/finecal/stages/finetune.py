"""Fine-tune the pretrained model on the target domain's samples of S: model, head, history.

The same stage makes the upper bound: on the split `all`, S is all of Y.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from torch import nn

from finecal import paths, registry, schemas
from finecal.calibration.inputs import read_split
from finecal.config import Training, plugin_options
from finecal.data.packed import check_training_samples
from finecal.data.reader import PackedFile, Pixels
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance, sha256
from finecal.metrics.logit_anatomy import observe_run
from finecal.models.build import head
from finecal.models.extraction import as_table, classify, extract
from finecal.models.files import load_model, save_model, write_head
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.runtime.device import choose_device, describe, device_record, numerics, resolve_precision
from finecal.runtime.memory import Room
from finecal.stages import Settings, _handover
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile, earlier_tries, lock_state
from finecal.training.task import Execution, TrainingTask


def finetune(plan: Plan, run: RunKey, settings: Settings) -> None:
    """Write model.safetensors, head.parquet and history.parquet of a run; one that is a checkpoint is taken over."""
    checkpoint = plan.checkpoint_of(run)
    if checkpoint is not None:
        from finecal.stages.take_over import take_over

        take_over(plan, run, checkpoint, settings)
        return
    spec = plan.options("finetune", run.dataset, run.backbone, run.recipe)
    device = choose_device(settings.device, settings.threads)
    pretrained = run.pretrained_folder / paths.MODEL
    images_path, split_path = run.path(paths.IMAGES), run.path(paths.SPLIT)
    images = PackedFile.open(images_path)
    fine_tuning, _ = read_split(split_path)
    check_training_samples(images, fine_tuning, str(images_path))
    recipe = registry.load("recipe", spec["recipe"]).Recipe(plugin_options("recipe", spec["recipe"], spec["options"]))
    chosen = images.train & fine_tuning[images.labels]
    coordinates = tuple(run.columns().values())
    inputs = [pretrained, images_path, split_path]
    identity = Identities(plan).of_run("finetune", run)
    belongs_to = {
        "code": identity.code,
        "options": identity.options,
        "coordinates": coordinates,
        "inputs": [sha256(path) for path in inputs],
        "numerics": numerics(device, settings.precision, settings.compile),
    }

    with lock_state(paths.state_folder(run.folder)) as state_folder:
        model, description = load_model(pretrained, device)
        room = Room(settings.data_memory)
        data = TrainingData.from_file(images, chosen, device, room)
        test_labels = images.labels[images.test]

        @cache
        def fixed_features() -> np.ndarray:
            """Of all samples, if the recipe keeps them: the only pass of the images through the model."""
            return extract(model, description, images, device, settings.precision)[0]

        @cache
        def test_pixels() -> Pixels:
            return images.load(images.test, device, room)

        def observe(model: nn.Module) -> dict[str, float]:
            if recipe.keeps_features:
                logits = classify(model, fixed_features()[images.test], device)
            else:
                _, logits = extract(model, description, test_pixels(), device, settings.precision)
            weights = head(model).weight.detach().float().cpu().numpy()
            return observe_run(logits, test_labels, fine_tuning, weights)

        training = Training.model_validate(spec["training"])
        history = TrainingRun(
            TrainingTask(model, description, data, recipe, training, fine_tuning, coordinates),
            StateFile(state_folder / "state.pt", belongs_to, settings.state_interval),
            observe,
            features=(lambda: fixed_features()[chosen]) if recipe.keeps_features else None,
            execution=Execution(settings.precision, settings.compile),
        ).run()
        if recipe.keeps_features:
            features, logits = fixed_features(), classify(model, fixed_features(), device)
        else:
            features, logits = extract(model, description, images, device, settings.precision)
        record = provenance(
            identity.record(), inputs=inputs, **device_record(device, settings.precision, compiled=settings.compile)
        )
        columns = run.columns()
        table = with_columns(from_rows(history, schemas.own_columns(schemas.HISTORY)), columns)
        write_table(run.folder / paths.HISTORY, table, schemas.HISTORY, provenance=record | earlier_tries())
        write_head(run.folder / paths.HEAD, model, images.classes, columns, provenance=record)
        save_model(run.folder / paths.MODEL, model, description, provenance=record)
        _handover.leave(
            run.folder,
            as_table(images, features, logits),
            model=run.folder / paths.MODEL,
            images=images_path,
            device=describe(device),
            precision=resolve_precision(settings.precision, device),
        )
