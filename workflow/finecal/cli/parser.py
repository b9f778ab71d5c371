"""The command line: one verb per rule, and a few for people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from finecal import __version__
from finecal.cli import job_commands, user_commands
from finecal.errors import UserError

Verb = Callable[[argparse.Namespace], None]


def main(arguments: list[str] | None = None) -> None:
    """Run a verb; exit 2 with one paragraph for a UserError, 128 + signal after an interruption."""
    given = _parser().parse_args(arguments)
    try:
        given.verb(given)
    except UserError as error:
        if given.debug:
            raise
        print(f"finecal: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="finecal", description=__doc__.partition("\n")[0])
    parser.add_argument("--version", action="version", version=f"finecal {__version__}")
    commands = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def add(
        name: str, verb: Verb, text: str, target: str = "", *, torch: bool = False, study: bool = True
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(verb=verb)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if target:
            of_run = "the folder of a run, or a file in it" if target == "RUN" else None
            command.add_argument("target", metavar=target, help=of_run)
        if study:
            command.add_argument(
                "--study", nargs="+", metavar="STUDY", help="selected studies (default: config.yaml's)"
            )
        if torch:
            command.add_argument(
                "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: %(default)s"
            )
            command.add_argument(
                "--threads", type=int, default=1, metavar="N", help="CPU threads (default: %(default)s)"
            )
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
        return command

    downloading = add(
        "download",
        job_commands.do_download,
        "Fetch a data set's files, or one of them, and check them.",
        "DATASET | FILE",
    )
    downloading.add_argument("--mirror", metavar="DIR", help="folder or address asked first (default: config.yaml's)")
    preparing = add(
        "prepare",
        job_commands.do_prepare,
        "Decode or render a domain and pack it.",
        "results/DATASET/images/DOMAIN.parquet",
    )
    preparing.add_argument(
        "--threads", type=int, default=1, metavar="N", help="images decoded at once (default: %(default)s)"
    )
    add("split", job_commands.do_split, "Divide the classes into S and U.", "results/DATASET/splits/SPLIT.parquet")
    add("pretrain", job_commands.do_pretrain, "Make the pretrained model of a source domain.", "FOLDER", torch=True)
    add("finetune", job_commands.do_finetune, "Fine-tune a run, or with RUN/pcv its pseudo-splits.", "RUN", torch=True)
    add(
        "extract",
        job_commands.do_extract,
        "Compute logits and features of the target domain, or class means of the source.",
        "FILE",
        torch=True,
    )
    add("calibrate", job_commands.do_calibrate, "Fit all calibrators of a run.", "RUN")
    add("evaluate", job_commands.do_evaluate, "Score all classifiers of a run.", "RUN")
    add("gamma-data", job_commands.do_gamma_data, "Fit the γ of a run on fewer and fewer samples.", "RUN")
    add(
        "similarity",
        job_commands.do_similarity,
        "Compare the head's updates of the classes of a run.",
        "RUN",
        study=False,
    )
    add("embed", job_commands.do_embed, "Map the features of a run before and after fine-tuning.", "RUN", study=False)
    add(
        "regions",
        job_commands.do_regions,
        "Draw a run's classifiers over the plane (toy only).",
        "RUN",
        torch=True,
        study=False,
    )
    add("aggregate", job_commands.do_aggregate, "Concatenate one kind of table over all runs.", "NAME")
    add("table", job_commands.do_table, "Make a table of the results.", "NAME")
    add("figure", job_commands.do_figure, "Draw a figure of the results.", "NAME")
    exporting = add(
        "export",
        job_commands.do_export,
        "Write a run's calibrated model to take home: for timm, for ONNX Runtime.",
        "RUN",
    )
    exporting.add_argument("--calibrator", required=True, metavar="NAME", help="one of the study's calibrators")
    exporting.add_argument("--out", type=Path, metavar="DIR", help="default: RUN/export/NAME")
    exporting.add_argument("--force", action="store_true", help="also a calibrator fitted on the test labels")
    exporting.add_argument("--no-onnx", action="store_true", help="leave ONNX out")
    exporting.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default: %(default)s)")
    page = add("report", job_commands.do_report, "Write results/report.html.")
    page.add_argument(
        "--open", action="store_true", help="show it in the browser; it is not written anew if it is there"
    )

    check = add("check", user_commands.do_check, "Validate studies and print the plan; runs nothing.", study=False)
    check.add_argument(
        "study", nargs="*", metavar="STUDY", help="built-in names or YAML files (default: config.yaml's)"
    )
    check.add_argument(
        "--images-per-second", type=_positive, metavar="N",
        help="what a GPU of yours trains on (ResNet-50, 224 × 224), for the GPU-hours of large studies",
    )  # fmt: skip
    progress = add(
        "status", user_commands.do_status, "Say how far studies are: done, running, stopped, time left.", study=False
    )
    progress.add_argument("study", nargs="*", metavar="STUDY", help="built-in names or YAML files")
    add("why", user_commands.do_why, "Say why a result would be made again: what differs from what made it.", "FILE")
    comparing = add(
        "compare", user_commands.do_compare, "Write a page of two runs beside each other.", "RUN_A", study=False
    )
    comparing.add_argument("other", metavar="RUN_B")
    comparing.add_argument("--out", type=Path, metavar="FILE", help="the page (default: results/compare_….html)")
    comparing.add_argument("--open", action="store_true", help="show it in the browser")
    prefetching = add(
        "prefetch", user_commands.do_prefetch, "Fetch what jobs need from the network, into their caches.", study=False
    )
    prefetching.add_argument("study", nargs="*", metavar="STUDY", help="built-in names or YAML files")
    prefetching.add_argument("--mirror", metavar="DIR", help="folder or address asked first (default: config.yaml's)")
    listing = add("list", user_commands.do_list, "List what there is.", study=False)
    listing.add_argument("kind", choices=("datasets", "recipes", "calibrators", "studies"))
    _add_diagnose(
        add("diagnose", user_commands.do_diagnose, "Diagnose a classifier from its logits alone.", study=False)
    )
    return parser


def _add_diagnose(command: argparse.ArgumentParser) -> None:
    command.add_argument("logits", metavar="LOGITS", help=".parquet or .npz with label, logits [, features, subset]")
    command.add_argument(
        "--fine-tuning", required=True, metavar="CLASSES",
        help="fine-tuning classes: numbers such as 1,3,5, or a file with one per line",
    )  # fmt: skip
    command.add_argument("--pretrained", metavar="LOGITS", help="the pretrained model's logits of the same samples")
    command.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value
