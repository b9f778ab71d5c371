"""Weights from elsewhere see the image files as in their owner's own loop: to the last image, and after export."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import yaml
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from torch import nn

from finecal.cli.program import main
from finecal.data.decoding import decode
from finecal.export.folder import prepare_images
from finecal.io.list_columns import matrix
from finecal.io.parquet import read_metadata, read_table
from finecal.models import chance
from finecal.plan.jobs import jobs
from finecal.plan.plan import Plan

CLASSES = ("ant", "bee", "cod")
SIDE = 32
FRAMED = "results/mine/images/{}/own.parquet"
PRETRAINED = "results/mine/source-target/own/pretrained/logits.parquet"
RUN = "results/mine/source-target/own/elsewhere/have/seed0"
SIZES = ((61, 37), (40, 90), (33, 33), (120, 48))
CONFIG: dict[str, Any] = {
    "input_size": (3, SIDE, SIDE), "interpolation": "bicubic", "crop_pct": 0.8, "crop_mode": "center",
    "mean": (0.1, 0.2, 0.3), "std": (0.3, 0.2, 0.1),
}  # fmt: skip


def write_images(folder: Path, seed: int) -> None:
    """Four files per class, none square but one: JPEG, turned by EXIF; PNG, transparent, grey and with a palette."""
    random = np.random.default_rng(seed)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number, (width, height) in enumerate(SIZES):
            small = random.integers(0, 256, (6, 5, 4), dtype=np.uint8)
            image = Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BICUBIC)
            if number == 0:
                exif = Image.Exif()
                exif[0x0112] = 6
                image.convert("RGB").save(folder / name / "0.jpg", exif=exif, quality=80)
            else:
                image.convert(("", "RGBA", "L", "P")[number]).save(folder / name / f"{number}.png")


def write_model(folder: Path, seed: int, **config: Any) -> nn.Module:
    torch.manual_seed(seed)
    model = timm.create_model("test_resnet", num_classes=len(CLASSES)).eval()
    nn.init.normal_(model.get_parameter("fc.weight"), std=3.0)
    names = {"label_names": list(CLASSES)}
    timm.models.save_for_hf(
        model, str(folder), safe_serialization=True, model_config=names, data_config=CONFIG | config
    )
    return model


def own_loop(folder: str | Path, files: list[str]) -> np.ndarray:
    """Nothing of finecal: timm's own transform and model."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    batch = torch.stack([transform(Image.open(file).convert("RGB")) for file in files])
    with torch.inference_mode():
        found: np.ndarray = model(batch).numpy()
    return found


def write_study(preprocessing: Any = None, **changes: Any) -> None:
    backbone = {"model": "local-dir:before"} | ({"preprocessing": preprocessing} if preprocessing else {})
    study = {
        "extends": "digits",
        "datasets": {"mine": {"source": "image_folder", "options": {
            "source": "images/source", "target": "images/target", "size": SIDE,
        }}},
        "tasks": {"mine": ["source-target"]}, "image_size": SIDE, "backbones": {"own": backbone},
        "pretraining": {"weights": "hub", "training": None}, "recipes": {"elsewhere": {"weights": "after"}},
        "splits": {"have": {"kind": "classes", "fine_tuning": [0, 1]}}, "seeds": [0], "oracle_fine_tuning": False,
        "calibrators": ["none", "alg", "source_gap"],
    }  # fmt: skip
    Path("study.yaml").write_text(yaml.safe_dump(study | changes))
    Path("config.yaml").write_text("studies: [study.yaml]\n")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed, domain in enumerate(("source", "target")):
        write_images(Path("images", domain), seed)
    write_model(Path("before"), 0)
    write_model(Path("after"), 1)
    return tmp_path


def made(*results: str) -> None:
    for result in results:
        main(result.split())


def logits_and_files(result: str) -> tuple[np.ndarray, list[str]]:
    table = read_table(FRAMED.format("target"))
    return matrix(read_table(result)["logits"]), [f"images/target/{name}" for name in table["file"].to_pylist()]


FRAMES = tuple(f"frame {FRAMED.format(domain)}" for domain in ("source", "target"))
UP_TO_LOGITS = (
    "prepare results/mine/images/source.parquet", *FRAMES, "split results/mine/splits/have.parquet",
    "pretrain results/mine/pretrained/source/own", f"extract-pretrained {PRETRAINED}",
    f"finetune {RUN}", f"extract {RUN}",
)  # fmt: skip


@pytest.mark.parametrize("config", [{}, {"crop_mode": "border", "crop_pct": 1.0}, {"crop_mode": "squash"}])
def test_the_logits_are_those_of_the_owner_s_loop(mine: Path, config: dict[str, Any]) -> None:
    for seed, name in enumerate(("before", "after")):
        write_model(Path(name), seed, **config)
    write_study()
    made(*UP_TO_LOGITS)
    for result, folder in ((PRETRAINED, "before"), (f"{RUN}/logits.parquet", "after")):
        found, files = logits_and_files(result)
        wanted = own_loop(folder, files)
        np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
        assert (found.argmax(axis=1) == wanted.argmax(axis=1)).all()
    noted = read_metadata(FRAMED.format("target"))["preprocessing"]
    assert noted["mean"] == list(CONFIG["mean"])
    assert noted["crop_mode"] == config.get("crop_mode", "center")


def test_the_export_gives_them_from_files_with_timm_alone_and_with_onnx_runtime_alone(mine: Path) -> None:
    import onnxruntime

    write_study(calibrators=["none", "alg"])
    made(
        *UP_TO_LOGITS, f"calibrate {RUN}", f"evaluate {RUN}", f"export {RUN} --calibrator none --out exported",
    )  # fmt: skip
    _, files = logits_and_files(PRETRAINED)
    wanted = own_loop("after", files)
    np.testing.assert_allclose(own_loop("exported", files), wanted, atol=1e-5 * np.abs(wanted).max())
    session = onnxruntime.InferenceSession("exported/model.onnx")
    images = prepare_images(Path("exported"), [Path(file) for file in files])
    (found,) = session.run(["logits"], {"images": images})
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).all()
    checks = {row["compared"]: row for row in read_table("exported/check.parquet").to_pylist()}
    assert set(checks) == {"folder", "onnx", "files", "files_onnx", "timm_transform"}
    assert all(row["same_prediction"] == 1 for row in checks.values())
    card = Path("exported/README.md").read_text()
    assert "bicubic, crop_mode center, crop_pct 0.8" in card


def test_stretch_is_what_it_was_and_its_card_says_all_steps(mine: Path) -> None:
    write_study("stretch", calibrators=["none", "alg"], datasets={"mine": {"source": "image_folder", "options": {
        "source": "images/source", "target": "images/target", "size": 48,
    }}})  # fmt: skip
    made("prepare results/mine/images/target.parquet", *(one for one in UP_TO_LOGITS if not one.startswith("frame")))
    found = matrix(read_table(PRETRAINED)["logits"])
    table = read_table("results/mine/images/target.parquet")
    files = [Path("images/target", name) for name in table["file"].to_pylist()]
    model = timm.create_model("local-dir:before", pretrained=True).eval()
    squares = [Image.fromarray(decode(file, 48)).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for file in files]
    config = {**CONFIG, "crop_mode": "squash", "crop_pct": 1.0}
    transform = create_transform(**config, is_training=False)
    with torch.inference_mode():
        wanted = model(torch.stack([transform(one) for one in squares])).numpy()
    np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())  # a byte may be rounded the other way
    made(f"calibrate {RUN}", f"evaluate {RUN}", f"export {RUN} --calibrator none --out exported --no-onnx")
    checks = {row["compared"]: row for row in read_table("exported/check.parquet").to_pylist()}
    assert set(checks) == {"folder", "files", "timm_transform"}
    assert checks["files"]["max_abs_difference"] < 0.02 * np.abs(wanted).max()
    card = Path("exported/README.md").read_text()
    assert "1. resized to 48 × 48" in card
    assert "does steps 2 and 3 only" in card


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a verb says that ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    return capsys.readouterr().err


def guess(folder: str) -> None:
    model = write_model(Path(folder), 3)
    nn.init.zeros_(model.get_parameter("fc.weight"))
    safetensors.torch.save_file(model.state_dict(), f"{folder}/model.safetensors")


def test_models_that_guess_are_refused_with_the_causes(
    mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chance, "AT_LEAST", 6)
    write_study()
    made(*UP_TO_LOGITS[:4])
    guess("before")
    said = refused(capsys, "pretrain", "results/mine/pretrained/source/own")
    for part in (
        "backbones.own: the model guesses: 33.3 % of the images",
        "order",
        "normalised",
        "BGR",
        "crop_pct 0.8",
    ):
        assert part in said
    write_study(backbones={"own": {"model": "local-dir:before", "at_chance": True}})
    made("pretrain results/mine/pretrained/source/own")
    guess("after")
    said = refused(capsys, "finetune", RUN)
    assert "recipes.elsewhere: the model guesses: 50.0 % of the training images of S" in said
    assert not Path(RUN, "model.safetensors").exists()
    write_study(
        backbones={"own": {"model": "local-dir:before", "at_chance": True}},
        recipes={"elsewhere": {"weights": "after", "at_chance": True}},
    )
    made(f"finetune {RUN}")


def test_an_expected_accuracy_that_is_missed_is_an_error(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_study()
    made(*UP_TO_LOGITS, f"calibrate {RUN}", f"evaluate {RUN}")
    rows = read_table(f"{RUN}/metrics.parquet").to_pylist()
    found = {(r["classifier"], r["metric"]): 100 * r["value"] for r in rows if r["calibrator"] == "none"}
    own = {"model": "local-dir:before"}
    right = {"acc_y_y": found["pretrained", "acc_y_y"]}
    known = {"acc_s_y": round(found["fine_tuned", "acc_s_y"], 1)}
    Path(RUN, "metrics.parquet").unlink()
    write_study(
        backbones={"own": {**own, "expect": right}}, recipes={"elsewhere": {"weights": "after", "expect": known}}
    )
    made(f"calibrate {RUN}", f"evaluate {RUN}")
    assert "expected" in capsys.readouterr().err
    wrong = {"acc_s_y": 100.0 if known["acc_s_y"] < 40 else 0.0}
    write_study(recipes={"elsewhere": {"weights": "after", "expect": wrong}})
    said = refused(capsys, "evaluate", RUN)
    for part in ("recipes.elsewhere.expect: acc_s_y is", "was expected", "of 2 test samples", "order of the classes"):
        assert part in said
    write_study(recipes={"elsewhere": {"weights": "after", "expect": {"acc_y_y": 0.423}}})
    assert "in percent" in refused(capsys, "evaluate", RUN)


def test_a_run_prepared_in_another_way_than_its_pretrained_model_is_refused(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study()
    write_model(Path("after"), 1, crop_mode="squash")
    made(*UP_TO_LOGITS[:5])
    said = refused(capsys, "finetune", RUN)
    assert "'after' was prepared in another way than the pretrained model" in said
    assert "crop_mode squash" in said
    write_study({"like": "timm"})
    made(*UP_TO_LOGITS[1:5], f"finetune {RUN}")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"image_size": 64}, "backbones.own: the study's `image_size` is 64, the weights' config.json says 32 × 32"),
        (
            {"image_size": 64, "backbones": {"own": {"model": "local-dir:before", "preprocessing": "stretch"}}},
            "datasets.mine.options.size: images stored with 32 pixels would be enlarged to `image_size`, 64",
        ),
        ({"image_size": 64, "backbones": {"own": {"model": "local-dir:before", "preprocessing": "timm"}}}, ""),
    ],
)
def test_sizes_that_contradict_each_other(
    mine: Path, changes: dict[str, Any], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(**changes)
    if not wanted:
        main(["check"])
        return
    assert wanted in refused(capsys, "check")


def test_parts_by_hand_that_contradict_each_other(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, words in (
        ({"like": "stretch", "crop_pct": 0.9}, "contradicts `like: stretch`"),
        ({"mean": [0.1, 0.2]}, "it needs one per channel"),
        ({"mean": [123.7, 116.3, 103.5]}, "between 0 and 255 is divided by 255"),
        ({"std": [58.4]}, "`std` is of channels between 0 and 1"),
        ({"crop_pct": 1.5}, "crop_pct"),
        ({"crop": 1}, "unknown key 'crop'"),
        ("squash", "is not allowed"),
    ):
        write_study(wrong)
        said = refused(capsys, "check")
        assert "backbones.own.preprocessing" in said
        assert words in said


def test_which_jobs_there_are(mine: Path) -> None:
    """Squares are stored only where a model is shown them, or to name the classes."""

    def of(stage: str) -> set[str]:
        return {
            "/".join(map(str, job.coordinates.values())) for job in jobs(Plan(["study.yaml"])) if job.stage == stage
        }

    write_study()
    assert (of("prepare"), of("frame")) == ({"mine/source"}, {"mine/target/own", "mine/source/own"})
    write_study("stretch")
    assert (of("prepare"), of("frame")) == ({"mine/source", "mine/target"}, set())
    write_study(backbones={"own": {"model": "local-dir:before"}, "paper": {"model": "test_resnet"}}, recipes=["full"])
    assert (of("prepare"), of("frame")) == ({"mine/source", "mine/target"}, {"mine/target/own", "mine/source/own"})
    plan = Plan(["study.yaml"])
    assert plan.images("mine", "target", "own") == FRAMED.format("target")
    assert plan.images("mine", "target", "paper") == "results/mine/images/target.parquet"


def test_a_split_by_presence_reads_the_squares_of_its_target(mine: Path) -> None:
    shutil.rmtree("images/target/cod")
    write_study(splits={"have": {"kind": "present"}}, calibrators=["none", "alg"])
    found = (job.coordinates["domain"] for job in jobs(Plan(["study.yaml"])) if job.stage == "prepare")
    assert {*found} == {"source", "target"}


def test_points_in_the_plane_are_shown_as_they_are(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_study()
    Path("study.yaml").write_text(
        yaml.safe_dump({"extends": "toy", "backbones": {"finecal_mlp": {"preprocessing": "timm"}}})
    )
    assert "backbones.finecal_mlp: the pictures of 'toy' stand for points" in refused(capsys, "check")
