"""Does a study that is killed again and again end as one that was never disturbed, to the bit?

    uv run python benchmarks/kills.py [--study digits] [--kills 60] [--seed 0] [--cores 2] [--quick]

The study is made twice: undisturbed, and with kills (SIGKILL). First all of it is asked for again and again, and killed
at a random moment after its first job has begun: Snakemake with all its jobs, or Snakemake alone, whose jobs then go
on. Once half of the kills are spent or all is made, each further kill hits a job of the stage that was hit least: what
that job makes is removed, asked for, and killed at a random moment of its work. At last the study is finished, and
every result compared: weights, tables, figures. Only what says how long something took may differ.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import yaml
from _measure import table

from finecal.plan.jobs import Job, jobs
from finecal.plan.plan import Plan

SNAKEFILE = Path(__file__).parents[1] / "Snakefile"
SECONDS = "seconds"  # the column that says how long something took
# They show what jobs took, or hold a table that does.
OF_COST = ("cost", "cost_by_stage", "report")


@dataclass
class Kills:
    """What was killed.

    Attributes
    ----------
    left
        Kills that are still to come.
    hit
        Stage → how many of its jobs were at work at a kill.
    removed
        What was removed: where all that is made from it is there, nothing but its name asks for it.
    """

    folder: Path
    study: str
    cores: int
    left: int
    random: random.Random
    hit: Counter[str]
    removed: set[str] = field(default_factory=set)

    def all_of_it(self) -> None:
        """Ask for everything and kill it, until half of the kills are spent or all is made."""
        until = self.left // 2
        while self.left > until:
            process = self._start()
            begun = self._wait_for_begun(process, jobs(Plan([self.study])))
            time.sleep(self.random.expovariate(1 / 4))
            if process.poll() is not None:
                return
            self._count([job for job in begun or [] if not _is_done(self.folder, job)])
            self._kill(process, alone=self.random.random() < 1 / 3)

    def one_by_one(self) -> None:
        """Kill a job of the stage that was hit least, until no kill is left."""
        work = [job for job in jobs(Plan([self.study])) if job.stage != "download"]
        while self.left:
            least = min(self.hit[job.stage] for job in work)
            job = self.random.choice([one for one in work if self.hit[one.stage] == least])
            for output in job.outputs:
                (self.folder / output).unlink(missing_ok=True)
            self.removed.add(str(job.result))
            process = self._start(str(job.result))
            if self._wait_for_begun(process, [job]) is None:
                continue
            time.sleep(self.random.uniform(0, 1.5))
            if process.poll() is None:
                self._count([job])
                self._kill(process, alone=False)

    def finish(self) -> None:
        """Make what is missing."""
        process = self._start("all", *sorted(self.removed))
        if process.wait():
            sys.exit((self.folder / "snakemake.log").read_text("utf-8")[-3000:])

    def _start(self, *targets: str) -> subprocess.Popen[bytes]:
        command = [
            "snakemake",
            *targets,
            "--snakefile",
            SNAKEFILE,
            "--cores",
            str(self.cores),
            "--directory",
            self.folder,
        ]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with (self.folder / "snakemake.log").open("wb") as log:
            return subprocess.Popen(
                command, env={**os.environ, "PATH": path}, stdout=log, stderr=log, start_new_session=True
            )

    def _wait_for_begun(self, process: subprocess.Popen[bytes], some: tuple[Job, ...] | list[Job]) -> list[Job] | None:
        """Wait until one of some jobs has begun since now; None if Snakemake has ended before."""
        now = time.time()
        while process.poll() is None:
            if any(_modified(self.folder / job.log) >= now for job in some):
                return [job for job in some if _modified(self.folder / job.log) >= now]
            time.sleep(0.02)
        return None

    def _count(self, begun: list[Job]) -> None:
        self.left -= 1
        for job in begun:
            self.hit[job.stage] += 1

    def _kill(self, process: subprocess.Popen[bytes], *, alone: bool) -> None:
        family = [psutil.Process(process.pid)]
        if not alone:
            family += family[0].children(recursive=True)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()


def _is_done(folder: Path, job: Job) -> bool:
    return all((folder / output).exists() for output in job.outputs)


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def differences(one: Path, other: Path) -> tuple[int, list[str]]:
    """Compare the results in two folders; how many files were compared, and those that differ."""
    names = [{file.relative_to(folder) for file in folder.rglob("*") if file.is_file()} for folder in (one, other)]
    different = [str(file) for file in names[0] ^ names[1]]
    compared = [file for file in names[0] & names[1] if file.stem not in OF_COST]
    different += [str(file) for file in compared if not _are_same(one / file, other / file)]
    return len(compared), sorted(different)


def _are_same(one: Path, other: Path) -> bool:
    if one.suffix == ".parquet":
        tables = [pq.read_table(file).replace_schema_metadata() for file in (one, other)]
        without = [table.drop_columns([SECONDS]) if SECONDS in table.column_names else table for table in tables]
        return bool(without[0].equals(without[1])) or without[0].to_pandas().equals(without[1].to_pandas())
    return one.read_bytes() == other.read_bytes()


def make_folder(place: Path, study: str) -> Path:
    """Make a folder with a configuration that saves states every second."""
    place.mkdir()
    settings = {"studies": [study], "device": "cpu", "state_interval": 1}
    (place / "config.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    return place


def main() -> None:
    """Run the study undisturbed and with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--study", default="digits")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="4 kills of small/digits, to see that it works")
    given = parser.parse_args()
    if given.quick:
        given.study, given.kills = "small/digits", 4
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = Path(tempfile.mkdtemp(prefix="finecal-kills-"))
    try:
        play(given, place)
    finally:
        shutil.rmtree(place)


def processor() -> str:
    """The name of the processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def play(given: argparse.Namespace, place: Path) -> None:
    """Run the study twice in a folder; exit with 1 if the results differ."""
    chosen = random.Random(given.seed)
    undisturbed = Kills(make_folder(place / "undisturbed", given.study), given.study, given.cores, 0, chosen, Counter())
    undisturbed.finish()
    killed = Kills(make_folder(place / "killed", given.study), given.study, given.cores, given.kills, chosen, Counter())
    killed.all_of_it()
    in_all = given.kills - killed.left
    killed.one_by_one()
    killed.finish()
    files, different = differences(undisturbed.folder / "results", killed.folder / "results")
    left = [file for file in killed.folder.rglob("*") if file.name.endswith(".part") or file.name == "state"]
    print(f"{processor()}, {given.cores} cores, study {given.study}, seed {given.seed}\n")
    rows = [[stage.replace("_", " "), str(killed.hit[stage])] for stage in sorted(killed.hit)]
    print(table(["stage", "jobs at work when it was killed"], rows))
    print(f"\n{given.kills} kills, {in_all} of them of the whole study; {len(killed.hit)} stages.")
    print(f"{files} files of results, {len(different)} of them differ; {len(left)} files are left over.")
    if different or left:
        sys.exit("\n".join([*different, *map(str, left)]))


if __name__ == "__main__":
    main()
