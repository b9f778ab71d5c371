"""What does a verb cost before its work begins?

    uv run python benchmarks/imports.py [--against PYTHON] [--repeats 5] [--verbs calibrate finetune …] [--quick]

CPU seconds, user and system, of a process that starts, reads the embedded study if the verb takes studies, and imports
what the verb's function needs: for verbs that run a model also that of the study, for a training an optimiser, for
tables and figures one of them. `check`, `status` and `list` do what they do; `snakemake -n` plans the study, all of it
to be done. Beside them an empty program and `import timm` as it comes. PYTHON is the interpreter of another checkout's
environment, to compare with. Medians of interleaved repeats, with byte code; nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from statistics import median

import _measure

from finecal.plan.stages import STAGES

REPOSITORY = Path(__file__).resolve().parents[1]
STUDY = "digits"
TRAININGS = ("pretrain", "finetune", "pseudo_splits")
# What an earlier version has no `lean_imports` for, it imports as it comes.
START = f"""
from contextlib import nullcontext
from importlib import import_module
from finecal.cli.parser import make_parser
from finecal.runtime.imports import large_imports
try:
    from finecal.models.architectures import lean_imports
except ImportError:
    lean_imports = nullcontext
make_parser()
def plan():
    from finecal.plan.plan import Plan
    return Plan(["{STUDY}"])
"""
MODEL = 'import timm\n    model = timm.create_model("test_resnet", num_classes=10)'
OPTIMISER = (
    "from finecal.training import optimizer\n    optimizer.create_optimizer_v2(model, opt='sgd', lr=0.1).zero_grad()"
)
PLUGIN = "from finecal import registry\n    registry.load({kind!r}, {name!r})"
FURTHER = {"table": PLUGIN.format(kind="table", name="main"), "figure": PLUGIN.format(kind="figure", name="gain")}
BARE, TIMM = "python -c pass", "import timm"
WHOLE = {"check": ["check", STUDY], "status": ["status", STUDY], "list": ["list", "calibrators"]}
QUICK = ["calibrate", "finetune", "check"]


def program(verb: str) -> str:
    """The source of what is measured for a stage."""
    stage = STAGES[verb]
    module = f"finecal.stages.{stage.module or stage.name}"
    lines = [f"import_module({module!r})"]
    lines += [MODEL] * stage.torch + [OPTIMISER] * (verb in TRAININGS)
    lines += [FURTHER[verb]] if verb in FURTHER else []
    body = "\n    ".join(lines)
    return f"{START}{'plan()' if stage.study else ''}\nwith lean_imports(), large_imports():\n    {body}\n"


def command(name: str, python: str) -> list[str]:
    """The command whose CPU seconds are measured."""
    if name in WHOLE:
        return [python, "-m", "finecal.cli", *WHOLE[name]]
    if name == "snakemake -n":
        source = Path(python).parents[2] if python != sys.executable else REPOSITORY
        snakefile = str(source / "Snakefile")
        return [python, "-m", "snakemake", "-n", "--quiet", "--cores", "1", "--snakefile", snakefile]
    return [python, "-c", {BARE: "pass", TIMM: "import timm"}.get(name) or program(name)]


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU seconds of each verb until its work begins.")
    parser.add_argument("--against", metavar="PYTHON", help="the interpreter of another checkout's environment")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--verbs", nargs="+", choices=[*STAGES, *WHOLE, "snakemake -n"], metavar="VERB")
    parser.add_argument("--quick", action="store_true", help="one repeat of a few verbs, to see that it runs")
    args = parser.parse_args()
    names = args.verbs or (QUICK if args.quick else [*STAGES, *WHOLE, "snakemake -n"])
    pythons = [sys.executable, *([args.against] if args.against else [])]
    taken: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yaml").write_text(f"studies: [{STUDY}]\ndevice: cpu\n")
        cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", "")}
        for repeat in range(-1, 1 if args.quick else args.repeats):  # the first writes byte code and is not counted
            for name in (BARE, TIMM, *names):
                for python in pythons if name not in (BARE, TIMM) else pythons[:1]:
                    cpu = _measure.measure(command(name, python), folder, cache).cpu
                    if repeat >= 0:
                        taken.setdefault((name, python), []).append(cpu)
    timm = median(taken[TIMM, sys.executable])
    rows = []
    for name in (BARE, TIMM, *names):
        found = [median(taken[name, python]) for python in pythons if (name, python) in taken]
        before = f"{found[1]:.2f}" if len(found) > 1 else ""
        ratio = f"{found[0] / found[1]:.2f}" if len(found) > 1 else ""
        rows.append([f"`{name.replace('_', '-')}`", f"{found[0]:.2f}", f"{found[0] / timm:.2f}", before, ratio])
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}.\n"
    )
    columns = ["what", "CPU (s)", "× `import timm`", "against (s)", "× against"]
    print(_measure.table(columns, rows))


if __name__ == "__main__":
    main()
