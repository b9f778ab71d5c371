"""Fine-tune the pretrained model on the target domain's samples of S: model, head, history.

The same stage makes the upper bound: on the split `all`, S is all of Y.
"""

from __future__ import annotations

from functools import cached_property

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
from finecal.models.build import Architecture, head
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
from finecal.training.state import StateFile, earlier_tries
from finecal.training.state_folder import lock_state
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
    images_path, split_path = plan.images_of_run(run), run.path(paths.SPLIT)
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
        samples = _Samples(model, description, images, room, settings.precision, keeps_features=recipe.keeps_features)
        training = Training.model_validate(spec["training"])
        history = TrainingRun(
            TrainingTask(model, description, data, recipe, training, fine_tuning, coordinates),
            StateFile(state_folder / "state.pt", belongs_to, settings.state_interval),
            lambda model: samples.observe(model, fine_tuning),
            features=(lambda: samples.fixed_features[chosen]) if recipe.keeps_features else None,
            execution=Execution(settings.precision, settings.compile),
        ).run()
        features, logits = samples.extract()
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


class _Samples:
    """What the model in training makes of the target domain's samples.

    A recipe that keeps the features needs one pass of the images through the model for the whole training.
    """

    def __init__(
        self,
        model: nn.Module,
        description: Architecture,
        images: PackedFile,
        room: Room,
        precision: str,
        *,
        keeps_features: bool,
    ) -> None:
        self._model, self._description, self._images = model, description, images
        self._room, self._precision, self._keeps_features = room, precision, keeps_features
        self._device = next(model.parameters()).device

    @cached_property
    def fixed_features(self) -> np.ndarray:
        """(N, D) float32, of all samples."""
        return extract(self._model, self._description, self._images, self._device, self._precision)[0]

    @cached_property
    def _test_pixels(self) -> Pixels:
        return self._images.load(self._images.test, self._device, self._room)

    def observe(self, model: nn.Module, fine_tuning: np.ndarray) -> dict[str, float]:
        """Return a row of the history: accuracies and logits of the test samples, norms of the head's rows."""
        if self._keeps_features:
            logits = classify(model, self.fixed_features[self._images.test], self._device)
        else:
            _, logits = extract(model, self._description, self._test_pixels, self._device, self._precision)
        weights = head(model).weight.detach().float().cpu().numpy()
        return observe_run(logits, self._images.labels[self._images.test], fine_tuning, weights)

    def extract(self) -> tuple[np.ndarray, np.ndarray]:
        """Return features (N, D) and logits (N, C) of all samples, float32."""
        if self._keeps_features:
            return self.fixed_features, classify(self._model, self.fixed_features, self._device)
        return extract(self._model, self._description, self._images, self._device, self._precision)
