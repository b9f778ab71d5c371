"""What is inherited from the environment breaks nothing: a test for each row of docs/environment.md."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from logits_cases import arrays

from finecal.cli import terminal
from finecal.errors import UserError
from finecal.io import provenance
from finecal.io.sharing import owner, share_with_group
from finecal.orchestration.slurm.commands import drop_options_of_user, run_command
from finecal.runtime.filesystem import filesystem_type
from finecal.runtime.scratch import scratch_folder
from finecal.training.state_folder import lock_state
from finecal.warm.freshness import changed_settings
from finecal.warm.start import THREAD_VARIABLES, environment_of_jobs

ROOT = Path(__file__).parents[2]
NOWHERE = "/proc/nowhere"  # cannot be made


def finecal(*words: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A verb in an environment; with `code`, after that."""
    program = ["-c", f"{code}\nfrom finecal.cli import main\nmain()"] if code else ["-m", "finecal.cli"]
    command = [sys.executable, *program, *words]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)


def snakemake(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "Snakefile"),
        "--config",
        "studies=toy",
        "warm=false",
    ]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_every_row_has_its_test() -> None:
    page = (ROOT / "docs" / "environment.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert all(named)
    assert {name for names in named for name in names} <= {name for name in globals() if name.startswith("test_")}


def test_mplbackend() -> None:
    assert environment_of_jobs()["MPLBACKEND"] == "agg"
    code = "import atexit, os; atexit.register(lambda: print(os.environ['MPLBACKEND']))"
    assert finecal("--version", code=code, MPLBACKEND="module://none").stdout.endswith("\nagg\n")


def test_omp_num_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    found = environment_of_jobs(3)
    assert {found[name] for name in THREAD_VARIABLES} == {"3"}
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= {*THREAD_VARIABLES}


def test_pythonpath(tmp_path: Path) -> None:
    """Another checkout goes before that of the Snakefile, and lacks something that its rules use."""
    other = tmp_path / "workflow" / "finecal"
    shutil.copytree(ROOT / "workflow" / "finecal", other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "orchestration" / "warm_jobs.py").write_text("")
    shutil.copy(ROOT / "config.yaml", tmp_path)
    done = snakemake(tmp_path, PYTHONPATH=str(other.parent))
    said = (
        f"finecal: {ROOT}/Snakefile: Python takes finecal's code from {other}, where orchestration/warm_jobs.py is not"
    )
    assert said in done.stderr
    assert "Error" not in done.stderr
    assert done.returncode == 2


def test_pythonwarnings() -> None:
    work = "lambda given: warnings.warn('old', stacklevel=2)"
    code = f"import finecal.cli.user_commands as u, warnings; u.do_list = {work}"
    done = finecal("list", "studies", code=code, PYTHONWARNINGS="error")
    assert "UserWarning: old" in done.stderr


def test_pythonoptimize() -> None:
    assert "What did fine-tuning damage" in finecal("--help", PYTHONOPTIMIZE="2").stdout
    assert finecal("list", "calibrators", PYTHONOPTIMIZE="2").stdout == finecal("list", "calibrators").stdout


def test_pythonhashseed() -> None:
    said = {finecal("list", "calibrators", PYTHONHASHSEED=seed).stdout for seed in ("0", "1")}
    assert len(said) == 1


def test_pythonstartup(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text("raise SystemExit(7)\n")
    assert finecal("--version", PYTHONSTARTUP=str(tmp_path / "start.py")).returncode == 0


def test_pythonioencoding() -> None:
    code = "import finecal.cli.user_commands as u; u.do_list = lambda given: print('\\u03b3 \\u2264 1')"
    posix = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for names in ({"PYTHONIOENCODING": "ascii"}, posix):
        assert finecal("list", "studies", code=code, **names).stdout == "gamma <= 1\n"


def test_columns() -> None:
    for columns in ("0", "1", "-5", "x", "10000"):
        said = finecal("diagnose", "--help", COLUMNS=columns, NO_COLOR="1", TERM="nonsense").stdout
        assert "--fine-tuning" in said
        assert "\x1b" not in said


def test_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", NOWHERE)
    with scratch_folder(tmp_path / "otherwise", 0) as folder:
        assert folder.is_dir()
    memory = Path("/dev/shm")
    if filesystem_type(memory) == "tmpfs":
        (tmp_path / "link").symlink_to(memory)
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setenv("TMPDIR", str(tmp_path / "link"))
        monkeypatch.chdir(tmp_path)
        with scratch_folder(Path("state/scratch"), 0) as folder:
            assert folder.parent == Path("state")


def test_home(tmp_path: Path) -> None:
    """A verb that draws and writes, without a home and without a folder for temporary files."""
    import numpy as np

    np.savez(tmp_path / "x.npz", **arrays())
    words = ("--directory", str(tmp_path), "x.npz", "--fine-tuning", "0,1,2", "--out", "out")
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TMPDIR"), NOWHERE)
    finecal("diagnose", *words, **nowhere)
    assert (tmp_path / "out" / "report.html").is_file()


def test_hf_home() -> None:
    assert changed_settings({b"HF_HOME": b"a"}, {b"HF_HOME": b"b"})
    assert not changed_settings({b"HF_HOME": b"a"}, {b"HF_HOME": b"a"})


def test_cuda_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from finecal.runtime.device import choose_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # as with an empty one
    with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES"):
        choose_device("cuda", torch.get_num_threads())


def test_snakemake_profile(tmp_path: Path) -> None:
    """A profile of the user's goes before ours, which stays beside it; without a home, in a folder of its own.

    Warnings are errors, here too: Snakemake has one at its end.
    """
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("dry-run: true\nquiet: all\n")
    own = {"SNAKEMAKE_PROFILE": str(tmp_path / "mine"), "HOME": NOWHERE, "XDG_CACHE_HOME": str(tmp_path)}
    done = snakemake(tmp_path, **own, PYTHONWARNINGS="error")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert "profiles/default" in done.stderr
    assert not (tmp_path / "results").exists()


def test_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for mode, expected in ((0o2775, 0o002), (0o755, 0o022), (0o770, 0o002)):
            tmp_path.chmod(mode)
            os.umask(0o022)
            share_with_group(tmp_path)
            assert os.umask(0) == expected
            os.umask(expected)
            (tmp_path / f"{mode}").touch()
            assert bool((tmp_path / f"{mode}").stat().st_mode & stat.S_IWGRP) == (expected == 0o002)
        share_with_group(tmp_path / "not there")
    finally:
        os.umask(before)


def test_squeue_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One's own options for SLURM's commands reach neither finecal's questions nor those of Snakemake's plugin."""
    hidden = {
        "SQUEUE_PARTITION", "SQUEUE_FORMAT2", "SINFO_PARTITION", "SACCT_FORMAT", "SCANCEL_INTERACTIVE", "SCONTROL_ALL",
        "SLURM_TIME_FORMAT", "SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_MEM_PER_CPU", "SBATCH_MEM_PER_GPU",
    }  # fmt: skip
    kept = {"SBATCH_ACCOUNT", "SBATCH_PARTITION", "SLURM_CONF", "SLURM_CLUSTERS"}
    for name in hidden | kept:
        monkeypatch.setenv(name, "1")
    (tmp_path / "squeue").write_text("#!/bin/sh\n/usr/bin/env\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for drop in (lambda: None, drop_options_of_user):
        drop()
        seen = {line.partition("=")[0] for line in run_command("squeue").splitlines()}
        assert kept <= seen
        assert not hidden & seen
    assert kept <= os.environ.keys()
    assert not hidden & os.environ.keys()


def test_git_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a hook of another repository: the commit that results name is that of finecal's checkout."""
    own = provenance.commit.__wrapped__()
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert provenance.commit.__wrapped__() == own


def test_aten_cpu_capability() -> None:
    """What libraries read when they are imported: a job with another value is no fork of a process without it."""
    for name in (b"ATEN_CPU_CAPABILITY", b"ONEDNN_MAX_CPU_ISA", b"NVIDIA_TF32_OVERRIDE", b"PYTORCH_CUDA_ALLOC_CONF"):
        assert changed_settings({}, {name: b"1"})


def test_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container that was started with the number of a user whom it does not know."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    terminal.prepare()
    assert getpass.getuser() == str(os.getuid())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "ImportError('/lib/scipy.so: failed to map segment from shared object')",
            "there is not enough memory to load a library (/lib/scipy.so",
        ),
        ("RuntimeError('could not create a primitive')", "there is not enough memory (could not create a primitive). "),
        (
            "RuntimeError('[enforce fail at alloc_cpu.cpp:119] data. DefaultCPUAllocator: not enough memory')",
            "there is not enough memory ([enforce fail at alloc_cpu.cpp:119] data. DefaultCPUAllocator",
        ),
        ("MemoryError()", "there is not enough memory. Hint: Give the job more"),
        (
            "type('OutOfMemoryError', (RuntimeError,), {})('CUDA out of memory. Tried to allocate 2 GiB')",
            "there is not enough memory on the GPU (CUDA out of memory. Tried to allocate 2 GiB). Hint: Make batches",
        ),
    ],
)
def test_ulimit(error: str, said: str) -> None:
    """Libraries say that memory has run out by errors of their own, some in words that do not speak of memory."""
    code = f"import finecal.cli.user_commands as u\ndef fail(given): raise {error}\nu.do_list = fail"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        finecal("list", "studies", code=code)
    assert caught.value.returncode == 2
    assert caught.value.stderr.startswith(f"finecal: {said}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_lock_of_another_user() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        lock = folder / "seed0.lock"
        lock.touch(0o644)
        os.seteuid(65534)
        try:
            with pytest.raises(UserError) as error, lock_state(folder / "seed0"):
                pass
        finally:
            os.seteuid(0)
    assert str(error.value).startswith(f"{lock}: this lock cannot be opened: '{lock}' belongs to root. Hint: ")
    assert owner(folder) == ""
