"""Jobs as forks of a warm process: what they say and do is what a process of their own says and does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

import finecal
from finecal.warm.client import decode, encode, surroundings
from finecal.warm.libraries import Libraries, modules
from finecal.warm.start import started

BIN = Path(sys.executable).parent
PACKAGE = Path(finecal.__file__).parent
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(Path(finecal.__file__).parents[1]),
}
# Stands in for `finecal.cli`: what it prints of its process, and ways to end.
ACTS = """
import atexit, os, signal, sys, threading, time
from pathlib import Path

def main():
    act, *rest = sys.argv[1:]
    Path(f"{act}.pid").write_text(str(os.getpid()))
    if act == "tell":
        print(os.getcwd(), oct(os.umask(0)), sys.argv, os.environ["TMPDIR"], sys.stdin.read(), flush=True)
        print("error", file=sys.stderr)
    elif act in ("evaluate", "finetune"):
        print(os.getppid(), "torch" in sys.modules)
    elif act == "status":
        sys.exit(int(rest[0]))
    elif act == "words":
        sys.exit("a reason")
    elif act == "raise":
        raise ValueError("no such thing")
    elif act == "by":
        os.kill(os.getpid(), int(rest[0]))
    elif act == "threads":
        atexit.register(print, "at exit")
        global kept
        kept = open("kept", "w")
        kept.write("last line")
        threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
    elif act == "noted":
        def note(number, _frame):
            os.write(1, f"{signal.Signals(number).name}\\n".encode())  # one may come while another is written
            if number == signal.SIGTERM:
                sys.exit(7)
        for name in ("SIGTERM", "SIGURG", "SIGUSR1", "SIGINT", "SIGHUP"):
            signal.signal(getattr(signal, name), note)
        Path("ready").touch()
        while True:
            time.sleep(0.05)
    elif act == "sleep":
        Path("ready").touch()
        time.sleep(60)
"""


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def acting(folder: Path) -> dict[str, str]:
    """An environment in which the command line of finecal is ACTS; the rest of it is as it is."""
    package = folder / "source" / "finecal"
    package.mkdir(parents=True)
    for part in Path(finecal.__file__).parent.iterdir():
        if part.name not in ("cli", "__pycache__"):
            (package / part.name).symlink_to(part)
    (package / "cli").mkdir()
    (package / "cli" / "__init__.py").write_text(ACTS)
    (package / "cli" / "program.py").write_text("from finecal.cli import main as run\n")
    return {**ENVIRONMENT, "PYTHONPATH": str(package.parent), "TMPDIR": str(folder)}


@pytest.fixture
def warm(acting: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same with a warm process that has imported nothing large."""
    with started([], acting) as environment:
        assert environment["PATH"] != acting["PATH"]
        yield environment


def run(environment: dict[str, str], *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["finecal", *words], env=environment, input=said, capture_output=True, text=True, check=False)


def start(environment: dict[str, str], act: str) -> subprocess.Popen[str]:
    """A job that has got to where it waits."""
    process = subprocess.Popen(["finecal", act], env=environment, stdout=subprocess.PIPE, text=True)
    wait_for(Path("ready").exists)
    return process


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def fork_of(act: str) -> psutil.Process:
    return psutil.Process(int(Path(f"{act}.pid").read_text()))


@pytest.mark.parametrize(
    "words",
    [
        ["tell", "a b", ""],
        ["status", "0"],
        ["status", "3"],
        ["words"],
        ["raise"],
        ["threads"],
        ["by", "9"],
        ["by", "2"],
    ],
    ids=" ".join,
)
def test_as_a_process_of_its_own(acting: dict[str, str], warm: dict[str, str], words: list[str]) -> None:
    cold_program = "from finecal.cli import main; main()"
    cold = subprocess.run(
        [sys.executable, "-c", cold_program, *words],
        env=acting,
        input="in",
        capture_output=True,
        text=True,
        check=False,
    )
    found = run(warm, *words, said="in")
    assert found.returncode == cold.returncode
    assert found.stdout.replace("'finecal'", "'-c'") == cold.stdout
    assert found.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]
    assert words != ["threads"] or Path("kept").read_text() == "last line"


def test_it_is_a_fork(warm: dict[str, str]) -> None:
    job = start(warm, "sleep")
    server = fork_of("sleep").parent()
    assert server is not None
    assert "finecal.warm.server" in server.cmdline()
    assert fork_of("sleep").name() == "finecal sleep"
    job.kill()
    job.wait()


def test_passes_signals_on(warm: dict[str, str]) -> None:
    job = start(warm, "noted")
    assert job.stdout is not None
    for name in ("SIGURG", "SIGUSR1", "SIGINT", "SIGHUP", "SIGTERM"):
        job.send_signal(getattr(signal, name))
        assert job.stdout.readline() == f"{name}\n"
    assert job.wait(30) == 7


def test_stops_and_goes_on(warm: dict[str, str]) -> None:
    job = start(warm, "sleep")
    job.send_signal(signal.SIGTSTP)
    wait_for(lambda: fork_of("sleep").status() == psutil.STATUS_STOPPED)
    wait_for(lambda: psutil.Process(job.pid).status() == psutil.STATUS_STOPPED)
    job.send_signal(signal.SIGCONT)
    wait_for(lambda: fork_of("sleep").status() == psutil.STATUS_SLEEPING)
    job.terminate()
    assert job.wait(30) == -signal.SIGTERM


def test_a_fork_ends_with_its_client(warm: dict[str, str]) -> None:
    job = start(warm, "sleep")
    fork = fork_of("sleep")
    job.kill()
    wait_for(lambda: not fork.is_running() or fork.status() == psutil.STATUS_ZOMBIE)
    job.wait()
    assert run(warm, "status", "4").returncode == 4  # the others are served


def test_a_client_ends_with_its_fork(warm: dict[str, str]) -> None:
    job = start(warm, "sleep")
    fork_of("sleep").kill()
    assert job.wait(30) == -signal.SIGKILL


def test_the_warm_process_is_killed(warm: dict[str, str]) -> None:
    """Jobs that run go on and end as they would; later ones run by themselves."""
    job = start(warm, "noted")
    server = fork_of("noted").parent()
    assert server is not None
    server.kill()
    wait_for(lambda: fork_of("noted").ppid() != server.pid)
    job.terminate()
    assert job.wait(30) == 7
    alone = subprocess.Popen(["finecal", "status", "5"], env=warm)
    assert alone.wait(60) == 5
    assert int(Path("status.pid").read_text()) == alone.pid


def test_the_warm_process_stays_when_all_are_told_to_end(warm: dict[str, str]) -> None:
    """As SLURM tells all processes of a job; it is there to say how its forks end, and forks are not deaf."""
    job = start(warm, "noted")
    server = fork_of("noted").parent()
    assert server is not None
    for process in (server, fork_of("noted"), psutil.Process(job.pid)):
        process.send_signal(signal.SIGTERM)
    assert job.wait(30) == 7
    assert server.is_running()
    Path("ready").unlink()
    by_signal = start(warm, "sleep")
    fork_of("sleep").terminate()
    assert by_signal.wait(30) == -signal.SIGTERM


def test_never_outlives_who_started_it(acting: dict[str, str], folder: Path) -> None:
    program = (
        "import os, subprocess, time\n"
        "from finecal.warm.start import started\n"
        "with started([], dict(os.environ)) as environment:\n"
        "    subprocess.run(['finecal', 'status', '0'], env=environment, check=True)\n"
        "    job = subprocess.Popen(['finecal', 'sleep'], env=environment)\n"
        "    time.sleep(60)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], env=acting)
    wait_for(Path("ready").exists)
    server = fork_of("sleep").parent()
    assert server is not None
    starter.kill()
    starter.wait()
    wait_for(lambda: has_ended(server))
    assert fork_of("sleep").is_running()  # as a job goes on whose Snakemake is killed
    assert not list(folder.glob("finecal-warm-*"))
    fork_of("sleep").kill()


def test_jobs_with_torch_are_forks_of_a_second_process(
    acting: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """The first has no torch, which makes its forks cheap; where either is killed, jobs run by themselves."""

    def parent(environment: dict[str, str], verb: str) -> tuple[int, str]:
        process, torch = run(environment, verb).stdout.split()
        return int(process), torch

    alone = (os.getpid(), "False")
    with started(["evaluate", "finetune"], acting) as environment:
        first, torch = parent(environment, "evaluate")
        assert torch == "False"
        number, torch = parent(environment, "finetune")
        assert torch == "True"
        second = psutil.Process(number)
        assert second.ppid() == first
        psutil.Process(first).kill()
        wait_for(lambda: has_ended(second))
        assert parent(environment, "finetune") == parent(environment, "evaluate") == alone
    said = "finecal: there is no warm process any more, each job starts by itself: it was ended\n"
    assert capfd.readouterr().err == said
    with started(["evaluate", "finetune"], acting) as environment:
        first, _ = parent(environment, "evaluate")
        for second in psutil.Process(first).children():
            second.kill()
            wait_for(partial(has_ended, second))
        assert parent(environment, "finetune") == parent(environment, "finetune") == alone
        assert parent(environment, "evaluate")[0] == first
    said = capfd.readouterr().err
    assert said.startswith("finecal: jobs with torch start by themselves from now on: the process that has it is gone")
    assert said.count("\n") == 1
    assert not psutil.pid_exists(first)


def test_other_settings_have_a_process_of_their_own(warm: dict[str, str]) -> None:
    for changed in ({"OMP_NUM_THREADS": "7"}, {"HF_HOME": "elsewhere"}, {"CUDA_VISIBLE_DEVICES": "1"}):
        job = start({**warm, **changed}, "sleep")
        assert fork_of("sleep").pid == job.pid
        job.kill()
        job.wait()
        Path("ready").unlink()
    job = start({**warm, "TMPDIR": "/", "FINECAL_MEMORY": "4"}, "sleep")
    assert fork_of("sleep").pid != job.pid
    job.kill()
    job.wait()


def test_limits_and_priority_are_those_of_the_command(warm: dict[str, str], folder: Path) -> None:
    """A shell sets them for what it starts; a fork would have those of the warm process."""
    limited = "ulimit -f 8; exec nice -n 3 finecal sleep"
    job = subprocess.Popen(["sh", "-c", limited], env=warm)
    wait_for(Path("ready").exists)
    process = fork_of("sleep")
    assert process.pid == job.pid
    assert process.nice() == psutil.Process().nice() + 3
    assert process.rlimit(psutil.RLIMIT_FSIZE)[0] == 8 * 512
    job.kill()
    job.wait()
    assert run(warm, "status", "4").returncode == 4


def test_a_command_that_is_given_another_open_file_has_it(warm: dict[str, str], folder: Path) -> None:
    """As bash does for `<(…)`; Python, and so Snakemake, leaves none open for what it starts."""
    job = subprocess.Popen(["sh", "-c", "finecal sleep 5< /dev/null; :"], env=warm, pass_fds=())
    wait_for(Path("ready").exists)
    process = fork_of("sleep")
    assert process.ppid() == job.pid
    assert (Path("/proc") / str(process.pid) / "fd" / "5").exists()
    process.kill()
    job.wait()


def test_changed_code_is_seen(warm: dict[str, str], folder: Path) -> None:
    assert run(warm, "status", "3").returncode == 3
    code = folder / "source" / "finecal" / "cli" / "__init__.py"
    code.write_text(ACTS.replace("int(rest[0])", "int(rest[0]) + 1", 1))
    assert run(warm, "status", "3").returncode == 4


def test_has_one_thread_and_no_gpu(folder: Path) -> None:
    """With all that jobs import: threads do not survive a fork, neither does what a GPU's driver keeps.

    pyarrow's memory allocator, jemalloc, has a thread for upkeep and gives each fork one of its own.
    """
    program = (
        "import os, sys\n"
        "from finecal.plan.stages import STAGES\n"
        "from finecal.warm.libraries import Libraries, modules\n"
        "libraries = Libraries(list(STAGES))\n"
        "while not libraries.complete:\n"
        "    libraries.import_next()\n"
        "import torch\n"
        "names = [open(f'/proc/self/task/{task}/comm').read().strip() for task in os.listdir('/proc/self/task')]\n"
        "names.remove('jemalloc_bg_thd') if 'jemalloc_bg_thd' in names else None\n"
        "from finecal.models.timm_names import deprecations\n"
        "from finecal.registry.packages import packaged_plugins\n"
        "read = [function.cache_info().currsize for function in (deprecations, packaged_plugins)]\n"
        "print(len(names), torch.cuda.is_initialized(), 'timm' in sys.modules, all(read))\n"
    )
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False", "True", "True"]


def test_imports_what_is_needed_alone() -> None:
    assert "timm" in modules("finetune")
    assert "timm" not in modules("evaluate")
    assert "seaborn" in modules("figure")
    assert modules("no_stage") == []
    assert Libraries([]).complete
    assert not Libraries(["evaluate"]).complete


@pytest.mark.parametrize("stage", ["extract", "split", "update_similarity"])
def test_nothing_is_left_to_forks(stage: str) -> None:
    """What the functions of a job import of finecal is there before the fork; what no job of the stage needs is not."""
    program = f"""
import ast, sys
from pathlib import Path
from finecal.plan.stages import STAGES
from finecal.warm.libraries import Libraries
Libraries([]).import_for({stage!r})
files = ["cli/stage_commands.py", f"stages/{{STAGES[{stage!r}].module or {stage!r}}}.py"]
places = [place for file in files for place in ast.walk(ast.parse(Path({str(PACKAGE)!r}, file).read_text()))
          if isinstance(place, ast.FunctionDef) and place.name != "_interruptible"]  # of resumable ones
wanted = {{one.module for place in places for one in ast.walk(place) if isinstance(one, ast.ImportFrom)}}
print(len(wanted) > 5, sorted(wanted - sys.modules.keys()), "pandas" in sys.modules, "pyarrow.dataset" in sys.modules)
"""
    environment = {**ENVIRONMENT, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True [] False False"


def test_request() -> None:
    command = (b"/a b", 0o27, surroundings(), [b"export", b"", b"x=1\n"], {b"A": b"b=c", b"EMPTY": b""})
    assert decode(encode(*command)) == command


def test_no_warm_process_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another platform, another `finecal` than this Python's."""
    with started([], {**ENVIRONMENT, "PATH": "/nowhere"}) as environment:
        assert environment["PATH"] == "/nowhere"
    monkeypatch.setattr(sys, "platform", "darwin")
    with started([], ENVIRONMENT) as environment:
        assert environment == ENVIRONMENT
