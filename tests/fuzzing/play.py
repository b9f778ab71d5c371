"""Show readers changed files: `python tests/fuzzing/play.py --seed 7 --inputs 100000` for long runs on one machine."""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[1]))
from finecal.errors import UserError
from fuzzing.all_readers import READERS, Reader

SECONDS = 5  # of CPU time, for one input of a few kB
MIB = 1024  # more memory than before, at most: Pillow takes images of up to 179 million pixels


class HangError(BaseException):
    """An input took too long. No reader can catch it by mistake."""


@dataclass
class Outcome:
    """How many inputs were read and refused, and for each fault how often and with which input first."""

    read: int = 0
    refused: int = 0
    faults: dict[str, tuple[int, int]] = field(default_factory=dict)


def play(reader: Reader, seed: int, inputs: int, folder: Path, first: int = 0) -> Outcome:
    """Show a reader some inputs; each depends on the seed, the reader and its number alone."""
    outcome, contents = Outcome(), reader.contents()
    path = folder / reader.file
    with _alarm():
        path.write_bytes(contents)
        reader.read(path)  # the valid one is read
        for number in range(first, first + inputs):
            path.write_bytes(changed(reader, contents, seed, number))
            fault = _show(reader, path, outcome)
            left = sorted({one.name for one in folder.iterdir()} - {reader.file, "model.safetensors", "unpacked"})
            if left and not fault:
                fault = f"left behind: {left}"
                for name in left:
                    (folder / name).unlink()
            if fault:
                count, earliest = outcome.faults.get(fault, (0, number))
                outcome.faults[fault] = (count + 1, earliest)
            shutil.rmtree(folder / "unpacked", ignore_errors=True)
    return outcome


def changed(reader: Reader, contents: bytes, seed: int, number: int) -> bytes:
    draw = random.Random(f"{seed} {reader.name} {number}")
    for _ in range(draw.choice((1, 1, 1, 2))):
        try:
            contents = draw.choice(reader.changes)(contents, draw)
        except Exception:  # a second change of what is broken
            break
    return contents


def _show(reader: Reader, path: Path, outcome: Outcome) -> str:
    """Let a reader read; return where it failed otherwise than with a UserError."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            reader.read(path)
        outcome.read += 1
    except UserError as error:
        outcome.refused += 1
        said = str(error)
        if not said.strip() or len(said) > 3000:
            return f"an error of {len(said)} letters at {_place(error)}"
    except HangError as error:
        return f"takes longer than {SECONDS} s at {_place(error)}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]!r} at {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return ""


def _place(error: BaseException) -> str:
    """The last lines of finecal on the way to an error."""
    own = [one for one in traceback.extract_tb(error.__traceback__) if "/workflow/finecal/" in one.filename]
    return " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in own[:-4:-1])


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before)


def shares(inputs: int) -> dict[str, int]:
    """How many inputs each reader is shown."""
    total = sum(reader.share for reader in READERS)
    return {reader.name: -(-inputs * reader.share // total) for reader in READERS}


def by_kind(inputs: int) -> list[tuple[str, int]]:
    """How many inputs each kind of file has, as docs/reliability.md shows them."""
    kinds: dict[str, int] = {}
    for name, number in shares(inputs).items():
        kind = (
            name.partition(" ")[0] if name.startswith(("logits", "list", "image ", "checkpoint", "archive")) else name
        )
        kinds[kind] = kinds.get(kind, 0) + number
    return list(kinds.items())


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--reader", action="append", help="only this one (several times: these)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each reader")
    parser.add_argument("--apart", action="store_true", help="each reader in a process of its own, which may crash")
    given = parser.parse_args()
    faulthandler.enable()
    bad = 0
    for reader in READERS:
        if given.reader and reader.name not in given.reader:
            continue
        number = given.inputs if given.reader else shares(given.inputs)[reader.name]
        if given.apart and os.fork():
            status = os.wait()[1]
            bad += status != 0
            if os.WIFSIGNALED(status):
                print(f"{reader.name}: ended by signal {os.WTERMSIG(status)}", flush=True)
            continue
        with tempfile.TemporaryDirectory() as name:
            began, before = time.perf_counter(), peak_mib()
            try:
                outcome = play(reader, given.seed, number, Path(name), given.first)
            except Exception:
                traceback.print_exc(limit=-3)
                os._exit(1)
            spent = time.perf_counter() - began
        print(
            f"{reader.name}: {outcome.read:,} read, {outcome.refused:,} refused, {1000 * spent / number:.2f} ms each, "
            f"{peak_mib() - before:,.0f} MiB more", flush=True,
        )  # fmt: skip
        by_place: dict[str, list[str]] = collections.defaultdict(list)
        for fault, (count, earliest) in outcome.faults.items():
            by_place[fault.rpartition(" at ")[2]].append(f"    {count} × {fault} (first: {earliest})")
        for found in by_place.values():
            print(f"  {len(found)} kinds of faults", *found[:3], sep="\n", flush=True)
        bad += len(outcome.faults)
        if given.apart:
            os._exit(min(bad, 100))
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
