"""Licences and vulnerabilities of the pinned packages, and that SECURITY.md names tests that exist."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def licences(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "envs")
    return importlib.import_module("licences")


@pytest.fixture
def advisories(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "envs")
    return importlib.import_module("advisories")


def pins(module: ModuleType) -> dict[str, str]:
    found: dict[str, str] = module.pin.read_pins(module.pin.read_project(ROOT), "constraint")
    return found


def test_every_pinned_package_has_an_allowed_licence(licences: ModuleType) -> None:
    assert licences.problems(pins(licences), licences.written()) == []


def test_the_list_says_what_the_packages_say(licences: ModuleType) -> None:
    listed = licences.written()
    different = [(name, said) for name, _, said in licences.rows() if said and said != listed[name][1]]
    assert different == []


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ({}, "numpy is pinned and has no line in envs/licences.csv"),
        ({"numpy": ("1", "MIT")}, "numpy is pinned at 2, envs/licences.csv has 1"),
        ({"numpy": ("2", "MIT"), "gone": ("1", "MIT")}, "gone is in envs/licences.csv and not pinned"),
        ({"numpy": ("2", "MIT AND GPL-3.0")}, "numpy has the licence MIT AND GPL-3.0: GPL-3.0 is not allowed"),
        ({"numpy": ("2", "")}, "numpy has the licence unknown: none is not allowed"),
    ],
)
def test_what_is_wrong_is_named(licences: ModuleType, listed: dict[str, tuple[str, str]], problem: str) -> None:
    assert licences.problems({"numpy": "2"}, listed) == [problem]


def test_no_pinned_version_is_known_to_be_vulnerable(advisories: ModuleType) -> None:
    assert advisories.affected(pins(advisories), advisories.read()) == []


def test_a_vulnerable_version_is_named(advisories: ModuleType) -> None:
    (found,) = advisories.affected({"torch": "2.5.1", "numpy": "2.0"}, advisories.read())
    assert found == "torch 2.5.1: CVE-2025-32434, torch.load with weights_only runs code"


def played(advisories: ModuleType, monkeypatch: pytest.MonkeyPatch, out: str, err: str = "") -> int:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert "osv" in command
        return subprocess.CompletedProcess(command, 1, out, err)

    monkeypatch.setattr(advisories.shutil, "which", lambda name: name)
    monkeypatch.setattr(advisories.subprocess, "run", run)
    code: int = advisories.main()
    return code


def test_without_the_service_it_says_so(
    advisories: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert played(advisories, monkeypatch, "", "a traceback\nno route to the host\n") == 0
    said = capsys.readouterr().out
    assert "The service could not be asked (no route to the host)." in said
    assert re.search(r"well-known faults, written down from memory by \d{4}-\d\d-\d\d\.", said)
    assert "this is no audit" in said
    assert "No pinned version is known" not in said


def test_what_the_service_finds_fails(
    advisories: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}]}'
    assert played(advisories, monkeypatch, answer) == 1
    assert "a 1: X-1, mended in 2\n" in capsys.readouterr().out


def test_security_names_tests_that_exist() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, f"no test: {row}"
        for file, name in named:
            assert re.search(rf"^def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), f"{file}::{name}"
