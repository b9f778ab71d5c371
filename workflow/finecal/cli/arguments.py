"""The arguments of the verbs, besides a stage's target and studies."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Command = argparse.ArgumentParser
Verb = Callable[[argparse.Namespace], None]
# Name, verb and help → the command.
Add = Callable[[str, Verb, str], Command]


def add_studies(command: Command) -> None:
    """Take studies as arguments without a name."""
    command.add_argument(
        "study", nargs="*", metavar="STUDY", help="built-in names or YAML files (default: config.yaml's)"
    )


# What a job on a cluster is told where config.yaml says `device: auto`.
AUTO_GPU = "auto-gpu"


def add_threads(command: Command, text: str = "CPU threads") -> None:
    """Take a number of threads."""
    command.add_argument("--threads", type=int, default=1, metavar="N", help=f"{text} (default: %(default)s)")


def add_mirror(command: Command) -> None:
    """Take a mirror of downloads."""
    command.add_argument("--mirror", metavar="DIR", help="folder or address asked first (default: config.yaml's)")


def add_settings(command: Command) -> None:
    """Take where and how models run: the fields of `finecal.stages.Settings`."""
    command.add_argument(
        "--device", choices=("auto", "cpu", "cuda", AUTO_GPU), default="auto",
        help=f"default: %(default)s; {AUTO_GPU}: what auto means for a job on a cluster, a GPU and nothing else",
    )  # fmt: skip
    add_threads(command)
    command.add_argument(
        "--state-interval", type=float, default=60.0, metavar="SECONDS",
        help="seconds between saves of an unfinished training (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="of the models' computations; auto: bfloat16 on a GPU that has it",
    )  # fmt: skip
    command.add_argument(
        "--data-memory", type=float, metavar="MIB",
        help="memory for images, larger ones are read from a file (default: half of what is free)",
    )  # fmt: skip
    command.add_argument("--compile", action="store_true", help="let torch compile the models that are trained")


def _add_export(command: Command) -> None:
    command.add_argument(
        "--calibrator", required=True, dest="name", metavar="NAME", help="one of the study's calibrators"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: RUN/export/NAME")
    command.add_argument("--force", action="store_true", help="also a calibrator fitted on the test labels")
    command.add_argument("--no-onnx", action="store_false", dest="onnx", help="leave ONNX out")
    add_threads(command)


def _add_report(command: Command) -> None:
    command.add_argument(
        "--open", action="store_true", help="show it in the browser; it is not written anew if it is there"
    )


# Stage → what adds its further arguments.
FURTHER: dict[str, Callable[[Command], None]] = {
    "download": add_mirror,
    "prepare": lambda command: add_threads(command, "images decoded at once"),
    "frame": lambda command: add_threads(command, "images decoded at once"),
    "export": _add_export,
    "report": _add_report,
}


def add_images_per_second(command: Command) -> None:
    """Take the throughput of a GPU."""
    command.add_argument(
        "--images-per-second", type=_positive, metavar="N",
        help="what a GPU of yours trains on (ResNet-50, 224 × 224), for the GPU-hours of large studies",
    )  # fmt: skip


def add_compare(command: Command) -> None:
    """Take two runs, and where their page goes."""
    command.add_argument("target", metavar="RUN_A", help="the folder of a run, or a file in it")
    command.add_argument("other", metavar="RUN_B")
    command.add_argument("--out", type=Path, metavar="FILE", help="the page (default: results/compare_….html)")
    command.add_argument("--open", action="store_true", help="show it in the browser")


def add_diagnose(command: Command) -> None:
    """Take a file of logits, and what is needed to diagnose them."""
    command.add_argument(
        "logits", metavar="LOGITS", help=".parquet, .feather, .csv, .npz, .npy, .pt, .safetensors or .h5 with logits, "
        "label [, features, subset, sample]",
    )  # fmt: skip
    command.add_argument(
        "--fine-tuning", required=True, metavar="CLASSES",
        help="fine-tuning classes: numbers such as 1,3,5, names, or a file with one per line",
    )  # fmt: skip
    command.add_argument("--pretrained", metavar="LOGITS", help="the pretrained model's logits of the same samples")
    command.add_argument("--labels", metavar="FILE", help="labels, where the file of logits has none")
    command.add_argument("--features", metavar="FILE", help="features, where the file of logits has none")
    command.add_argument("--classes", metavar="NAMES", help="class names in the order of the logits: a,b,c, or a file")
    command.add_argument(
        "--scores", default="auto", choices=SCORES, help="what the scores are (default: auto, which recognises them)"
    )
    command.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    command.add_argument(
        "--model",
        metavar="MODEL",
        help="folder or name that timm loads; it is written to DIR/model with the calibration",
    )


# What `finecal.logits.kinds` knows; not imported here, so that --help needs no NumPy.
SCORES = ("auto", "logits", "probabilities", "log-probabilities", "sigmoid", "percentages")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value
