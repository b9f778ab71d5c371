"""What makes a job a process of its own: code that has changed, settings, and what else a process inherits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from finecal.warm import client
from finecal.warm.freshness import changed_code, changed_settings, read_code, searches_elsewhere

CLIENT = Path(client.__file__).parent


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which Python looks for modules, such as the working directory with `PYTHONPATH=.`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine.py").write_text("x = 1\n")
    return tmp_path


def test_what_jobs_write_there_is_no_code(searched: Path) -> None:
    before = read_code()
    for name in ("results", "logs", ".snakemake"):
        (searched / name).mkdir()
    (searched / "table.csv").write_text("a\n")
    assert not changed_code(before)
    assert not changed_code(before)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "numpy.py").write_text(""),
        lambda folder: (folder / "mine.py").unlink(),
        lambda folder: ((folder / "other").mkdir(), (folder / "other" / "__init__.py").touch()),
        lambda folder: ((folder / "new").write_text("x = 23\n"), (folder / "new").replace(folder / "mine.py")),
        lambda folder: (folder / "mine-1.dist-info").mkdir() or (folder / "mine.so").touch(),
        shutil.rmtree,
    ],
    ids=["another", "removed", "package", "edited", "installed", "folder gone"],
)
def test_what_python_would_import_is(searched: Path, change: object) -> None:
    before = read_code()
    assert callable(change)
    change(searched)
    assert changed_code(before)


def test_where_libraries_are_installed_any_change_counts(searched: Path) -> None:
    (searched / "library-1.dist-info").mkdir()
    before = read_code()
    (searched / "library_data").mkdir()
    assert changed_code(before)


@pytest.mark.parametrize(
    ("own", "asked", "changed"),
    [({"A": "1"}, {"A": "1"}, False), ({"A": "1"}, {"A": "2"}, True), ({}, {"HF_HOME": "x"}, True),
     ({"HF_HOME": "x"}, {}, True), ({}, {"TMPDIR": "x"}, False)],
)  # fmt: skip
def test_settings(own: dict[str, str], asked: dict[str, str], changed: bool) -> None:
    first, second = ({k.encode(): v.encode() for k, v in one.items()} for one in (own, asked))
    assert changed_settings(first, second) == changed


@pytest.mark.parametrize(
    ("given", "elsewhere"), [(None, False), ("/a:/b", False), (".", True), ("/a:", True), ("/a:own/code", True)]
)
def test_relative_folders_of_modules_are_those_of_the_command(
    given: str | None, elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PYTHONPATH=.` and `cd other && finecal …`: a new process would search the other folder."""
    monkeypatch.chdir(tmp_path)
    environment = {} if given is None else {b"PYTHONPATH": given.encode()}
    assert searches_elsewhere(b"/other", environment) == elsewhere
    assert not searches_elsewhere(os.fsencode(tmp_path), environment)


def surroundings_of(*before: str) -> bytes:
    says = "import client; sys.stdout.buffer.write(client.surroundings())"
    program = f"import sys; sys.path.insert(0, {str(CLIENT)!r}); {says}"
    words = [*before, sys.executable, "-IS", "-c", program]
    return subprocess.run(words, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "before",
    [
        "ulimit -v 9000000 && exec",
        "ulimit -n 64 && exec",
        "ulimit -S -s 4096 && exec",
        "exec nice -n 3",
        "exec taskset -c 0",
        "exec chrt --batch 0",
        "exec choom -n 500 --",
        "echo 7 > /proc/self/oom_score_adj && exec",
    ],
)
def test_what_a_shell_sets_for_a_command(before: str) -> None:
    """`ulimit`, `nice` and the like hold for what they stand before, so a fork of another process will not do."""
    program = before.split()[1]
    if before.startswith("exec") and shutil.which(program) is None:
        pytest.skip(f"there is no {program}")
    if "taskset" in before and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("there is one core")
    plain = surroundings_of()
    assert plain == surroundings_of()
    assert surroundings_of("sh", "-c", f'{before} "$@"', "sh") != plain
