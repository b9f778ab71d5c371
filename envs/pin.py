"""Pin every package to one exact version, and write the files that install these versions.

The pins stand in pyproject.toml, between two marker comments under `[tool.uv]`, where uv applies them. The files for
other tools (requirements with hashes, a conda environment) are generated from them.

    uv run --no-sync python envs/pin.py                    # pin new packages, remove unused pins
    uv run --no-sync python envs/pin.py --upgrade          # pin the newest versions that fit together
    uv run --no-sync python envs/pin.py --check            # check that the files agree, without a network
    uv run --no-sync python envs/pin.py --check --resolve  # and that uv would choose the same versions again
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

# uv's names of the two lists of pins: for runtime and development, and for building finecal.
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

# hatchling requires it only to build an editable install, so no metadata names it.
EDITABLE_BUILD = "editables~=0.3"

# The platforms of the conda environment: a requirement of all of them needs no marker.
PLATFORMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
]


class PinError(Exception):
    """A file cannot be read, or the dependencies cannot be resolved."""


# --- Reading -----------------------------------------------------------------------------------------


def read_project(root: Path) -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((root / PROJECT).read_text())


def parse_requirements(text: str) -> list[Requirement]:
    """Parse a requirements file, without comments and hashes."""
    return [Requirement(line.rstrip("\\ ")) for line in text.splitlines() if line[:1].isalnum()]


def parse_pins(text: str, source: str) -> dict[str, str]:
    """Parse lines `name==version` to version by package name; ignore markers and hashes."""
    pins: dict[str, str] = {}
    for requirement in parse_requirements(text):
        name = canonicalize_name(requirement.name)
        exact = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if exact is None:
            raise PinError(f"{source}: {requirement} is no exact pin (name==version)")
        if name in pins:
            raise PinError(f"{source}: {name} is pinned twice; every platform needs the same version")
        pins[name] = exact[1]
    return pins


def read_pins(project: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the pins of one of the KINDS."""
    return parse_pins("\n".join(project["tool"]["uv"].get(f"{kind}-dependencies", [])), PROJECT)


def direct_dependencies(project: Mapping[str, Any], kind: str) -> list[Requirement]:
    """Return the requirements that pyproject.toml itself names, whose pins are of this kind."""
    if kind == "build-constraint":
        lines = [*project["build-system"]["requires"], EDITABLE_BUILD]
    else:
        extras = project["project"].get("optional-dependencies", {})
        lines = [*project["project"]["dependencies"], *chain(*extras.values()), *project["dependency-groups"]["dev"]]
    own = canonicalize_name(project["project"]["name"])  # a group may ask for an extra of the project itself
    return [asked for asked in map(Requirement, lines) if canonicalize_name(asked.name) != own]


def python_version(project: Mapping[str, Any]) -> str:
    """Return the oldest supported Python, such as 3.11; versions resolved for it also suit later ones."""
    bounds = {bound.operator: bound.version for bound in SpecifierSet(project["project"]["requires-python"])}
    return bounds[">="]


# --- Rendering: pure functions of the pins -----------------------------------------------------------


def to_lines(pins: Mapping[str, str]) -> list[str]:
    """Format pins as sorted lines `name==version`."""
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def render_pins(constraint: Mapping[str, str], build: Mapping[str, str]) -> str:
    """Format the two lists between the marker comments of pyproject.toml."""
    return "".join(
        f"{kind}-dependencies = [\n" + "".join(f'    "{line}",\n' for line in to_lines(pins)) + "]\n"
        for kind, pins in zip(KINDS, (constraint, build), strict=True)
    )


def find_block(text: str) -> re.Match[str]:
    """Find the marker comments in pyproject.toml; group 1 is the text between them."""
    block = BLOCK.search(text)
    if block is None:
        raise PinError(f"{PROJECT}: no lines '# pins: begin' and '# pins: end' under [tool.uv]")
    return block


def replace_block(text: str, content: str) -> str:
    """Replace the pins in the text of pyproject.toml."""
    start, end = find_block(text).span(1)
    return text[:start] + content + text[end:]


def conda_line(requirement: Requirement, python: str) -> str | None:
    """Format a requirement for one Python: without its marker if it always holds, None if it never does."""
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
    """Write the conda environment for `snakemake --sdm conda`.

    It lists every pin, since Snakemake copies the file, so that it cannot refer to others, and creates the environment
    again when its text changes.
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
    """Run uv (the one that runs this program, if any) and return its output; PinError with its message if it fails."""
    command = [os.environ.get("UV", "uv"), *arguments]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise PinError(f"uv {' '.join(arguments)}\n{done.stderr.rstrip()}")
    return done.stdout


def keepable(project: Mapping[str, Any]) -> dict[str, str]:
    """Return the present pins without those that a direct dependency no longer allows."""
    pins = read_pins(project, "build-constraint") | read_pins(project, "constraint")
    for requirement in chain.from_iterable(direct_dependencies(project, kind) for kind in KINDS):
        name = canonicalize_name(requirement.name)
        if name in pins and not requirement.specifier.contains(pins[name], prereleases=True):
            del pins[name]
    return pins


def generate(root: Path, upgrade: bool = False) -> dict[str, str]:
    """Return the texts of all files that this program writes, by name. `upgrade` ignores the present pins."""
    text = (root / PROJECT).read_text()
    project = read_project(root)
    builders = json.dumps([str(builder) for builder in direct_dependencies(project, "build-constraint")])
    # Resolve the build requirements as one more group with the rest: the conda environment installs both.
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
    """Return the versions by package name that `uv sync` chooses in a fresh clone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(root / PROJECT, folder)
        run_uv(["lock"], folder)
        packages = tomllib.loads((folder / "uv.lock").read_text())["package"]
    locked = (f"{p['name']}=={p['version']}" for p in packages if "registry" in p["source"])
    return parse_pins("\n".join(locked), "uv.lock")


# --- Checking ----------------------------------------------------------------------------------------


def diff(file: str, found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Return a unified diff that names the file, as a list of one text; empty if nothing differs."""
    lines = difflib.unified_diff(list(found), list(expected), file, f"{file} (expected)", lineterm="", n=1)
    text = "\n".join(lines)
    return [text] if text else []


def check_pins(project: Mapping[str, Any], kind: str) -> list[str]:
    """Check that every direct dependency has a pin that it allows."""
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
    """Find where the files contradict each other, without a network; each text names the file."""
    text = (root / PROJECT).read_text()
    project = read_project(root)
    pins, build = (read_pins(project, kind) for kind in KINDS)
    requirements = (root / REQUIREMENTS).read_text()
    required = parse_pins(requirements, REQUIREMENTS)
    conda = render_conda(requirements, build, python_version(project))

    of_studies = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["pipeline"]]
    direct = {canonicalize_name(Requirement(line).name) for line in of_studies}
    expected = {name: version for name, version in pins.items() if name in direct | required.keys()}
    # A package of both kinds needs one version, since the conda environment installs both.
    block = render_pins(pins, {name: pins.get(name, version) for name, version in build.items()})
    return [
        *chain.from_iterable(check_pins(project, kind) for kind in KINDS),
        *diff(PROJECT, find_block(text)[1].splitlines(), block.splitlines()),
        *diff(REQUIREMENTS, to_lines(required), to_lines(expected)),
        *diff(CONDA, (root / CONDA).read_text().splitlines(), conda.splitlines()),
    ]


def check_resolve(root: Path) -> list[str]:
    """Find where `uv sync` would choose other versions, or this program write other files from the same pins."""
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
    remedy = "To write the files again from pyproject.toml: uv run --no-sync python envs/pin.py"
    print(*problems, remedy, sep="\n\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
