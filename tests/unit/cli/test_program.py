"""`finecal` as a program: a job ends when its work is done, and nothing of it is lost."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from finecal.cli import program

# In place of a verb: what a job may leave to the end of its process. Torch need not really be there.
JOB = """
import atexit, ctypes, sys, threading, time
from pathlib import Path
from finecal.cli import program

class Torn:
    def __del__(self, write=sys.__stderr__.write):
        write("torn down")

def work():
    global torn, kept
    sys.modules["torch"] = sys
    torn = Torn()
    {}

program.main = work
program.run()
"""


def run(work: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The end of a process in which a verb does this work."""
    command = [sys.executable, "-c", JOB.format(work.replace("\n", "\n    "))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("sys.stdout.write('said')", id="output"),
        pytest.param("ctypes.CDLL(None).printf(b'said')", id="output of a library"),
        pytest.param("atexit.register(print, 'said', end='')", id="atexit"),
        pytest.param(
            "threading.Thread(target=lambda: (time.sleep(0.3), sys.stdout.write('said'))).start()", id="a thread"
        ),
        pytest.param(
            "from concurrent.futures import ThreadPoolExecutor\n"
            "kept = ThreadPoolExecutor(1)\nkept.submit(lambda: (time.sleep(0.3), sys.stdout.write('said')))",
            id="a pool of threads",
        ),
    ],
)
def test_the_end_leaves_nothing_undone(work: str, tmp_path: Path) -> None:
    done = run(work, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "said", "")


def test_an_open_file_is_written(tmp_path: Path) -> None:
    """As a module of the user's own may have it."""
    done = run("kept = Path('log').open('w')\nkept.write('last line')", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "log").read_text() == "last line"


def test_without_torch_a_process_ends_as_any_other(tmp_path: Path) -> None:
    assert run("del sys.modules['torch']", tmp_path).stderr == "torn down"


@pytest.mark.parametrize(("work", "status"), [("raise ValueError", 1), ("sys.exit(143)", 143), ("sys.exit(2)", 2)])
def test_an_error_ends_as_any_other(work: str, status: int, tmp_path: Path) -> None:
    done = run(work, tmp_path)
    assert done.returncode == status
    assert done.stderr.endswith("torn down")


def test_the_command_is_this_program() -> None:
    (command,) = entry_points(group="console_scripts", name="finecal")
    assert command.load() is program.run
