"""The pretrained model θ⁰ of a source domain: model, head, history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from finecal import paths, schemas
from finecal.config import Pretraining, Training
from finecal.config.head_rows import two_orders
from finecal.data.reader import PackedFile
from finecal.errors import UserError, counted
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance, sha256
from finecal.models.build import Architecture, architecture, build, head, head_classes
from finecal.models.chance import check_not_at_chance
from finecal.models.checkpoints import load_checkpoint
from finecal.models.extraction import extract
from finecal.models.files import save_model, write_head
from finecal.models.fitting import describe_missing_classes
from finecal.models.imagenet_classes import CLASSES, are_imagenet, numbers_of
from finecal.models.locations import HUB
from finecal.models.plain_head import check_plain_head
from finecal.models.preprocessing import take_rgb
from finecal.models.row_names import label_names
from finecal.plan.identities import Identities
from finecal.plan.options import own_weights
from finecal.plan.plan import Plan
from finecal.recipes import full
from finecal.runtime.device import choose_device, device_record, numerics, place_model, seed_everything
from finecal.runtime.memory import Room
from finecal.seeds import seed_of
from finecal.stages import Settings
from finecal.training.batches import TrainingData
from finecal.training.loop import TrainingRun
from finecal.training.state import StateFile, earlier_tries
from finecal.training.state_folder import lock_state
from finecal.training.task import Execution, TrainingTask


def pretrain(plan: Plan, dataset: str, source: str, backbone: str, settings: Settings) -> None:
    """Write model.safetensors, head.parquet and history.parquet of results/{dataset}/pretrained/{source}/{backbone}."""
    pretraining = Pretraining.model_validate(plan.options("pretrain", dataset, backbone)["pretraining"])
    device = choose_device(settings.device, settings.threads)
    images_path = Path(plan.images_of_source(dataset, source, backbone))
    images = PackedFile.open(images_path)
    identity = Identities(plan).of("pretrain", {"dataset": dataset, "backbone": backbone})
    coordinates = (dataset, source, backbone, "pretrain", pretraining.seed)
    folder = Path(paths.PRETRAINED.format(dataset=dataset, source=source, backbone=backbone))
    columns: dict[str, str | int] = {"dataset": dataset, "source": source, "backbone": backbone}

    with lock_state(paths.state_folder(folder)) as state_folder:
        seed_everything(seed_of(*coordinates, "weights"))
        model, description = _initial_model(plan, dataset, backbone, images)
        model = place_model(model, device)
        check_plain_head(model, description)
        history: list[dict[str, float]] = []
        if pretraining.training is not None:
            belongs_to = {
                "code": identity.code,
                "options": identity.options,
                "coordinates": coordinates,
                "inputs": [sha256(images_path)],
                "numerics": numerics(device, settings.precision, settings.compile),
            }
            state = StateFile(state_folder / "state.pt", belongs_to, settings.state_interval)
            history = _train(model, description, images, pretraining.training, coordinates, state, settings)
        elif not plan.options("pretrain", dataset, backbone)["backbone"].get("at_chance"):
            every = np.ones(len(images), dtype=bool)
            what = f"the images of {images_path.stem if description.framing is None else images_path.parent.name}"
            check_not_at_chance(model, description, images, every, what, f"backbones.{backbone}")
        record = provenance(
            identity.record(),
            inputs=[images_path],
            **device_record(device, settings.precision, compiled=settings.compile),
        )
        table = with_columns(from_rows(history, schemas.own_columns(schemas.PRETRAINED_HISTORY)), columns)
        of_history = record | earlier_tries()
        write_table(folder / paths.HISTORY, table, schemas.PRETRAINED_HISTORY, provenance=of_history)
        write_head(folder / paths.HEAD, model, images.classes, columns, provenance=record)
        save_model(folder / paths.MODEL, model, description, provenance=record)


def _initial_model(plan: Plan, dataset: str, backbone: str, images: PackedFile) -> tuple[nn.Module, Architecture]:
    """Build the model with the weights that it starts from: random, the hub's, a checkpoint's, or CLIP's."""
    spec = plan.options("pretrain", dataset, backbone)
    use, pretraining = spec["backbone"], spec["pretraining"]
    description = architecture(use, images.classes, images.shape[-1])
    if (zero_shot := use.get("zero_shot")) is not None:
        from finecal.models.zero_shot import build_classifier  # for those who need it

        return build_classifier(zero_shot, description, dataset, f"backbones.{backbone}.zero_shot")
    is_trained = pretraining["training"] is not None
    if (checkpoint := own_weights(spec)) is not None:
        model = load_checkpoint(checkpoint, use, description, keep_head=not is_trained)
        return take_rgb(model, description.order), description
    weights = _on_hub(use["model"], pretraining["weights"])
    model = build(description, weights=weights)
    if not is_trained:
        named = take_rows(model, description, dataset, weights)
        if not named and plan.data_set(dataset).other_order() is not None:
            what = f"the head of {use['model']!r} has no names"
            raise two_orders(plan.data_set(dataset), what, f"backbones.{backbone}")
    return take_rgb(model, description.order if weights != "random" else "rgb"), description


def _train(
    model: nn.Module,
    description: Architecture,
    images: PackedFile,
    training: Training,
    coordinates: tuple[str | int, ...],
    state: StateFile,
    settings: Settings,
) -> list[dict[str, float]]:
    """Train a model in place on the training samples of all classes; return the rows of its history."""
    device, room = next(model.parameters()).device, Room(settings.data_memory)
    data = TrainingData.from_file(images, images.train, device, room)
    test = images.load(images.test, device, room)

    def observe(model: nn.Module) -> dict[str, float]:
        _, logits = extract(model, description, test, device, settings.precision)
        return {"acc_y_y": float(np.mean(logits.argmax(axis=1) == images.labels[images.test]))}

    of_all = np.ones(len(images.classes), dtype=bool)
    recipe = full.Recipe(full.Options())
    return TrainingRun(
        TrainingTask(model, description, data, recipe, training, of_all, coordinates),
        state,
        observe,
        execution=Execution(settings.precision, settings.compile),
    ).run()


def take_rows(model: nn.Module, description: Architecture, dataset: str, weights: str) -> bool:
    """Bring the rows of the hub's head, in place, into the order of the data set's classes; further rows are left out.

    They are found by the names in the hub's configuration, else by ImageNet's. If neither names all classes, the head
    is left as it is if it has as many rows as there are classes; then return False.

    Raises
    ------
    UserError
        If the head's names lack a class; if it has no names and another number of rows, or some of ImageNet's classes
        in other places.
    """
    there, rows = head_classes(model), _rows(model, description, dataset)
    if rows is None or rows == list(range(there)):
        return rows is not None
    whole = head(model)
    if there != len(description.classes):
        names = tuple(map(str, range(there)))
        whole = head(build(replace(description, classes=names), weights=weights))
    with torch.no_grad():
        # Indexing copies, so a head can be brought into another order within itself.
        head(model).weight.copy_(whole.weight[rows])
        if head(model).bias is not None:
            head(model).bias.copy_(whole.bias[rows])
    return True


def _rows(model: nn.Module, description: Architecture, dataset: str) -> list[int] | None:
    """For each of the data set's classes its row of the hub's head; None if nothing says what the rows stand for."""
    config: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    there, classes, names = head_classes(model), description.classes, label_names(config, "the hub")
    where = "pretraining.training"
    hint = "Give `training`, so that the head is trained on the source domain"
    if names is not None and not are_imagenet(names):
        if len(names) != there:
            said = f"{counted(len(names), 'class name')} on the hub for a head with {counted(there, 'row')}"
            raise UserError(said, where=where, hint=hint)
        if problem := describe_missing_classes(names, classes):
            raise UserError(
                f"the hub's head {problem}", where=where,
                why=f"`null` takes the rows that are called as the classes of {dataset!r}", hint=hint,
            )  # fmt: skip
        return [names.index(name) for name in classes]
    numbers = numbers_of(classes) if there == CLASSES else {}
    if len(numbers) == len(classes):
        return [numbers[name] for name in classes]
    if there != len(classes):
        raise UserError(
            f"the hub's head has {counted(there, 'class')}, the data set {dataset!r} has {len(classes)}", where=where,
            why="`null` takes the hub's head as it is, or the rows of ImageNet's classes", hint=hint,
        )  # fmt: skip
    moved = [name for place, name in enumerate(classes) if numbers.get(name, place) != place]
    if moved:
        unknown = next(name for name in classes if name not in numbers)
        raise UserError(
            f"the class {moved[0]!r} is row {numbers[moved[0]]} of ImageNet's head, but class "
            f"{classes.index(moved[0])} of {dataset!r}", where=where,
            why=f"Its rows cannot be found by name, since {unknown!r} is none of ImageNet's classes", hint=hint,
        )  # fmt: skip
    return None


def _on_hub(model: str, weights: str) -> str:
    """What `build` is told: a name `hf-hub:…` goes before timm's own name."""
    return model if weights == "hub" and model.startswith(HUB) else weights
