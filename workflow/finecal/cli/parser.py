"""The command line: one verb for each stage, and a few for people."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from textwrap import shorten

from finecal import __version__
from finecal.cli import arguments, stage_commands, terminal, user_commands
from finecal.cli.arguments import Command, Verb
from finecal.errors import UserError, how_to_install
from finecal.io.sharing import share_with_group
from finecal.plan.stage import Stage
from finecal.plan.stages import STAGES

# What the extra `pipeline` brings, by the names that are imported: studies need it, logits do not.
OF_PIPELINE = frozenset({
    "pygments", "requests", "snakemake", "snakemake_executor_plugin_slurm", "threadpoolctl",
    "timm", "torch", "torchvision", "tqdm",
})  # fmt: skip
# What torch and its libraries say on a CPU where memory has run out.
OF_TORCH = ("DefaultCPUAllocator", "could not create a primitive", "Cannot allocate memory")
# What the system's loader says of a library for which it has no addresses left.
NO_MEMORY = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")


def main(words: list[str] | None = None) -> None:
    """Run a verb; exit 2 with one paragraph for a UserError, 128 + signal after an interruption."""
    terminal.prepare()
    debug = False
    try:
        with terminal.quiet_when_closed():
            words = sys.argv[1:] if words is None else words
            words = _verb_first(words)
            given = make_parser(*words[:1]).parse_args(words)
            debug = given.debug
            _go_to(given.directory)
            share_with_group()
            given.verb(given)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        said = None if debug else _explain(error)
        if said is None:
            raise
        with terminal.quiet_when_closed():
            print(f"finecal: {said}", file=sys.stderr)
        sys.exit(2)


def _explain(error: Exception) -> str | None:
    """What a user can mend, in a paragraph; None for a mistake of finecal's, which is shown as it is."""
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        known = missing in OF_PIPELINE
        return f"this needs {missing}, which is not installed: {how_to_install('pipeline')}." if known else None
    if isinstance(error, ImportError) and any(words in str(error) for words in NO_MEMORY):
        return str(
            UserError(
                f"there is not enough memory to load a library ({error})",
                hint="`ulimit -v` says what this shell allows, `ulimit -v unlimited` takes a limit back",
            )
        )
    if isinstance(error, MemoryError | RuntimeError) and (said := _explain_memory(error)) is not None:
        return said
    # What the system refuses: a name that is too long, a file that may not be read.
    if isinstance(error, OSError) and error.strerror:
        where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
        return str(UserError(error.strerror[0].lower() + error.strerror[1:], where=where))
    return str(error) if isinstance(error, UserError) else None


def _explain_memory(error: MemoryError | RuntimeError) -> str | None:
    """What to do where memory has run out; None if it has not. Torch says so by errors of its own."""
    what = shorten(str(error), 200, placeholder=" …")
    if type(error).__name__ == "OutOfMemoryError":
        hint = "Make batches smaller (`training.batch_size`), or let fewer jobs share a GPU (`runs_per_gpu`)"
        return str(UserError(f"there is not enough memory on the GPU ({what})", hint=hint))
    if isinstance(error, MemoryError) or any(words in what for words in OF_TORCH):
        why = f" ({what})" if what else ""
        hint = "Give the job more, or make batches smaller; `ulimit -v` says what this shell allows"
        return str(UserError(f"there is not enough memory{why}", hint=hint))
    return None


def _verb_first(words: list[str]) -> list[str]:
    """Bring `--directory DIR` that stands before the verb, as programs such as git have it, behind the verb."""
    count = 2 if words[:1] == ["--directory"] else 1 if words and words[0].startswith("--directory=") else 0
    return [*words[count : count + 1], *words[:count], *words[count + 1 :]] if len(words) > count else words


def _go_to(directory: str | None) -> None:
    """Work in another folder, as `snakemake --directory` does, but never in one that is not there."""
    if directory is None:
        return
    try:
        os.chdir(directory)
    except OSError as error:
        raise UserError(f"{directory!r} is no folder to work in ({error.strerror})", where="--directory") from error


def make_parser(verb: str | None = None) -> Command:
    """The parser of all verbs; given one of a stage, of this one alone, which takes a job a tenth of the time."""
    parser = argparse.ArgumentParser(
        prog="finecal", description="What did fine-tuning damage in my classifier, and how do I get it back?"
    )
    parser.add_argument("--version", action="version", version=f"finecal {__version__}")
    commands = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def add(name: str, verb: Verb, text: str) -> Command:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(verb=verb)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.add_argument("--directory", metavar="DIR", help="where to work; all other paths are relative to it")
        return command

    asked = [stage for stage in STAGES.values() if stage.verb == verb]
    for stage in asked or STAGES.values():
        _add_stage(add(stage.verb, _verb_of(stage), stage.help), stage)
    if not asked:
        _add_user_commands(add)
    return parser


def _verb_of(stage: Stage) -> Verb:
    return stage_commands.write_report if stage.name == "report" else partial(stage_commands.run_stage, stage)


def _add_stage(command: Command, stage: Stage) -> None:
    if stage.target:
        words = {"RUN": "the folder of a run, or a file in it", "FILE": stage.result}
        command.add_argument("target", metavar=stage.target, help=words.get(stage.target))
    if stage.study:
        command.add_argument("--study", nargs="+", metavar="STUDY", help="selected studies (default: config.yaml's)")
    if stage.torch:
        arguments.add_settings(command)
    if stage.name in arguments.FURTHER:
        arguments.FURTHER[stage.name](command)


def _add_user_commands(add: arguments.Add) -> None:
    check = add("check", user_commands.do_check, "Validate studies and print the plan; runs nothing.")
    arguments.add_studies(check)
    arguments.add_images_per_second(check)
    status = add("status", user_commands.do_status, "Say how far studies are: done, running, stopped, time left.")
    arguments.add_studies(status)
    why = add("why", user_commands.do_why, "Say why a result would be made again: what differs from what made it.")
    why.add_argument("target", metavar="FILE")
    why.add_argument("--study", nargs="+", metavar="STUDY", help="selected studies (default: config.yaml's)")
    arguments.add_compare(add("compare", user_commands.do_compare, "Write a page of two runs beside each other."))
    prefetch = add("prefetch", user_commands.do_prefetch, "Fetch what jobs need from the network, into their caches.")
    arguments.add_studies(prefetch)
    arguments.add_mirror(prefetch)
    init = add("init", user_commands.do_init, "Make a folder for studies: Snakefile, config.yaml, profiles.")
    init.add_argument("folder", metavar="DIR")
    listing = add("list", user_commands.do_list, "List what there is.")
    listing.add_argument("kind", choices=("datasets", "recipes", "calibrators", "studies"))
    arguments.add_diagnose(add("diagnose", user_commands.do_diagnose, "Diagnose a classifier from its logits alone."))
