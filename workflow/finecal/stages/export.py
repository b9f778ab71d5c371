"""Export the calibrated classifier of a run: a folder for timm and ONNX Runtime, with a model card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pyarrow.parquet import read_schema

from finecal import display, paths, registry, schemas
from finecal.analysis.diagnosis import diagnose
from finecal.analysis.telling import Told, tell
from finecal.calibration.contract import Fitted, Unlabelled, restrict
from finecal.calibration.deployment import export_form
from finecal.calibration.inputs import read_head, read_split
from finecal.calibration.parameters import calibrator, read_states
from finecal.data.image_files import ImageFiles
from finecal.data.reader import PackedFile
from finecal.errors import UserError, unknown
from finecal.export.comparison import to_picture
from finecal.export.contents import Classifier, whole_folder, write_contents
from finecal.export.model_card import Origin
from finecal.io.outside_warnings import unseen
from finecal.io.parquet import read_metadata, read_table, with_columns
from finecal.io.provenance import provenance
from finecal.models.extraction import extract
from finecal.models.files import load_model
from finecal.paths import RunKey
from finecal.plan.identities import Identities
from finecal.plan.plan import Plan
from finecal.runtime.device import choose_device
from finecal.runtime.memory import Room
from finecal.stages.interpolate import set_between
from finecal.stages.prepare import open_samples

CHECKED = 256  # test images on which the ways to use the folder are compared
CPU = torch.device("cpu")


@unseen()
def export(
    plan: Plan,
    run: RunKey,
    *,
    name: str,
    threads: int = 1,
    out: Path | None = None,
    force: bool = False,
    onnx: bool = True,
) -> str:
    """Write the folder, by default RUN/export/NAME, whole or not at all; describe how well its logits agree.

    Raises
    ------
    UserError
        If the study has no such calibrator, it is not fitted yet, it reads the test labels (unless `force`), it or the
        model cannot be exported, `out` holds something else, or the exported classifier's logits are not those of
        finecal.
    """
    uses = plan.calibrators(run)
    if name not in uses:
        raise unknown("calibrator", name, uses, where=str(run.folder))
    reads = calibrator(uses[name])[1]
    if "test" in reads and not force:
        raise UserError(
            f"{name!r} is fitted on the labels of the test samples", where=str(run.folder),
            why="Its accuracy says nothing about other samples", hint="Export it all the same with --force",
        )  # fmt: skip
    place = out or run.path(paths.EXPORT, calibrator=name)
    choose_device("cpu", threads)
    with whole_folder(place, known=out is None) as part:
        said = _fill(part, plan, run, name, onnx=onnx)
    return f"{said}\nWritten: {place}"


def _fill(folder: Path, plan: Plan, run: RunKey, name: str, *, onnx: bool) -> str:
    use = plan.calibrators(run)[name]
    method, reads, takes = calibrator(use)
    state = read_fitted_state(run.folder / paths.CALIBRATION, name, use)
    fine_tuning, classes = read_split(run.path(paths.SPLIT))
    head = read_head(run.folder / paths.HEAD, len(classes))
    model, description = load_model(run.folder / paths.MODEL)
    pretrained, _ = load_model(run.pretrained_folder / paths.MODEL)
    form = export_form(method, takes, state, fine_tuning, head)
    images = PackedFile.open(plan.images_of_run(run))
    chosen = _test_samples(images)
    pixels = _load(images, chosen)

    features, logits = extract(model, description, pixels, CPU, "float32")
    more: dict[str, Any] = {"features": features, "weights": head}
    if "pretrained" in takes:
        more["pretrained"] = extract(pretrained, description, pixels, CPU, "float32")[1]
    if form["kind"] == "interpolated":  # a model of its own, whose logits are what the calibrator gives
        set_between(
            model, pretrained.state_dict(), {k: v.clone() for k, v in model.state_dict().items()}, form["alpha"]
        )
        more["interpolated"] = {form["alpha"]: extract(model, description, pixels, CPU, "float32")[1]}
        form = {"kind": "affine", "scale": np.ones(len(classes)), "shift": np.zeros(len(classes))}
    samples = restrict(Unlabelled(logits.astype(np.float64), more=more), takes)
    wanted = np.asarray(method.apply(samples, state, fine_tuning), np.float64)

    other = pretrained if form["kind"] == "ensemble" else None
    form = {
        "calibrator": name, "reads": sorted(reads), **form, "fine_tuning": fine_tuning, "gamma": state.get("gamma"),
        "stored": _stored(plan, run) if description.framing is None else None,
    }  # fmt: skip
    are_arrays = description.framing is None and form["stored"] is None
    with originals(plan, run, chosen, pixels if are_arrays else None) as files:
        made = Classifier(model, description, form, other, pixels, wanted, files)
        return write_contents(folder, made, _origin(plan, run, name), onnx=onnx)


def _origin(plan: Plan, run: RunKey, name: str) -> Origin:
    inputs = [
        run.path(paths.SPLIT),
        plan.images_of_run(run),
        run.pretrained_folder / paths.MODEL,
        *(run.folder / file for file in (paths.CALIBRATION, paths.MODEL, paths.HEAD, paths.METRICS)),
    ]
    source = plan.options("prepare", run.dataset)["source"]
    terms = {"licence": "LICENCE", "citation": "CITATION"}
    return Origin(
        where=run.columns(), heading=f"{run.dataset}, {display.task(run.task)}",
        tuned=f" ({display.recipe(run.recipe)})", tests=run.target, source=f"Run `{run.folder}` of",
        metrics=read_table(run.folder / paths.METRICS, schemas.own_columns(schemas.METRICS)).to_pylist(),
        record=provenance(Identities(plan).of_run("export", run, calibrator=name).record(), inputs=inputs),
        told=tell_of(run),
        terms={word: str(registry.constant("dataset", source, key, "")) for word, key in terms.items()},
    )  # fmt: skip


def tell_of(run: RunKey) -> Told:
    """Return what is said of a run alone, as `finecal diagnose` says it of its logits."""
    read = {name: (run.folder / file, schema) for name, file, schema in (
        ("metrics", paths.METRICS, schemas.METRICS), ("calibration", paths.CALIBRATION, schemas.CALIBRATION),
    )}  # fmt: skip
    frames = [
        with_columns(read_table(file, schemas.own_columns(schema)), run.columns()).to_pandas()
        for file, schema in read.values()
    ]
    return tell(diagnose(*frames)[0])


def read_fitted_state(calibration: Path, name: str, use: Mapping[str, Any]) -> Fitted:
    """Read the parameters of a calibrator from calibration.parquet; some have none.

    Raises
    ------
    UserError
        If it is not fitted yet, or was with other options.
    """
    states = read_states(read_table(calibration, schemas.own_columns(schemas.CALIBRATION)))
    uses = read_metadata(calibration).get("options", {})
    if uses.get(name) != json.loads(json.dumps(use)):
        raise UserError(
            f"{name!r} is not fitted {'with these options ' if name in uses else ''}yet", where=str(calibration),
            why=f"It has {', '.join(sorted(uses)) or 'no calibrator'}",
            hint=f"snakemake {calibration} fits what the study has now",
        )  # fmt: skip
    return states.get(name, {})


def _test_samples(images: PackedFile) -> np.ndarray:
    """Up to CHECKED test samples, spread over all of them: their numbers."""
    tests = np.flatnonzero(images.test)
    found: np.ndarray = tests[np.linspace(0, len(tests) - 1, min(CHECKED, len(tests))).astype(int)]
    return found


def _load(images: PackedFile, samples: np.ndarray) -> np.ndarray:
    """(N, H, W, channels) uint8."""
    chosen = np.zeros(len(images.labels), dtype=bool)
    chosen[samples] = True
    loaded = images.load(chosen, CPU, Room(None))
    parts = [part.numpy() for part in loaded.batches(CHECKED, CPU)]
    return np.ascontiguousarray(np.concatenate(parts).transpose(0, 2, 3, 1))


def _stored(plan: Plan, run: RunKey) -> dict[str, Any] | None:
    """How image files were stored as squares; None for a data set of arrays."""
    if "file" not in read_schema(run.path(paths.IMAGES)).names:
        return None
    options: Any = plan.data_set(run.dataset).options
    return {"size": options.size, "fit": options.fit}


@contextmanager
def originals(plan: Plan, run: RunKey, samples: np.ndarray, pixels: np.ndarray | None) -> Iterator[list[Path]]:
    """Give the image files that some samples were made from, those of an archive unpacked, while the block runs.

    A data set of arrays, such as CIFAR, has none: its arrays are written as PNG, which keeps every byte. There are none
    if the files or the archive are no longer there, or there is no room to unpack it.

    Parameters
    ----------
    pixels
        Stored images of the samples, where these are the data set's arrays as they are.
    """
    with ExitStack() as stack:
        if pixels is None:
            try:
                opened = open_samples(plan, run.dataset, run.target, str(run.path(paths.IMAGES)))
                found = stack.enter_context(opened).samples
            except UserError:
                yield []
                return
            if isinstance(found, ImageFiles):
                yield [found.files[number] for number in samples]
                return
            pixels = found.pixels[samples]
        place = Path(stack.enter_context(TemporaryDirectory()))
        files = [place / f"{number}.png" for number in samples]
        for file, one in zip(files, pixels, strict=True):
            to_picture(one).save(file)
        yield files
