"""Keep every package at one exact version, and the files that install them in step.

The pins live in pyproject.toml, between two marker comments under `[tool.uv]`, where uv applies them by
itself. What other tools need (hash-checked requirements, a conda environment) is generated from them.

    uv run --no-sync python envs/pin.py                    # pin what is new, drop what is gone
    uv run --no-sync python envs/pin.py --upgrade          # the newest versions that fit together
    uv run --no-sync python envs/pin.py --check            # do the files agree? needs no network
    uv run --no-sync python envs/pin.py --check --resolve  # and would uv choose the same again?
"""

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "pyproject.toml"
REQUIREMENTS = "envs/requirements.txt"
CONDA = "envs/finecal.yaml"

# What uv calls the two lists of pins: runtime and development, and what builds finecal.
KINDS = ("constraint", "build-constraint")

BLOCK = re.compile(r"# pins: begin[^\n]*\n(.*)# pins: end\n", re.DOTALL)
HEADER = "# Written by envs/pin.py from the pins in pyproject.toml: run it again instead of editing.\n"

CONDA_TEMPLATE = f"""{HEADER}\
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python={{python}}
  - pip
  - pip:
    # What finecal needs.
{{runtime}}
    # What builds finecal itself, in finecal.post-deploy.sh.
{{builders}}
"""

# hatchling asks for it only while it builds an editable install, so no metadata names it.
EDITABLE_BUILD = "editables~=0.3"

# Where the conda environment has to work: a line that holds on all of them needs no marker.
PLATFORMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
]


class PinError(Exception):
    """A file that this program cannot read, or a resolve without a solution."""


# --- Reading -----------------------------------------------------------------------------------------


def read_project(root: Path) -> dict[str, Any]:
    """pyproject.toml as a dictionary."""
    return tomllib.loads((root / PROJECT).read_text())


def parse_requirements(text: str) -> list[Requirement]:
    """The entries of a requirements file, without comments and hashes."""
    return [Requirement(line.rstrip("\\ ")) for line in text.splitlines() if line[:1].isalnum()]


def parse_pins(text: str, source: str) -> dict[str, str]:
    """Version by package name, from lines `name==version`; markers and hashes are passed over."""
    pins: dict[str, str] = {}
    for requirement in parse_requirements(text):
        name = canonicalize_name(requirement.name)
        exact = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if exact is None:
            raise PinError(f"{source}: {requirement} is no exact pin (name==version)")
        if name in pins:
            raise PinError(f"{source}: {name} is pinned twice; one version has to serve every platform")
        pins[name] = exact[1]
    return pins


def read_pins(project: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The pins of one of the KINDS."""
    return parse_pins("\n".join(project["tool"]["uv"].get(f"{kind}-dependencies", [])), PROJECT)


def direct_dependencies(project: Mapping[str, Any], kind: str) -> list[Requirement]:
    """What pyproject.toml itself asks for; its pins are of the same kind."""
    if kind == "build-constraint":
        lines = [*project["build-system"]["requires"], EDITABLE_BUILD]
    else:
        extras = project["project"].get("optional-dependencies", {})
        lines = [*project["project"]["dependencies"], *chain(*extras.values()), *project["dependency-groups"]["dev"]]
    own = canonicalize_name(project["project"]["name"])  # a group may ask for an extra of the project itself
    return [asked for asked in map(Requirement, lines) if canonicalize_name(asked.name) != own]


def python_version(project: Mapping[str, Any]) -> str:
    """The oldest supported Python, such as 3.11: what is resolved for it serves the later ones too."""
    bounds = {bound.operator: bound.version for bound in SpecifierSet(project["project"]["requires-python"])}
    return bounds[">="]


# --- Rendering: pure functions of the pins -----------------------------------------------------------


def to_lines(pins: Mapping[str, str]) -> list[str]:
    """`name==version`, sorted."""
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def render_pins(constraint: Mapping[str, str], build: Mapping[str, str]) -> str:
    """The two lists between the marker comments of pyproject.toml."""
    return "".join(
        f"{kind}-dependencies = [\n" + "".join(f'    "{line}",\n' for line in to_lines(pins)) + "]\n"
        for kind, pins in zip(KINDS, (constraint, build), strict=True)
    )


def find_block(text: str) -> re.Match[str]:
    """The marker comments in pyproject.toml; group 1 is what stands between them."""
    block = BLOCK.search(text)
    if block is None:
        raise PinError(f"{PROJECT}: no lines '# pins: begin' and '# pins: end' under [tool.uv]")
    return block


def replace_block(text: str, content: str) -> str:
    """pyproject.toml with other pins."""
    start, end = find_block(text).span(1)
    return text[:start] + content + text[end:]


def conda_line(requirement: Requirement, python: str) -> str | None:
    """A requirement for one Python: without a marker if it always holds, None if it never does."""
    pin = f"{requirement.name}{requirement.specifier}"
    if requirement.marker is None:
        return pin
    fixed = {"python_version": python, "python_full_version": f"{python}.0", "os_name": "posix"}
    implementation = {"platform_python_implementation": "CPython", "implementation_name": "cpython"}
    holds = [requirement.marker.evaluate(fixed | implementation | platform) for platform in PLATFORMS]
    if all(holds):
        return pin
    return f"{pin} ; {requirement.marker}" if any(holds) else None


def render_conda(requirements: str, build: Mapping[str, str], python: str) -> str:
    """The conda environment for `snakemake --sdm conda`.

    The pins are listed one by one: Snakemake copies the file, so it cannot point to its neighbours, and
    makes the environment anew when the text changes.
    """
    required = parse_requirements(requirements)
    names = {requirement.name for requirement in required}
    runtime = [conda_line(requirement, python) for requirement in required]
    builders = to_lines({name: version for name, version in build.items() if name not in names})
    return CONDA_TEMPLATE.format(
        python=python,
        runtime="\n".join(f"    - {line}" for line in runtime if line),
        builders="\n".join(f"    - {line}" for line in builders),
    )


# --- Resolving: asks uv, which asks the package index ------------------------------------------------


def run_uv(arguments: list[str], folder: Path) -> str:
    """What uv prints, the same uv that runs this program if one does; its own words explain a failure."""
    command = [os.environ.get("UV", "uv"), *arguments]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise PinError(f"uv {' '.join(arguments)}\n{done.stderr.rstrip()}")
    return done.stdout


def keepable(project: Mapping[str, Any]) -> dict[str, str]:
    """The pins that there are, without those that a direct dependency no longer allows."""
    pins = read_pins(project, "build-constraint") | read_pins(project, "constraint")
    for requirement in chain.from_iterable(direct_dependencies(project, kind) for kind in KINDS):
        name = canonicalize_name(requirement.name)
        if name in pins and not requirement.specifier.contains(pins[name], prereleases=True):
            del pins[name]
    return pins


def generate(root: Path, upgrade: bool = False) -> dict[str, str]:
    """Text by file name: all that this program writes. `upgrade` lets go of the pins that there are."""
    text = (root / PROJECT).read_text()
    project = read_project(root)
    builders = json.dumps([str(builder) for builder in direct_dependencies(project, "build-constraint")])
    # What builds finecal is resolved with the rest, as one more group: in the conda environment they meet.
    resolvable = replace_block(text, render_pins({} if upgrade else keepable(project), {})).replace(
        "[dependency-groups]\n", f"[dependency-groups]\nbuild = {builders}\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / PROJECT).write_text(resolvable)
        run_uv(["lock"], folder)

        def export(*groups: str) -> str:
            plain = ["--no-emit-project", "--no-annotate", "--no-header"]
            return run_uv(["export", "--frozen", *plain, *groups], folder)

        constraint = parse_pins(export("--group", "dev"), "uv")
        build = parse_pins(export("--only-group", "build"), "uv")
        requirements = HEADER + export("--no-dev")

    return {
        PROJECT: replace_block(text, render_pins(constraint, build)),
        REQUIREMENTS: requirements,
        CONDA: render_conda(requirements, build, python_version(project)),
    }


def lock(root: Path) -> dict[str, str]:
    """Version by package name, as `uv sync` in a fresh clone would choose them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(root / PROJECT, folder)
        run_uv(["lock"], folder)
        packages = tomllib.loads((folder / "uv.lock").read_text())["package"]
    locked = (f"{p['name']}=={p['version']}" for p in packages if "registry" in p["source"])
    return parse_pins("\n".join(locked), "uv.lock")


# --- Checking ----------------------------------------------------------------------------------------


def diff(file: str, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """A unified diff as one text that names the file, in a list that is empty without a difference."""
    lines = difflib.unified_diff(list(found), list(expected), file, f"{file} (expected)", lineterm="", n=1)
    text = "\n".join(lines)
    return [text] if text else []


def check_pins(project: Mapping[str, Any], kind: str) -> list[str]:
    """Every direct dependency has a pin that it allows."""
    pins = read_pins(project, kind)
    problems = []
    for requirement in direct_dependencies(project, kind):
        version = pins.get(canonicalize_name(requirement.name))
        if version is None:
            problems.append(f"{PROJECT}: {requirement} has no pin")
        elif not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{PROJECT}: the pin {requirement.name}=={version} is not in {requirement}")
    return problems


def check(root: Path) -> list[str]:
    """Where the files contradict each other, without a network; each text names the file."""
    text = (root / PROJECT).read_text()
    project = read_project(root)
    pins, build = (read_pins(project, kind) for kind in KINDS)
    requirements = (root / REQUIREMENTS).read_text()
    required = parse_pins(requirements, REQUIREMENTS)
    conda = render_conda(requirements, build, python_version(project))

    direct = {canonicalize_name(Requirement(line).name) for line in project["project"]["dependencies"]}
    expected = {name: version for name, version in pins.items() if name in direct | required.keys()}
    # A package of both kinds has one version: they meet in the conda environment.
    block = render_pins(pins, {name: pins.get(name, version) for name, version in build.items()})
    return [
        *chain.from_iterable(check_pins(project, kind) for kind in KINDS),
        *diff(PROJECT, find_block(text)[1].splitlines(), block.splitlines()),
        *diff(REQUIREMENTS, to_lines(required), to_lines(expected)),
        *diff(CONDA, (root / CONDA).read_text().splitlines(), conda.splitlines()),
    ]


def check_resolve(root: Path) -> list[str]:
    """Where `uv sync` would take other versions, or this program write other files from the same pins."""
    pins = read_pins(read_project(root), "constraint")
    problems = diff(PROJECT, to_lines(pins), to_lines(lock(root)))
    for file, text in generate(root).items():
        problems += diff(file, (root / file).read_text().splitlines(), text.splitlines())
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check them."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions, not the pins")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where files disagree")
    parser.add_argument("--resolve", action="store_true", help="with --check: resolve again and compare")
    options = parser.parse_args(arguments)
    if (options.upgrade and options.check) or (options.resolve and not options.check):
        parser.error("--upgrade goes without --check, --resolve only with it")

    try:
        if not options.check:
            for file, text in generate(ROOT, options.upgrade).items():
                (ROOT / file).write_text(text)
            return 0
        problems = check(ROOT) + (check_resolve(ROOT) if options.resolve else [])
    except (PinError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    if not problems:
        return 0
    remedy = "To write the files anew from pyproject.toml: uv run --no-sync python envs/pin.py"
    print(*problems, remedy, sep="\n\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
