"""Take over a checkpoint that was fine-tuned elsewhere: model, head, and a history of two rows, before and after."""

from __future__ import annotations

from math import nan

from torch import nn

from finecal import paths, schemas
from finecal.calibration.inputs import read_split
from finecal.data.reader import PackedFile
from finecal.io.declared import from_rows
from finecal.io.parquet import with_columns, write_table
from finecal.io.provenance import provenance
from finecal.metrics.logit_anatomy import observe_run
from finecal.models.build import head
from finecal.models.chance import check_not_at_chance
from finecal.models.checkpoints import load_as, read_checkpoint
from finecal.models.extraction import extract
from finecal.models.files import load_model, save_model, write_head
from finecal.models.plain_head import check_plain_head
from finecal.models.preprocessing import take_rgb
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.plan.same_preprocessing import check_same_preprocessing
from finecal.plan.same_rows import check_same_rows
from finecal.runtime.device import choose_device, device_record
from finecal.runtime.memory import Room
from finecal.stages import Settings


def take_over(plan: Plan, run: RunKey, checkpoint: str, settings: Settings) -> None:
    """Write model.safetensors, head.parquet and history.parquet of a run from a checkpoint, as `finetune` does."""
    spec = plan.options("finetune", run.dataset, run.backbone, run.recipe)
    device = choose_device(settings.device, settings.threads)
    pretrained, images_path, split_path = (
        run.pretrained_folder / paths.MODEL,
        plan.images_of_run(run),
        run.path(paths.SPLIT),
    )
    images = PackedFile.open(images_path)
    fine_tuning, _ = read_split(split_path)
    model, description = load_model(pretrained, device)
    pixels, labels = images.load(images.test, device, Room(settings.data_memory)), images.labels[images.test]

    def row(epoch: int, model: nn.Module) -> dict[str, float]:
        _, logits = extract(model, description, pixels, device, settings.precision)
        weights = head(model).weight.detach().float().cpu().numpy()
        observed = observe_run(logits, labels, fine_tuning, weights)
        return {"epoch": epoch, "step": epoch, "loss": nan, "lr": nan, "seconds": 0.0, **observed}

    before = row(0, model)
    before_it = plan.options("pretrain", run.dataset, run.backbone)
    check_same_preprocessing(checkpoint, before_it["backbone"], description, run.recipe, run.backbone)
    given = read_checkpoint(checkpoint, spec.get("class_names"))
    check_same_rows(given, before_it, images.classes, run.recipe, run.backbone)
    tuned = take_rgb(load_as(given, description, keep_head=True), description.order).to(device)
    check_plain_head(tuned, description)
    if not spec.get("at_chance"):
        of_s = images.train & fine_tuning[images.labels]
        where = f"recipes.{run.recipe}"
        check_not_at_chance(tuned, description, images, of_s, "the training images of S", where)
    rows = [before, row(1, tuned)]
    inputs = [pretrained, images_path, split_path]
    made = Identities(plan).of_run("finetune", run).record()
    record = provenance(made, inputs=inputs, **device_record(device, settings.precision))
    columns = run.columns()
    table = with_columns(from_rows(rows, schemas.own_columns(schemas.HISTORY)), columns)
    write_table(run.folder / paths.HISTORY, table, schemas.HISTORY, provenance=record)
    write_head(run.folder / paths.HEAD, tuned, images.classes, columns, provenance=record)
    save_model(run.folder / paths.MODEL, tuned, description, provenance=record)
