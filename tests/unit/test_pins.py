"""The pins, and the files generated from them, agree; and a disagreement is found and named."""

import importlib
import re
import shutil
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """envs/pin.py, which is a script and not part of the package."""
    monkeypatch.syspath_prepend(ROOT / "envs")
    return importlib.import_module("pin")


@pytest.fixture
def copy(pin: ModuleType, tmp_path: Path) -> Path:
    """A copy of the files that the pins are about, for a test to spoil."""
    (tmp_path / "envs").mkdir()
    for file in (pin.PROJECT, pin.REQUIREMENTS, pin.CONDA):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def spoil(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, file.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, f"{pattern!r} is not in {file.name}"
    file.write_text(text)


def test_the_files_agree(pin):
    problems = pin.check(ROOT)
    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize("file", ["pyproject.toml", "envs/requirements.txt", "envs/finecal.yaml"])
def test_names_no_package_host_and_no_machine(file):
    text = (ROOT / file).read_text()
    assert not re.search(r"://|\w\.(?:org|com|net|io)\b|--index|--find-links|^/|[ =]/", text, re.MULTILINE)


def test_every_requirement_has_a_hash(pin):
    entries = re.split(r"\n(?=\w)", (ROOT / pin.REQUIREMENTS).read_text())
    assert [entry for entry in entries[1:] if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("file", "pattern", "replacement"),
    [
        ("envs/finecal.yaml", r"- timm==.*", "- timm==0.0.1"),
        ("envs/finecal.yaml", r"^    - hatchling==.*\n", ""),
        ("envs/requirements.txt", r"^timm==\S+", "timm==0.0.1"),
        ("envs/requirements.txt", r"^torch==(.*\n)(    .*\n)*", ""),
        ("envs/requirements.txt", r"^torch==", "unknown==1.0\ntorch=="),
    ],
)
def test_a_generated_file_that_drifts_is_named(pin, copy, file, pattern, replacement):
    spoil(copy / file, pattern, replacement)
    assert any(problem.startswith(f"--- {file}\n") for problem in pin.check(copy))


def test_a_changed_pin_shows_in_the_files_made_from_it(pin, copy):
    spoil(copy / pin.PROJECT, r'"hatchling==.*"', '"hatchling==1000.0"')
    (problem,) = pin.check(copy)
    assert problem.startswith(f"--- {pin.CONDA}\n")
    assert "+    - hatchling==1000.0" in problem


def test_unsorted_pins_are_a_difference(pin, copy):
    spoil(copy / pin.PROJECT, r'^(    "timm==.*\n)(    "tokenizers==.*\n)', r"\2\1")
    (problem,) = pin.check(copy)
    assert problem.startswith(f"--- {pin.PROJECT}\n")


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r'^    "pytest==.*\n', "", "pyproject.toml: pytest>=8 has no pin"),
        (r'"pytest>=8"', '"pytest>=1000"', "pyproject.toml: the pin pytest=="),
        (r'^    "editables==.*\n', "", "pyproject.toml: editables~=0.3 has no pin"),
    ],
)
def test_a_dependency_that_its_pin_does_not_serve_is_named(pin, copy, pattern, replacement, message):
    spoil(copy / pin.PROJECT, pattern, replacement)
    assert any(problem.startswith(message) for problem in pin.check(copy))


@pytest.mark.parametrize("line", ["timm>=1", "timm==1.*", "timm==1,<2", "timm"])
def test_a_pin_is_one_version(pin, line):
    with pytest.raises(pin.PinError, match="no exact pin"):
        pin.parse_pins(line, pin.PROJECT)


def test_two_versions_of_a_package_are_refused(pin):
    with pytest.raises(pin.PinError, match="numpy is pinned twice"):
        pin.parse_pins("numpy==1 ; python_version < '3.12'\nNumPy==2", pin.PROJECT)


def test_a_package_of_both_kinds_has_one_version(pin, copy):
    spoil(copy / pin.PROJECT, r'(build-constraint[^\]]*"packaging==)[^"]+', r"\g<1>0.1")
    (problem,) = pin.check(copy)
    assert '-    "packaging==0.1",' in problem


def test_pins_without_marker_comments_are_refused(pin):
    with pytest.raises(pin.PinError, match="pins: begin"):
        pin.replace_block("[tool.uv]\n", "")


@pytest.mark.parametrize(
    ("requirement", "line"),
    [
        ("a==1", "a==1"),
        ("a==1 ; sys_platform == 'darwin' or sys_platform == 'linux'", "a==1"),
        ("a==1 ; sys_platform == 'linux'", 'a==1 ; sys_platform == "linux"'),
        ("a==1 ; platform_machine == 'x86_64'", 'a==1 ; platform_machine == "x86_64"'),
        ("a==1 ; python_full_version >= '3.12'", None),
        ("a==1 ; sys_platform == 'win32'", None),
    ],
)
def test_conda_lines_keep_only_markers_that_matter(pin, requirement, line):
    assert pin.conda_line(Requirement(requirement), "3.11") == line


def test_a_dependency_lets_go_of_a_pin_that_it_no_longer_allows(pin, copy):
    kept = pin.keepable(pin.read_project(copy))
    spoil(copy / pin.PROJECT, r'"pytest>=8"', '"pytest>=1000"')
    assert kept.keys() - pin.keepable(pin.read_project(copy)).keys() == {"pytest"}


def test_byte_code_is_compiled_at_the_installation_only():
    """With the setting in pyproject.toml each `uv run` would look at every file of every package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "compile-bytecode" not in project["tool"]["uv"]
    for file in ("README.md", "CONTRIBUTING.md", "docs/cluster.md", ".ci/run"):
        assert "uv sync --compile-bytecode" in (ROOT / file).read_text("utf-8"), file
