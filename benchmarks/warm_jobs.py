"""What does a light job cost beyond its computation, as a fork of the warm process and by itself?

    uv run python benchmarks/warm_jobs.py [--repeats 5] [--jobs 8] [--quick]

The jobs that follow a training of the embedded study, each in three ways that take turns: as a function of a process
that has done the same before (its computation); as `finecal VERB …` with the warm process; and without it. CPU seconds
are those of all processes of a job: shell, client and fork. Then the same light job several times at once: the memory
of all processes together, pages that they share being counted once (the sum of their proportional set sizes).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from statistics import median

import _measure
import psutil
import yaml
from study import REPOSITORY, SMALL, commands, snakemake, write_folder

from finecal.warm.start import environment_of_jobs, started

VERBS = ("update-similarity", "extract", "calibrate", "evaluate", "gamma-draws")


def child() -> None:
    """Run each command of commands.json twice; write the CPU seconds of the second times."""
    from finecal.cli import parser, stage_commands
    from finecal.plan.plan import Plan

    plan = cache(lambda *names: Plan(names))
    stage_commands.selected_plan = lambda given: plan(*given.study)
    taken = []
    for command in json.loads(Path("commands.json").read_text()):
        for _ in range(2):
            start = time.process_time()
            parser.main(command)
            seconds = time.process_time() - start
        taken.append(seconds)
    Path("taken.json").write_text(json.dumps(taken))


@contextmanager
def warm(environment: dict[str, str], verbs: Sequence[str]) -> Iterator[tuple[dict[str, str], psutil.Process]]:
    """The environment of jobs, and the warm process when it has imported all that they need."""
    before = set(psutil.Process().children())
    with started([verb.replace("-", "_") for verb in verbs], environment) as changed:
        (server,) = set(psutil.Process().children()) - before
        idle = 0
        while idle < 5:
            spent = of_forks(server)
            time.sleep(0.2)
            idle = idle + 1 if of_forks(server) == spent else 0
        yield changed, server


def of_forks(server: psutil.Process) -> float:
    """CPU seconds of the jobs that the warm process, and its second one for torch, have forked and that have ended."""
    times = [process.cpu_times() for process in (server, *server.children())]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


def as_job(words: list[str], folder: Path, environment: dict[str, str], server: psutil.Process | None) -> float:
    """CPU seconds of a command started by a shell, as Snakemake does."""
    before = 0.0 if server is None else of_forks(server)
    command = ["bash", "-c", 'exec finecal "$@" > job.log 2>&1', "bash", *words]
    # os.wait4 counts what the shell has become; a fork is a child of the warm process.
    process = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit((folder / "job.log").read_text())
    time.sleep(0.05)  # until the warm process has waited for the fork
    return usage.ru_utime + usage.ru_stime + (0.0 if server is None else of_forks(server) - before)


def memory_of(words: list[str], number: int, folder: Path, environment: dict[str, str]) -> float:
    """MiB of all processes together at their peak, while a command runs several times at once."""
    me = psutil.Process()
    jobs = [
        subprocess.Popen(["finecal", *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        for _ in range(number)
    ]
    peak = 0
    while any(job.poll() is None for job in jobs):
        total = 0
        for process in me.children(recursive=True):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        peak = max(peak, total)
    return peak / _measure.MIB


def main() -> None:
    parser = argparse.ArgumentParser(description="What a light job costs beyond its computation.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=8, help="at once, for the memory")
    parser.add_argument("--quick", action="store_true", help="one repeat, two jobs at once")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child()
        return
    if args.quick:
        args.repeats, args.jobs = 1, 2

    with tempfile.TemporaryDirectory() as temporary:
        given = yaml.safe_load((REPOSITORY / "workflow/studies/digits.yaml").read_text("utf-8"))
        folder = write_folder(Path(temporary) / "study", {**given, **SMALL})
        planned = commands(folder, "all")
        jobs = [next(one for one in planned if one[0] == verb) for verb in VERBS]
        _measure.measure(snakemake(REPOSITORY, "--cores", "2", "evaluated", "gamma_data", "figure6"), folder)
        (folder / "commands.json").write_text(json.dumps(jobs))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        alone = {**environment_of_jobs(), "PATH": path}
        taken: dict[str, dict[str, list[float]]] = {
            verb: {"computation": [], "warm": [], "alone": []} for verb in VERBS
        }
        with warm(alone, VERBS) as (environment, server):
            for _ in range(args.repeats):
                _measure.measure([sys.executable, __file__, "--child"], folder, alone)
                for words, seconds in zip(jobs, json.loads((folder / "taken.json").read_text()), strict=True):
                    taken[words[0]]["computation"].append(seconds)
                    taken[words[0]]["warm"].append(as_job(words, folder, environment, server))
                    taken[words[0]]["alone"].append(as_job(words, folder, alone, None))
        words = jobs[VERBS.index("evaluate")]
        with warm(alone, ["evaluate"]) as (environment, _):
            memory = {n: memory_of(words, n, folder, environment) for n in (1, args.jobs)}
        by_itself = {n: memory_of(words, n, folder, alone) for n in (1, args.jobs)}

    print(f"CPU seconds, median of {args.repeats} interleaved repeats.\n")
    rows = []
    for verb, found in taken.items():
        own, forked, cold = (median(found[name]) for name in ("computation", "warm", "alone"))
        rows.append([verb, f"{own:.3f}", f"{forked:.3f}", f"{forked - own:.3f}", f"{cold:.3f}", f"{cold - own:.3f}"])
    print(_measure.table(["job", "computation", "as a fork", "· beyond", "by itself", "· beyond"], rows))
    print(f"\nMemory of `evaluate`, MiB of all processes together, and for each further job of {args.jobs}.\n")
    rows = [
        [name, f"{found[1]:.0f}", f"{found[args.jobs]:.0f}", f"{(found[args.jobs] - found[1]) / (args.jobs - 1):.1f}"]
        for name, found in (("forks and the warm process", memory), ("by themselves", by_itself))
    ]
    print(_measure.table(["", "1 job", f"{args.jobs} jobs", "each further one"], rows))


if __name__ == "__main__":
    main()
