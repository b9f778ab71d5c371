"""Known vulnerabilities of the pinned versions: `python envs/advisories.py`, exit 1 if there are any.

pip-audit asks OSV's service. Where that cannot be reached, this says so and compares the pins with advisories.csv.

advisories.csv is no copy of a database. It was written from memory, on the day in its column `noted`: some well-known
faults of packages that finecal uses. It lacks most, and all that became known later; so it can show that a pin is bad,
and never that all pins are good.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pin
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
LIST = "envs/advisories.csv"
TOOL = "pip-audit==2.10.1"
SECONDS = 300


@dataclass(frozen=True)
class Advisory:
    """A vulnerability: of which versions of a package, its number, what it is, and when it was noted."""

    package: str
    affected: SpecifierSet
    number: str
    what: str
    noted: str


def read(root: Path = ROOT) -> list[Advisory]:
    """Read the list."""
    with (root / LIST).open(encoding="utf-8", newline="") as file:
        return [Advisory(**{**row, "affected": SpecifierSet(row["affected"])}) for row in csv.DictReader(file)]


def affected(pins: Mapping[str, str], advisories: Iterable[Advisory]) -> list[str]:
    """Return a line for each pinned version that an advisory names."""
    return [
        f"{one.package} {pins[one.package]}: {one.number}, {one.what}"
        for one in advisories
        if one.package in pins and one.affected.contains(pins[one.package], prereleases=True)
    ]


def ask(root: Path = ROOT) -> list[str] | str:
    """Ask OSV's service about the run-time requirements; return a line for each finding, or why it gave no answer."""
    uv = shutil.which("uv")
    if uv is None:
        return "uv is not installed"
    command = [uv, "tool", "run", "--from", TOOL, "pip-audit", "--vulnerability-service", "osv", "--disable-pip"]
    command += ["--require-hashes", "--requirement", str(root / pin.REQUIREMENTS), "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "20"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return f"no answer within {SECONDS} seconds"
    except (ValueError, KeyError):
        return (done.stderr.strip().splitlines() or ["no answer"])[-1][:200]
    return [
        f"{one['name']} {one['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'no version yet'}"
        for one in packages
        for bug in one.get("vulns", ())
    ]


def main() -> int:
    """Ask the service, or else compare with the list; print what was found and how it was looked for."""
    pins, advisories = pin.read_pins(pin.read_project(ROOT), "constraint"), read()
    found = affected(pins, advisories)
    answer = ask()
    if isinstance(answer, str):
        newest = max(one.noted for one in advisories)
        print(f"The service could not be asked ({answer}).")
        print(f"Compared with {LIST} alone: {len(advisories)} well-known faults, written down from memory by {newest}.")
        print("Others, and what was published later, are not known: this is no audit.")
    else:
        print(f"OSV's service and {LIST} were asked about {len(pins)} pinned versions.")
        found += answer
    none = (
        "No pinned version is among them."
        if isinstance(answer, str)
        else "No pinned version is known to be vulnerable."
    )
    print(*(found or [none]), sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
