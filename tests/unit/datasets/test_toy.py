"""Points in the plane: the data set, the model that reads it, and the decision regions of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import timm
import torch

from finecal import paths
from finecal.data.packed import write_images
from finecal.datasets import toy
from finecal.errors import UserError
from finecal.figures.decision_regions import find_widest_place
from finecal.io.parquet import read_table, write_table
from finecal.models import timm_names
from finecal.models.build import architecture, build, forward, head
from finecal.models.files import save_model
from finecal.paths import RunKey
from finecal.plan.plan import Plan
from finecal.stages import Settings
from finecal.stages.aggregate import aggregate
from finecal.stages.decision_regions import decision_regions

MLP = {"model": "finecal_mlp", "options": {}, "image_size": 8}


def centres(domain: str) -> np.ndarray:
    images = toy.prepare(domain, toy.Options())
    points = toy.read_points(images.pixels)
    return np.stack([points[images.labels == label].mean(axis=0) for label in range(4)])


def angles(domain: str) -> np.ndarray:
    x, y = centres(domain).T
    return np.rad2deg(np.arctan2(y, x)) % 360


def test_where_the_classes_lie() -> None:
    assert angles("source") == pytest.approx([45, 135, 225, 315], abs=3)
    assert angles("similar") == pytest.approx([75, 165, 255, 345], abs=3)
    assert angles("dissimilar") == pytest.approx([75, 165, 195, 285], abs=3)  # C and D turn the other way
    assert np.linalg.norm(centres("source"), axis=1) == pytest.approx([1] * 4, abs=0.05)


def test_pictures_keep_a_point_to_half_a_level() -> None:
    points = np.random.default_rng(0).uniform(-2, 2, (500, 2))
    pixels = toy.draw_points(points)
    assert pixels.shape == (500, 8, 8, 1)
    assert np.abs(toy.read_points(pixels) - points).max() <= 2 / 255 + 1e-12
    assert np.array_equal(toy.draw_points(toy.read_points(pixels)), pixels)


def test_the_data_do_not_depend_on_what_was_drawn_before() -> None:
    one, other = (toy.prepare("similar", toy.Options(seed=3)) for _ in range(2))
    assert np.array_equal(one.pixels, other.pixels)
    assert np.array_equal(one.test, other.test)
    assert list(np.bincount(one.labels[one.test])) == [100] * 4


def test_the_model_reads_x_and_y() -> None:
    """With the first layer replaced by the identity the features are the coordinates."""
    assert timm_names.is_model("finecal_mlp")
    model = build(architecture(MLP, "ABCD", 1), weights="random")
    assert head(model).weight.shape == (4, 32)
    points = np.array([[0.5, 1.5], [2.0, 0.0]])
    model.body = torch.nn.Identity()
    images = torch.from_numpy(toy.draw_points(points).transpose(0, 3, 1, 2)).float() / 255
    features = model.forward_features((images - 0.5) / 0.5)  # type: ignore[operator]
    assert features.numpy() * toy.EDGE == pytest.approx(points, abs=0.01)


def test_the_models_parts_agree() -> None:
    model = build(architecture(MLP, "ABCD", 1), weights="random")
    images = torch.rand(3, 1, 8, 8)
    features, logits = forward(model, images)
    assert features.shape == (3, 32)
    assert torch.equal(model(images), logits)


def test_there_are_no_weights_on_a_hub_and_no_other_options() -> None:
    with pytest.raises(UserError, match="no pretrained weights"):
        build(architecture(MLP, "ABCD", 1), weights="hub")
    with pytest.raises(UserError, match="unexpected argument 'depth'"):
        build(architecture({**MLP, "options": {"depth": 3}}, "ABCD", 1), weights="random")
    assert timm.create_model("finecal_mlp", num_classes=2, hidden=5).head.weight.shape == (2, 5)


def test_regions_of_a_model_whose_logits_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, x > 0 is A and the rest B; after, everything is A until γ brings B back where x < −1."""
    monkeypatch.chdir(tmp_path)
    run = RunKey("toy", "source-similar", "mlp", "full", "ab", 0)
    images = toy.prepare("similar", toy.Options(per_class=4))
    write_images(run.path(paths.IMAGES), images, columns={}, provenance={})
    groups = ["fine_tuning", "absent", "absent", "absent"]
    split = {"class": pa.array(range(4), pa.int32()), "name": list("ABCD"), "group": groups}
    write_table(run.path(paths.SPLIT), pa.table(split), provenance={})
    fitted = [("alg", "gamma", 5.0), ("temperature", "temperature", 2.0), ("two", "gamma", 1.0), ("two", "tau", 1.0)]
    columns = dict(zip(("calibrator", "parameter", "value"), map(list, zip(*fitted, strict=True)), strict=True))
    write_table(run.folder / paths.CALIBRATION, pa.table(columns), provenance={})
    description = architecture({**MLP, "options": {"hidden": 2}}, "ABCD", 1)
    for folder, shift in ((run.pretrained_folder, 0.0), (run.folder, 6.0)):
        model = build(description, weights="random")
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
            model.body[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))  # relu(x / 2), relu(−x / 2)
            model.body[2].weight.copy_(torch.eye(2))
            head(model).weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]))
            head(model).bias.copy_(torch.tensor([shift, 0.0, -9.0, -9.0]))
        save_model(folder / paths.MODEL, model, description, provenance={})

    decision_regions(run, Settings(device="cpu"))
    table = read_table(run.folder / paths.DECISION_REGIONS).to_pandas()
    samples = table[table["element"] == "sample"]
    assert samples[["x", "y"]].to_numpy() == pytest.approx(toy.read_points(images.pixels[images.test]))
    assert samples["class"].to_list() == images.labels[images.test].tolist()
    found = table[table["element"] == "region"].groupby(["classifier", "calibrator"])
    assert set(found.groups) == {("pretrained", "none"), ("fine_tuned", "none"), ("fine_tuned", "alg")}
    for key, border in ((("pretrained", "none"), 0.0), (("fine_tuned", "none"), -9.0), (("fine_tuned", "alg"), -1.0)):
        part = found.get_group(key)
        assert len(part) == 128 * 128
        assert np.array_equal(part["name"] == "A", part["x"] > border)
        assert np.array_equal(part["group"] == "absent", part["name"] != "A")


def test_the_table_needs_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no selected study has a run for the table 'decision_regions'"):
        aggregate(Plan(["digits"]), "decision_regions")
    assert [run.task for run in Plan(["toy", "digits"]).runs_in("decision_regions")] == [
        "source-similar",
        "source-dissimilar",
    ]


def test_the_widest_place_of_a_region() -> None:
    mask = np.zeros((7, 9), dtype=bool)
    mask[1:6, 1:4] = True
    mask[2:5, 5:8] = True
    row, column, room = find_widest_place(mask)
    assert (column, room) == (2, 2)
    assert 2 <= row <= 4
    assert find_widest_place(np.ones((3, 3), dtype=bool)) == (1, 1, 2)  # the edge of the picture is a border too
