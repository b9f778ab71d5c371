"""What a job notes of itself: all of its time and that of its children, its peak, also the last, what is its own."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake.benchmark import BenchmarkRecord

from finecal.errors import UserError
from finecal.runtime import usage
from finecal.runtime.usage import noted

MIB = 2**20
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory by the kernel's files on a process")
# Functions that the scripts of these tests call.
GIVEN = f"""
import os, subprocess, sys, time
from pathlib import Path
from finecal.runtime.usage import noted

NOTE = Path("note.tsv")

def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass

def fill(mib):
    return bytearray(b"1") * (mib * {MIB})
"""


def run(script: str, folder: Path) -> tuple[float, float]:
    """Run a script in a process of its own: its CPU seconds and those of its children, as the system tells a parent."""
    process = subprocess.Popen([sys.executable, "-c", GIVEN + script], cwd=folder)
    _, status, took = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return took.ru_utime, took.ru_stime


def note_of(folder: Path) -> dict[str, float]:
    """The numbers that a job has noted."""
    with (folder / "note.tsv").open(newline="") as file:
        (found,) = csv.DictReader(file, delimiter="\t")
    return {name: math.nan if text == "NA" else float(text) for name, text in found.items() if name != "h:m:s"}


def test_all_time_counts(tmp_path: Path) -> None:
    """That of other threads, of a child that has ended, and of one that has not."""
    script = """
import threading
with noted(NOTE):
    subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"], check=True)
    alive = subprocess.Popen(
        [sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass\\nprint(1, flush=True)\\ninput()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    alive.stdout.readline()
    thread = threading.Thread(target=burn, args=(0.5,))
    thread.start()
    thread.join()
    burn(0.5)
    time.sleep(0.5)
alive.communicate(b"\\n")
"""
    expected = sum(run(script, tmp_path))
    found = note_of(tmp_path)
    assert expected > 2
    assert found["cpu_time"] == pytest.approx(expected, rel=0.04)
    assert found["s"] > 2.5
    assert found["mean_load"] == pytest.approx(100 * found["cpu_time"] / found["s"], rel=0.01)


def test_time_counts_from_the_start_of_the_process(tmp_path: Path) -> None:
    run("burn(0.5)\ntime.sleep(0.5)\nwith noted(NOTE): pass", tmp_path)
    found = note_of(tmp_path)
    assert 0.5 < found["cpu_time"] < found["s"] - 0.45


@ON_LINUX
def test_a_peak_of_the_last_moment_is_seen(tmp_path: Path) -> None:
    """And the memory of the process that has started the job is not."""
    job = GIVEN + "with noted(NOTE):\n    time.sleep(0.1)\n    large = fill(200)\n    del large"
    run(f"large = fill(350)\nsubprocess.run([sys.executable, '-c', {job!r}], check=True)", tmp_path)
    found = note_of(tmp_path)
    assert 200 < found["max_rss"] < 260
    assert 200 < found["max_uss"] <= found["max_rss"]
    assert found["max_vms"] > found["max_rss"]


@ON_LINUX
def test_a_child_larger_than_the_job_is_the_peak(tmp_path: Path) -> None:
    child = GIVEN + "fill(300)"
    run(f"with noted(NOTE): subprocess.run([sys.executable, '-c', {child!r}], check=True)", tmp_path)
    assert 300 < note_of(tmp_path)["max_rss"] < 360


# A warm process, and its fork as a job; what runs in the fork is put in.
FORK = """
def wait(seconds):
    burn(seconds)
    time.sleep(seconds)

shared = fill(300)
subprocess.run([sys.executable, "-c", "bytearray(b'1') * (450 * 2**20)"], check=True)
wait(0.6)
job = os.fork()
if job == 0:
    began = time.monotonic()
    with noted(NOTE):
        {}
        Path("took").write_text(str(time.monotonic() - began))
    os._exit(0)
assert os.waitpid(job, 0)[1] == 0
"""


@ON_LINUX
def test_a_fork_counts_from_the_fork_on(tmp_path: Path) -> None:
    """Neither the time of the process that it is a fork of, nor its children, nor its memory are the job's own."""
    run(FORK.format("wait(0.3)"), tmp_path)
    found = note_of(tmp_path)
    assert found["cpu_time"] == pytest.approx(0.3, abs=0.1)
    assert found["s"] == pytest.approx(float((tmp_path / "took").read_text()), abs=0.3)
    assert 300 < found["max_rss"] < 360
    assert found["max_uss"] < 20


@ON_LINUX
@pytest.mark.parametrize(
    "work",
    [
        pytest.param("own = fill(100); del own", id="given back"),
        pytest.param("own = fill(100)", id="kept"),
        pytest.param(f"for at in range(0, 100 * {MIB}, 4096): shared[at] = 2", id="written to what was shared"),
    ],
)
def test_memory_of_a_fork(work: str, tmp_path: Path) -> None:
    """What it takes is its own, also after it was given back, and so is what it changes."""
    run(FORK.format(work), tmp_path)
    found = note_of(tmp_path)
    assert 100 <= found["max_uss"] < 120
    assert found["max_rss"] > (300 if "shared[" in work else 400)


def test_columns_are_those_of_snakemake(tmp_path: Path) -> None:
    with noted(tmp_path / "below/note.tsv"):
        pass
    (file,) = (tmp_path / "below").iterdir()  # no part is left
    assert file.name == "note.tsv"
    names, values = (line.split("\t") for line in file.read_text().splitlines())
    assert names == BenchmarkRecord.get_header()
    assert len(values) == len(names)


@pytest.mark.parametrize("seconds", [0.4, 59.99, 3661, 90061, 200000])
def test_hours_are_written_as_snakemake_does(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "wall_seconds", lambda: seconds)
    record = BenchmarkRecord(running_time=seconds)
    assert usage.measure()["h:m:s"] == record.get_benchmarks()[1]


def test_where_the_kernel_has_no_files_on_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "OWN", tmp_path / "nowhere")
    monkeypatch.setattr(usage, "start_tick", lambda _: None)
    found = usage.measure()
    missing = ("max_vms", "max_uss", "max_pss", "io_in", "io_out")
    assert [name for name, text in found.items() if text == "NA"] == list(missing)
    assert float(found["max_rss"]) > 50
    assert 0 < float(found["s"]) < 3600
    assert math.isnan(usage.own_memory_mib())


def test_input_and_output_are_in_mib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "OWN", tmp_path)
    (tmp_path / "io").write_text(f"rchar: 1\nread_bytes: {5 * MIB}\nwrite_bytes: {MIB // 2}\n")
    assert (usage.measure()["io_in"], usage.measure()["io_out"]) == ("5.00", "0.50")


def fail() -> None:
    raise ValueError


@pytest.mark.parametrize("end", [fail, lambda: sys.exit(143)])
def test_a_failed_job_leaves_no_note(end: Callable[[], None], tmp_path: Path) -> None:
    """Not that of an earlier attempt, either: it would be taken for that of the next result."""
    (tmp_path / "note.tsv").write_text("of an earlier attempt")
    there = []

    def attempt() -> None:
        with noted(tmp_path / "note.tsv"):
            there.extend(tmp_path.iterdir())
            end()

    with pytest.raises((ValueError, SystemExit)):
        attempt()
    assert there == list(tmp_path.iterdir()) == []


def test_a_note_that_cannot_be_written_does_not_fail_the_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with noted(tmp_path / "folder/note.tsv"):
        (tmp_path / "folder").write_text("a file")
    message = capsys.readouterr().err
    assert message.startswith("finecal: what this job took is not noted, its results are complete: ")
    assert "note.tsv" in message
    assert message.count("\n") == 1


def test_an_earlier_note_that_stays_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "note.tsv").mkdir()
    with pytest.raises(UserError, match="cannot be removed"), noted(tmp_path / "note.tsv"):
        pytest.fail("the work has begun")
