"""The command line: one verb per rule, and a few for people. A verb imports what it needs, nothing else."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from finecal import __version__
from finecal.errors import UserError

if TYPE_CHECKING:
    from finecal.plan import Plan
    from finecal.stages import Settings

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
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def add(
        name: str, verb: Verb, text: str, target: str = "", *, torch: bool = False, study: bool = True
    ) -> argparse.ArgumentParser:
        command = verbs.add_parser(name, help=text, description=text)
        command.set_defaults(verb=verb)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if target:
            command.add_argument("target", metavar=target)
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
        "download", _download, "Fetch a data set's files, or one of them, and check them.", "DATASET | FILE"
    )
    downloading.add_argument("--mirror", metavar="DIR", help="folder or address asked first (default: config.yaml's)")
    preparing = add(
        "prepare", _prepare, "Decode or render a domain and pack it.", "results/DATASET/images/DOMAIN.parquet"
    )
    preparing.add_argument(
        "--threads", type=int, default=1, metavar="N", help="images decoded at once (default: %(default)s)"
    )
    add("split", _split, "Divide the classes into S and U.", "results/DATASET/splits/SPLIT.parquet")
    add("pretrain", _pretrain, "Make the pretrained model of a source domain.", "FOLDER", torch=True)
    add("finetune", _finetune, "Fine-tune a run, or with RUN/pcv its pseudo-splits.", "RUN", torch=True)
    add(
        "extract",
        _extract,
        "Compute logits and features of the target domain, or class means of the source.",
        "FILE",
        torch=True,
    )
    add("calibrate", _calibrate, "Fit all calibrators of a run.", "RUN")
    add("evaluate", _evaluate, "Score all classifiers of a run.", "RUN")
    add("gamma-data", _gamma_data, "Fit the γ of a run on fewer and fewer samples.", "RUN")
    add("similarity", _similarity, "Compare the head's updates of the classes of a run.", "RUN", study=False)
    add("embed", _embed, "Map the features of a run before and after fine-tuning.", "RUN", study=False)
    add("regions", _regions, "Draw a run's classifiers over the plane (toy only).", "RUN", torch=True, study=False)
    add("aggregate", _aggregate, "Concatenate one kind of table over all runs.", "NAME")
    add("table", _table, "Make a table of the results.", "NAME")
    add("figure", _figure, "Draw a figure of the results.", "NAME")
    exporting = add(
        "export", _export, "Write a run's calibrated model to take home: for timm, for ONNX Runtime.", "RUN"
    )
    exporting.add_argument("--calibrator", required=True, metavar="NAME", help="one of the study's calibrators")
    exporting.add_argument("--out", type=Path, metavar="DIR", help="default: RUN/export/NAME")
    exporting.add_argument("--force", action="store_true", help="also a calibrator fitted on the test labels")
    exporting.add_argument("--no-onnx", action="store_true", help="leave ONNX out")
    exporting.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default: %(default)s)")
    page = add("report", _report, "Write results/report.html.")
    page.add_argument(
        "--open", action="store_true", help="show it in the browser; it is not written anew if it is there"
    )

    check = add("check", _check, "Validate studies and print the plan; runs nothing.", study=False)
    check.add_argument(
        "study", nargs="*", metavar="STUDY", help="built-in names or YAML files (default: config.yaml's)"
    )
    check.add_argument(
        "--images-per-second", type=_positive, metavar="N",
        help="what a GPU of yours trains on (ResNet-50, 224 × 224), for the GPU-hours of large studies",
    )  # fmt: skip
    progress = add("status", _status, "Say how far studies are: done, running, stopped, time left.", study=False)
    progress.add_argument("study", nargs="*", metavar="STUDY", help="built-in names or YAML files")
    comparing = add("compare", _compare, "Write a page of two runs beside each other.", "RUN_A", study=False)
    comparing.add_argument("other", metavar="RUN_B")
    comparing.add_argument("--out", type=Path, metavar="FILE", help="the page (default: results/compare_….html)")
    comparing.add_argument("--open", action="store_true", help="show it in the browser")
    prefetching = add("prefetch", _prefetch, "Fetch what jobs need from the network, into their caches.", study=False)
    prefetching.add_argument("study", nargs="*", metavar="STUDY", help="built-in names or YAML files")
    prefetching.add_argument("--mirror", metavar="DIR", help="folder or address asked first (default: config.yaml's)")
    listing = add("list", _list, "List what there is.", study=False)
    listing.add_argument("kind", choices=("datasets", "recipes", "calibrators", "studies"))
    _add_diagnose(add("diagnose", _diagnose, "Diagnose a classifier from its logits alone.", study=False))
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


def _plan(given: argparse.Namespace) -> Plan:
    from finecal.plan import Plan
    from finecal.settings import read_settings

    return Plan(given.study or read_settings().studies)


def _settings(given: argparse.Namespace) -> Settings:
    from finecal.stages import Settings

    return Settings(
        device=given.device,
        threads=given.threads,
        state_interval=given.state_interval,
        precision=given.precision,
        data_memory=given.data_memory,
        compile=given.compile,
    )


def _coordinates(pattern: str, given: argparse.Namespace) -> dict[str, str]:
    from finecal.paths import parse

    found = parse(pattern.removesuffix(".parquet"), given.target.removesuffix(".parquet"))
    if found is None:
        raise UserError(f"{given.target!r} is no such path", why=f"It must follow {pattern}")
    return found


def _import_torch() -> None:
    """Importing timm makes a million objects that live on; looking for garbage among them costs a tenth of the time."""
    gc.disable()
    import timm  # noqa: F401

    gc.freeze()
    gc.enable()


def _interruptible(work: Callable[[], None]) -> None:
    from finecal.state import Interrupted

    try:
        work()
    except Interrupted as signal:
        print(f"finecal: {signal}", file=sys.stderr)
        sys.exit(128 + signal.number)


def _mirror(given: argparse.Namespace) -> str | None:
    from finecal.settings import read_settings

    mirror: str | None = given.mirror
    return mirror or read_settings().mirror


def _download(given: argparse.Namespace) -> None:
    from finecal.stages.download import download

    print(download(_plan(given), given.target, _mirror(given)))


def _prepare(given: argparse.Namespace) -> None:
    from finecal.paths import IMAGES
    from finecal.stages.prepare import prepare

    prepare(_plan(given), **_coordinates(IMAGES, given), threads=given.threads)


def _split(given: argparse.Namespace) -> None:
    from finecal.paths import SPLIT
    from finecal.stages.split import split

    found = _coordinates(SPLIT, given)
    split(_plan(given), found["dataset"], found["split"])


def _pretrain(given: argparse.Namespace) -> None:
    from finecal.paths import PRETRAINED

    plan, found = _plan(given), _coordinates(PRETRAINED, given)
    _import_torch()
    from finecal.stages.pretrain import pretrain

    _interruptible(lambda: pretrain(plan, **found, settings=_settings(given)))


def _finetune(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey

    plan = _plan(given)
    run = plan.known(RunKey.of(given.target))
    _import_torch()
    checkpoint = plan.imported(run)
    if checkpoint is not None:
        from finecal.stages.take_over import take_over

        take_over(plan, run, checkpoint, _settings(given))
        return
    if Path(given.target).name == "pcv":
        from finecal.stages.pseudo import pseudo as work
    else:
        from finecal.stages.finetune import finetune as work
    _interruptible(lambda: work(plan, run, _settings(given)))


def _extract(given: argparse.Namespace) -> None:
    from finecal import paths

    class_means = f"{paths.PRETRAINED}/{paths.CLASS_MEANS}"
    if paths.parse(class_means, given.target):
        from finecal.stages.means import means

        means(**_coordinates(class_means, given), settings=_settings(given))
    elif paths.parse(paths.INTERPOLATED, given.target):
        plan = _plan(given)
        run = plan.known(paths.RunKey.of(given.target))
        _import_torch()
        from finecal.stages.interpolate import interpolate

        interpolate(plan, run, _settings(given))
    else:
        from finecal.stages.extract import extract

        extract(Path(given.target), _settings(given))


def _calibrate(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.calibrate import calibrate

    calibrate(_plan(given), RunKey.of(given.target))


def _evaluate(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.evaluate import evaluate

    evaluate(_plan(given), RunKey.of(given.target))


def _gamma_data(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.gamma_data import gamma_data

    gamma_data(_plan(given), RunKey.of(given.target))


def _similarity(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.similarity import similarity

    similarity(RunKey.of(given.target))


def _embed(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.embed import embed

    embed(RunKey.of(given.target))


def _regions(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey

    run = RunKey.of(given.target)
    _import_torch()
    from finecal.stages.regions import regions

    regions(run, _settings(given))


def _export(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey

    plan = _plan(given)
    run = plan.known(RunKey.of(given.target))
    _import_torch()
    from finecal.stages import Settings
    from finecal.stages.export import export

    settings = Settings(device="cpu", threads=given.threads)
    onnx = not given.no_onnx
    print(export(plan, run, given.calibrator, settings, out=given.out, force=given.force, onnx=onnx))


def _aggregate(given: argparse.Namespace) -> None:
    if given.target == "cost":
        from finecal.stages.cost import cost

        cost(_plan(given))
    elif given.target == "runs":
        from finecal.stages.runs import runs

        runs(_plan(given))
    else:
        from finecal.stages.aggregate import aggregate

        aggregate(_plan(given), given.target)


def _table(given: argparse.Namespace) -> None:
    from finecal.stages.present import table

    table(_plan(given), given.target)


def _figure(given: argparse.Namespace) -> None:
    from finecal.stages.present import figure

    figure(_plan(given), given.target)


def _report(given: argparse.Namespace) -> None:
    from finecal.paths import REPORT

    if not (given.open and Path(REPORT).is_file()):
        from finecal.stages.report import report

        report(_plan(given))
    if given.open:
        _open(Path(REPORT))


def _compare(given: argparse.Namespace) -> None:
    from finecal.paths import RunKey
    from finecal.stages.compare import write_comparison

    page = write_comparison(RunKey.of(given.target), RunKey.of(given.other), given.out)
    print(page)
    if given.open:
        _open(page)


def _open(page: Path) -> None:
    """In the browser; where there is none, as on a login node, it is said where the page is."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        print(f"there is no browser here; the page is {page.resolve()}")


def _check(given: argparse.Namespace) -> None:
    from finecal.estimate import IMAGES_PER_SECOND
    from finecal.overview import describe_plan

    plan = _plan(given)
    if plan.needs_network:
        _import_torch()
    print(describe_plan(plan, given.images_per_second or IMAGES_PER_SECOND))


def _status(given: argparse.Namespace) -> None:
    from finecal.status import describe

    print(describe(_plan(given)))


def _prefetch(given: argparse.Namespace) -> None:
    plan = _plan(given)
    if plan.hub_models() or plan.clips():
        _import_torch()
    from finecal.stages.prefetch import prefetch

    print(prefetch(plan, _mirror(given)))


def _list(given: argparse.Namespace) -> None:
    from finecal.overview import describe_names

    print(describe_names(given.kind))


def _diagnose(given: argparse.Namespace) -> None:
    from finecal.stages.diagnose import diagnose

    print(diagnose(Path(given.logits), given.fine_tuning, given.out, pretrained=given.pretrained))


if __name__ == "__main__":
    main()
