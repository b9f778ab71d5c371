"""What does it cost to compare the user's own files by their bytes?

    uv run python benchmarks/contents.py [--files 100000] [--bytes 12000] [--checkpoint 1000] [--repeats 3] [--quick]

A folder of so many files of random bytes in 100 classes is the target of an `image_folder` study:

* list only: names, sizes and times of all files, without any hash;
* first look: what decides the domain, where nothing is noted of the files yet: each is read;
* second look: the same with the notes of the first; nothing has changed, no file is read;
* first and second look at a checkpoint of so many MB;
* planning: `snakemake --dry-run` of the study with the notes, and of one without files of the user's own.

Medians of interleaved repeats, from the system's cache; the first look is at most as fast as the disk. Nothing here
fails for being slow.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import yaml
from _measure import measure, table
from PIL import Image

from finecal import paths
from finecal.datasets import image_folder
from finecal.datasets._image_domains import places_of
from finecal.io.contents import RACY, content_hashes

REPOSITORY = Path(__file__).resolve().parents[1]
CLASSES = 100
OPTIONS = {"source": "source", "target": "target", "size": 32}
Times = list[tuple[float, float]]


def write(files: int, size: int, checkpoint: int) -> None:
    """Write the files, and a source of two real images per class; return once they are old enough to be noted."""
    for name in map(str, range(CLASSES)):
        for folder in ("source", "target"):
            Path(folder, name).mkdir(parents=True)
        for i in range(2):
            Image.new("L", (16, 16), i).save(Path("source", name, f"{i}.png"))
    for i in range(files):
        Path("target", str(i % CLASSES), f"{i}.jpg").write_bytes(os.urandom(size))
    Path("model.pth").write_bytes(os.urandom(checkpoint * 10**6))
    time.sleep(1.1 * RACY / 1e9)


def write_studies() -> None:
    common = {"extends": "digits", "splits": {"half0": {"kind": "random", "fraction": 0.5, "seed": 0}}}
    own = {
        "datasets": {"mine": {"source": "image_folder", "options": OPTIONS}},
        "tasks": {"mine": ["source-target"]},
    }
    for name, study in (("own", {**common, **own}), ("other", common)):
        Path(f"{name}.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    Path("config.yaml").write_text(yaml.safe_dump({"studies": ["own.yaml"], "device": "cpu"}))


def list_only() -> None:
    place, _ = places_of("target", image_folder.Options.model_validate(OPTIONS))
    for row in place.rows():
        row.file.stat()


def look() -> None:
    image_folder.decisive_options("target", image_folder.Options.model_validate(OPTIONS))


def look_at_checkpoint() -> None:
    content_hashes(["model.pth"], "model.pth")


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Return wall seconds, and CPU seconds of all threads."""
    start, before = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - start, time.process_time() - before


def planned(study: str) -> tuple[float, float]:
    options = ["--dry-run", "--quiet", "--cores", "2", "--snakefile", str(REPOSITORY / "Snakefile")]
    command = [sys.executable, "-m", "snakemake", *options, "--config", f"studies=[{study}.yaml]"]
    found = measure(command)
    return found.seconds, found.cpu


def one_repeat(found: dict[str, Times]) -> None:
    shutil.rmtree(paths.CONTENTS, ignore_errors=True)
    for name, action in (
        ("list only", list_only),
        ("first look", look),
        ("second look", look),
        ("first look at the checkpoint", look_at_checkpoint),
        ("second look at the checkpoint", look_at_checkpoint),
    ):
        found.setdefault(name, []).append(timed(action))
    found.setdefault("planning", []).append(planned("own"))
    found.setdefault("planning without own files", []).append(planned("other"))


def processor() -> str:
    with suppress(OSError):  # there on Linux alone
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to compare files by their bytes.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=12_000, help="of each file")
    parser.add_argument("--checkpoint", type=int, default=1_000, help="its size in MB")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few files, to see that it runs")
    args = parser.parse_args()
    if args.quick:
        args.files, args.checkpoint, args.repeats = 400, 1, 1
    found: dict[str, Times] = {}
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        write(args.files, args.bytes, args.checkpoint)
        write_studies()
        for _ in range(args.repeats):
            one_repeat(found)
        note = max(file.stat().st_size for file in Path(paths.CONTENTS).iterdir()) / 2**20
        os.chdir(REPOSITORY)
    print(f"`{' '.join(['benchmarks/contents.py', *sys.argv[1:]])}` on {os.cpu_count()} cores ({processor()}):")
    print(f"{args.files:,} files of {args.bytes:,} bytes, a checkpoint of {args.checkpoint:,} MB; ", end="")
    print(f"the note of the folder has {note:.1f} MiB; median of {args.repeats} interleaved repeats\n")
    rows = [[name, *(f"{median(part):.2f}" for part in zip(*times, strict=True))] for name, times in found.items()]
    print(table(("what", "wall (s)", "CPU (s)"), rows))


if __name__ == "__main__":
    main()
