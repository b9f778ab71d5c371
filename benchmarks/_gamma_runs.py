"""Runs for `gamma.py`, made by finecal's own stages in one process: small models, nothing from the network."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from finecal import paths
from finecal.datasets._corruptions import corrupt_mixed
from finecal.paths import RunKey
from finecal.plan.plan import Plan
from finecal.stages import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PRINTED = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "cmr10", "cmss10", "cmtt10")
ITALIC = ("cmmi10", "cmti10", "STIXGeneralItalic", "STIXGeneralBolIta", "DejaVuSerif-Italic", "DejaVuSans-Oblique")
SIDE = 16  # of a picture of a letter, in pixels
DRAWN = 4 * SIDE  # it is drawn larger, then made small


def studies(quick: bool) -> dict[str, dict[str, Any]]:
    """Return name → study; all runs of a study are one group of the table."""
    small = yaml.safe_load((REPOSITORY / "workflow/studies/digits.yaml").read_text("utf-8"))
    small |= {"oracle_fine_tuning": False, "calibrators": ["none", "pcv", "source_gap"], "seeds": [0]}
    small["training"] = {**small["training"], "epochs": 8}
    letters = {**small, "splits": splits((8, 13, 18), 26, 3), "image_size": 32}
    for name in ("hand", "noisy"):
        mine = {"source": "image_folder", "options": {"source": "letters/printed", "target": f"letters/{name}"}}
        mine["options"] |= {"size": SIDE}
        letters = {**letters, "datasets": {**letters["datasets"], f"letters_{name}": mine}}
    del letters["datasets"]["digits"]
    toy = yaml.safe_load((REPOSITORY / "workflow/studies/toy.yaml").read_text("utf-8"))
    pairs = ("AB", "AC", "AD", "BC", "BD", "CD")
    toy |= {"calibrators": small["calibrators"], "pseudo_splits": {"folds": 3}}
    toy["splits"] = {pair.lower(): {"kind": "classes", "fine_tuning": list(pair)} for pair in pairs}
    long = {"full_long": {"recipe": "full", "training": {"epochs": 30}}}
    found = {
        "digits": {**small, "splits": splits((3, 5, 7), 10, 4)},
        "digits, EfficientNet": {**small, "backbones": ["test_efficientnet"], "splits": splits((3, 5, 7), 10, 2)},
        "digits, 30 epochs": {**small, "recipes": long, "splits": splits((3, 5), 10, 2)},
        "digits, back": {**small, "tasks": {"digits": ["handwritten-printed"]}, "splits": splits((3, 5, 7), 10, 2)},
        "letters, hand": {**letters, "tasks": {"letters_hand": ["source-target"]}},
        "letters, noisy": {
            **letters,
            "tasks": {"letters_noisy": ["source-target"]},
            "splits": splits((8, 13, 18), 26, 2),
        },
        "toy": toy,
    }
    for name in ("hand", "noisy"):
        found[f"letters, {name}"]["datasets"] = {f"letters_{name}": letters["datasets"][f"letters_{name}"]}
    if quick:
        found = {"digits": {**small, "splits": splits((5,), 10, 1)}}
        found["digits"]["datasets"] = {"digits": {"options": {"per_class": 30}}}
        found["digits"] |= {"pretraining": {"weights": "random", "training": {"epochs": 1, "lr": 0.1}}}
        found["digits"]["training"] = {"epochs": 1}
    return found


def splits(sizes: tuple[int, ...], classes: int, seeds: int) -> dict[str, Any]:
    return {
        f"s{size}_{seed}": {"kind": "random", "fraction": size / classes, "seed": seed}
        for size in sizes
        for seed in range(seeds)
    }


def make_runs(name: str, study: dict[str, Any]) -> Iterator[RunKey]:
    """Make all runs of a study in the current folder; what is there already is taken as it is."""
    file = Path(f"{name.replace(', ', '_').replace(' ', '_').lower()}.yaml")
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    if "letters" in name:
        write_letters(Path("letters"))
    plan, settings = Plan([str(file)]), Settings(device="cpu", threads=1)
    for run in plan.runs:
        of_source = {"dataset": run.dataset, "source": run.source, "backbone": run.backbone}
        of_task = {**of_source, "target": run.target}
        for domain in (run.source, run.target):
            _make(paths.IMAGES.format(dataset=run.dataset, domain=domain), "prepare", plan, run.dataset, domain)
        _make(run.path(paths.SPLIT), "split", plan, run.dataset, run.split)
        _make(run.pretrained_folder / paths.MODEL, "pretrain", plan, **of_source, settings=settings)
        _make(run.path(paths.PRETRAINED_LOGITS), "extract_pretrained", **of_task, settings=settings, module="extract")
        _make(run.folder / paths.MODEL, "finetune", plan, run, settings=settings)
        _make(run.folder / paths.LOGITS, "extract", run, settings=settings)
        _make(run.path(paths.PSEUDO_LOGITS), "pseudo_splits", plan, run, settings=settings)
        yield run


def _make(result: str | Path, stage: str, *arguments: Any, module: str = "", **more: Any) -> None:
    if not Path(result).exists():
        with contextlib.redirect_stderr(io.StringIO()):  # how each training gets on
            getattr(import_module(f"finecal.stages.{module or stage}"), stage)(*arguments, **more)


def write_letters(folder: Path) -> None:
    """Write folder/printed, folder/hand and folder/noisy, each with a folder of pictures for every letter."""
    if folder.exists():
        return
    random = np.random.default_rng(0)
    for kind, fonts, each in (("printed", PRINTED, 120), ("hand", ITALIC, 80), ("noisy", PRINTED, 80)):
        faces = [ImageFont.truetype(f"{get_data_path()}/fonts/ttf/{name}.ttf", DRAWN // 2) for name in fonts]
        pictures = [
            _letter(letter, faces[random.integers(len(faces))], random, bend=kind == "hand")
            for letter in LETTERS
            for _ in range(each)
        ]
        pixels = np.stack(pictures)[..., None]
        if kind == "noisy":
            pixels = corrupt_mixed(pixels, ("gaussian_noise", "blur", "contrast"), 4, seed=0)
        for number, picture in enumerate(pixels):
            place = folder / kind / LETTERS[number // each] / f"{number % each}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture[..., 0]).save(place)


def _letter(letter: str, face: ImageFont.FreeTypeFont, random: np.random.Generator, *, bend: bool) -> np.ndarray:
    """Draw a letter in white on black, (SIDE, SIDE); if it is to look as if written by hand, bent and turned."""
    canvas = Image.new("L", (DRAWN, DRAWN))
    ImageDraw.Draw(canvas).text((DRAWN / 2, DRAWN / 2), letter, fill=255, font=face, anchor="mm")
    canvas = canvas.rotate(random.uniform(-6, 6), Image.Resampling.BILINEAR)
    if bend:
        # A smooth random field of displacements, from 4 × 4 numbers.
        coarse = random.normal(0, 4.5, (2, 4, 4)).astype(np.float32)
        moves = [np.asarray(Image.fromarray(one).resize((DRAWN, DRAWN), Image.Resampling.BICUBIC)) for one in coarse]
        rows, columns = np.mgrid[:DRAWN, :DRAWN]
        places = [
            np.clip(np.rint(at + move), 0, DRAWN - 1).astype(int)
            for at, move in zip((rows, columns), moves, strict=True)
        ]
        canvas = Image.fromarray(np.asarray(canvas)[places[0], places[1]])
    scale = random.uniform(0.9, 1.2)
    side = round(DRAWN / scale)
    start = np.array([random.integers(-4, 5), random.integers(-4, 5)]) + (DRAWN - side) // 2
    box = (start[0], start[1], start[0] + side, start[1] + side)
    return np.asarray(canvas.crop(tuple(map(int, box))).resize((SIDE, SIDE), Image.Resampling.BOX))
