"""How many files and bytes does a run leave behind, and so how many does a sweep of many runs?

    uv run snakemake                                        # some finished study
    uv run python benchmarks/sweep.py [--directory .] [--runs 1000 100000]

Counts what a working directory holds of the runs that have metrics: results, logs, measurements, and the notes that
Snakemake keeps of each output in `.snakemake/metadata`. What is there once per study (images, tables, figures) is not
counted, nor are oracle fine-tunings. Bytes are those that the files take on the disk, of blocks of its own size.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import _measure

from finecal import paths

KINDS = {"results": "results", "logs": "logs", "benchmarks": "measurements"}
NOTES = "notes of Snakemake"
# In logs/finetune/digits/…/seed0.log as in results/digits/…/seed0/model.safetensors.
RUN = re.compile(r"/([^/]+(?:/[^/]+){4}/seed\d+)[./]")


def found(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """List (kind, path of what it belongs to, file) of everything below a working directory."""
    for name, kind in KINDS.items():
        for file in (folder / name).rglob("*"):
            if file.is_file():
                yield kind, str(file.relative_to(folder)), file
    notes = folder / ".snakemake" / "metadata"
    for file in notes.rglob("*"):
        if file.is_file():
            # The path in base64; a long one is cut into folders that begin with @.
            code = "".join(part.removeprefix("@") for part in file.relative_to(notes).parts)
            try:
                yield NOTES, base64.b64decode(code, altchars=b"-_", validate=True).decode(), file
            except (binascii.Error, UnicodeDecodeError):
                continue


def count(folder: Path) -> tuple[int, Counter[str], Counter[str]]:
    """Count the runs, and the files and bytes of each kind of all runs together."""
    evaluated = folder.glob(f"results/*/*/*/*/*/seed*/{paths.METRICS}")
    runs = {str(file.parent.relative_to(folder / "results")) for file in evaluated}
    files: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for kind, about, file in found(folder):
        run = RUN.search(about)
        if run and run[1] in runs:
            files[kind] += 1
            size[kind] += file.stat().st_blocks * 512
    return len(runs), files, size


def main() -> None:
    parser = argparse.ArgumentParser(description="Files and bytes of a run and of a sweep.")
    parser.add_argument("--directory", type=Path, default=Path())
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 100_000])
    args = parser.parse_args()
    there, files, size = count(args.directory)
    if not there:
        sys.exit(f"{args.directory / 'results'} has no finished run")
    print(f"Mean of the {there} finished runs in {args.directory.resolve().name}/.\n")
    columns = ["of a run", "files", "KiB", *(f"{runs:,} runs: files, GiB" for runs in args.runs)]
    rows = []
    for kind in (*KINDS.values(), NOTES, "together"):
        of_kind = [kind] if kind != "together" else list(files)
        number, total = (sum(counter[name] for name in of_kind) / there for counter in (files, size))
        sweeps = [f"{number * runs:,.0f}, {total * runs / 2**30:,.1f}" for runs in args.runs]
        rows.append([kind, f"{number:.1f}", f"{total / 1024:,.0f}", *sweeps])
    print(_measure.table(columns, rows))


if __name__ == "__main__":
    main()
