"""The readers of finecal, each called on the path of a file as the program calls it."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from unittest import mock

import numpy as np
import torch
import yaml
from logits_cases import CLASSES, arrays

from finecal.config.load import load_study
from finecal.config.settings import parse_settings
from finecal.config.yaml_loader import parse_yaml
from finecal.errors import UserError
from finecal.io.outside import read_text
from fuzzing import valid
from fuzzing.mutations import change_value

STUDY = """\
description: A small one.
datasets:
  digits: {validation_fraction: 0.1}
tasks: {digits: [printed-handwritten]}
backbones:
  tiny: {model: test_resnet, options: {drop_rate: 0.1}}
image_size: 32
pretraining:
  weights: random
  training: {lr: 0.1, backbone_lr_scale: 1.0, epochs: 1, batch_size: 64, augmentation: {crop_scale: [0.8, 1.0]}}
training: {lr: 0.03, backbone_lr_scale: 0.1, epochs: 1, batch_size: 32}
recipes:
  full: {}
  l2_sp: {}
splits:
  half0: {kind: random, fraction: 0.5, seed: 0}
  given: {kind: classes, fine_tuning: ["0", 1, "2"]}
seeds: [0, 1]
oracle_fine_tuning: true
pseudo_splits: {folds: 3}
calibrators: {none: {}, alg: {}, pcv: {}, oracle: {}}
"""


# libyaml's, where it is there: Python's take most of the time of a test.
LOADER, DUMPER = (getattr(yaml, f"CSafe{kind}", getattr(yaml, f"Safe{kind}")) for kind in ("Loader", "Dumper"))


def change_study(content: bytes, draw: Any) -> bytes:
    changed = change_value(yaml.load(content, Loader=LOADER), draw)
    text: str = yaml.dump(changed, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays(12), sample=np.array([f"image {k}" for k in range(12)], object))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, arrays(12)["logits"])
    return file.getvalue()


def logits(path: Path) -> None:
    from finecal.library.given import bring

    found = bring(path, labelled=path.suffix != ".npy")
    np.asarray(found.logits).sum()


def h5() -> bytes:
    import h5py

    file, values = io.BytesIO(), arrays(12)
    with h5py.File(file, "w") as table:
        for name in ("logits", "label"):
            table.create_dataset(f"run/{name}", data=values[name], compression="gzip", fletcher32=True)
        table["run/subset"] = [str(one).encode() for one in values["subset"]]
    return file.getvalue()


def hdf5_logits(path: Path) -> None:
    """As the program reads it, but that the process which may crash is a fork: h5py takes long to import."""
    with mock.patch("finecal.logits.hdf5._run", _read_in_a_fork):
        logits(path)


def _read_in_a_fork(answer: IO[bytes], _: int, *words: str) -> None:
    import h5py  # noqa: F401 - before the fork
    import psutil

    from finecal.logits import hdf5

    room = psutil.Process().memory_info().vms + hdf5.ROOM
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.dup2(answer.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            with open(1, "w", closefd=False) as sys.stdout:
                try:
                    hdf5._main("2", str(room), *words)
                except BaseException as error:
                    os.write(2, f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
                    os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace")
    if status:
        raise hdf5.UnreadableError(said or "ended by a signal")
    answer.seek(0)


def study(path: Path) -> None:
    load_study(str(path))


def settings(path: Path) -> None:
    raw = parse_yaml(read_text(path), where=str(path)) or {}
    parse_settings(raw if isinstance(raw, dict) else {})


def image_list(path: Path) -> None:
    from finecal.datasets._image_lists import read_list

    read_list(path, "photo", ("photo", "sketch"), Path("images"))


def image(path: Path) -> None:
    from finecal.data.decoding import BadImageError, decode, open_plain

    refusals = []
    for read in (lambda: decode(path, 8), lambda: open_plain(path)):
        try:
            read()
        except BadImageError as error:  # many of them are one UserError
            refusals.append(str(error))
    if refusals:
        raise UserError(refusals[0])


def checkpoint(path: Path) -> None:
    from finecal.models.build import Architecture
    from finecal.models.checkpoints import load_as, read_checkpoint

    described = Architecture(
        "finecal_mlp", {"hidden": 4}, ("a", "b", "c"), 1, 2, (0.5,), (0.5,), "linear", 1.0, False, 0, None
    )  # fmt: skip
    load_as(read_checkpoint(path, ("a", "b", "c")), described, keep_head=True)


def own_model(path: Path) -> None:
    from finecal.models.files import load_model

    load_model(path)


def config(path: Path) -> None:
    """The config.json of a folder: names of rows, preprocessing, the statement of the model."""
    from finecal.models import locations, statements

    folder = path.parent
    if not (folder / "model.safetensors").exists():
        (folder / "model.safetensors").write_bytes(valid.own_model())
    valid.refused(
        lambda: locations.names_of_rows(folder, str(folder)),
        lambda: locations.transform_config(str(folder)),
        lambda: statements.folder_statement(str(folder), "test_resnet"),
    )


def preprocessor(path: Path) -> None:
    from finecal.models.transformers_config import framing, mean_and_std

    mean_and_std(path.parent)
    framing(path.parent)


def packed(path: Path) -> None:
    from finecal.data.reader import PackedFile
    from finecal.runtime.memory import Room

    def load() -> None:
        images = PackedFile.open(path)
        images.load(np.ones(len(images), dtype=bool), torch.device("cpu"), Room(None))

    valid.refused(lambda: valid.packed_images(path), load)


def results(path: Path) -> None:
    """A run's logits as calibrators read them."""
    from finecal.calibration.inputs import read_predictions
    from finecal.plan.records import read_record

    valid.refused(lambda: read_predictions(path, num_classes=6, features=True), lambda: read_record(path))


def split(path: Path) -> None:
    from finecal.calibration.inputs import read_split

    read_split(path)


def head(path: Path) -> None:
    from finecal.calibration.inputs import read_head

    read_head(path, 3)


def states(path: Path) -> None:
    from finecal import schemas
    from finecal.calibration.parameters import read_states
    from finecal.io.parquet import read_table

    read_states(read_table(path, schemas.own_columns(schemas.CALIBRATION)))


def state(path: Path) -> None:
    from finecal.training.state import StateFile

    StateFile(path, valid.BELONGS, 60).load()


def page(path: Path) -> None:
    from finecal.plan.records import read_record

    read_record(path)


def measurement(path: Path) -> None:
    from finecal.stages.cost_table import read_measurement

    read_measurement(path)


def archive(path: Path) -> None:
    from finecal.download.archives import extract

    extract(path, path.parent / "unpacked")


def note(path: Path) -> None:
    from finecal.io.contents import _read

    _read(path)


def class_names(path: Path) -> None:
    from finecal.library.classes import mask_of, names_of
    from finecal.models.locations import read_class_names

    valid.refused(lambda: names_of(path), lambda: mask_of(path, 6, CLASSES), lambda: read_class_names(str(path), "c"))


def class_order(path: Path) -> None:
    from finecal.datasets._official import read_class_order

    read_class_order(path.parent, "ORDER")


def publishers_list(path: Path) -> None:
    from finecal.datasets._lists import name_classes_by_folder, read_list

    name_classes_by_folder(read_list(path))


def table_of_logits(kind: str) -> Callable[[], bytes]:
    return lambda: valid.table_of_logits(kind)
