"""Make a folder in which studies run, for a finecal that is installed as a package: `finecal init DIR`.

The workflow itself stays in the package, so that a new version of finecal is a new workflow, too.
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import tempfile
from pathlib import Path

from finecal.errors import UserError, how_to_install
from finecal.paths import PROJECT

SNAKEFILE = '''\
"""The workflow of the installed finecal: `snakemake` runs what config.yaml asks for."""

from finecal.paths import PROJECT


include: f"{PROJECT}/Snakefile"


# Of an included file the default target does not count.
rule everything:
    """Everything that makes sense for the selected studies."""
    default_target: True
    input:
        rules.all.input,
    localrule: True
'''
COPIED = ("config.yaml", "profiles")
NAMES = ("Snakefile", *COPIED)


def make(folder: Path) -> str:
    """Write Snakefile, config.yaml and profiles/ into a folder, which need not exist; return what to do next.

    Raises
    ------
    UserError
        If one of them is there already, or the folder cannot be written. Nothing is left half-written.
    """
    if found := [name for name in NAMES if (folder / name).exists()]:
        raise UserError(f"has {found[0]} already", where=str(folder), why="Nothing was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            whole = Path(name)
            (whole / "Snakefile").write_text(SNAKEFILE, "utf-8")
            shutil.copy(PROJECT / COPIED[0], whole)
            shutil.copytree(PROJECT / COPIED[1], whole / COPIED[1])
            for each in NAMES:
                (whole / each).rename(folder / each)
    except OSError as error:
        raise UserError(f"not writable ({error.strerror})", where=str(folder)) from error
    there = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    missing = importlib.util.find_spec("snakemake") is None
    first = f"\nSnakemake is not installed yet: {how_to_install('pipeline')}" if missing else ""
    return f"{folder} has {', '.join(NAMES)}.{first}\nNext: {there}snakemake"
