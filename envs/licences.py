"""The licences of all pinned packages, from what is installed: `python envs/licences.py` writes licences.csv.

`--check` writes nothing: it finds packages that the list lacks, has in another version, or whose licence is not among
those that are allowed. A test and `.ci/run` do that.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pin

ROOT = Path(__file__).resolve().parents[1]
LIST = "envs/licences.csv"
COLUMNS = ("package", "version", "licence")
# One may use, change and pass on what depends on these, finecal (MIT) included. NVIDIA's are those of CUDA's libraries,
# which torch's wheels need on Linux; finecal does not pass them on.
ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "NVIDIA", "PSF-2.0", "Public domain", "Unlicense",
    "Zlib",
})  # fmt: skip
# What packages write for the same licence.
SAME = {
    "MIT License": "MIT", "Apache Software License": "Apache-2.0", "Apache 2.0 License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Apache License, Version 2.0": "Apache-2.0",
    "BSD License": "BSD", "3-Clause BSD License": "BSD-3-Clause", "BSD 3-Clause": "BSD-3-Clause",
    "Python Software Foundation License": "PSF-2.0", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC", "Public Domain": "Public domain", "Other/Proprietary License": "NVIDIA",
    "LicenseRef-NVIDIA-Proprietary": "NVIDIA", "NVIDIA Proprietary Software": "NVIDIA",
    "The Unlicense (Unlicense)": "Unlicense",
}  # fmt: skip
# Packages that do not say it in a form that can be read, and where it was read instead.
READ = {
    "docutils": "Public domain AND BSD-2-Clause AND PSF-2.0",  # the GPL is of an Emacs mode, not installed
    "cuda-toolkit": "NVIDIA",  # says nothing; it only names the libraries that it brings
}


def licence(name: str) -> str:
    """Return what a package says of its licence, in the names of SPDX; empty if it says nothing."""
    found = metadata(name)
    if name in READ:
        return READ[name]
    if expression := found.get("License-Expression"):
        return " AND ".join(SAME.get(part, part) for part in _parts(expression))
    classifiers = [c.rpartition(" :: ")[2] for c in found.get_all("Classifier", []) if c.startswith("License ::")]
    said = [c for c in classifiers if c != "OSI Approved"] or [(found.get("License") or "").strip().partition("\n")[0]]
    joined = " OR ".join(dict.fromkeys(SAME.get(one, one) for one in said))
    return joined or _of_files(name)


def _of_files(name: str) -> str:
    """The licence in the text that is installed with a package which has no other word of it."""
    from importlib.metadata import files

    for file in files(name) or ():
        if re.fullmatch(r"(?i)(licen[cs]e|copying)(\.\w+)?", Path(file.name).name):
            text = file.read_text()[:2000]
            if "Permission is hereby granted, free of charge" in text:
                return "MIT"
            if "Apache License" in text:
                return "Apache-2.0"
    return ""


def _parts(expression: str) -> list[str]:
    return [part.strip(" ()") for part in re.split(r" AND | OR ", expression)]


def rows() -> list[tuple[str, str, str]]:
    """Return package, version and licence of everything that is pinned and installed, sorted."""
    pins = pin.read_pins(pin.read_project(ROOT), "constraint")
    found = []
    for name, version in sorted(pins.items()):
        try:
            found.append((name, version, licence(name)))
        except PackageNotFoundError:
            found.append((name, version, ""))
    return found


def written(root: Path = ROOT) -> dict[str, tuple[str, str]]:
    """Return package → version and licence, as the list has them."""
    with (root / LIST).open(encoding="utf-8", newline="") as file:
        return {row["package"]: (row["version"], row["licence"]) for row in csv.DictReader(file)}


def problems(pins: Mapping[str, str], listed: Mapping[str, tuple[str, str]]) -> list[str]:
    """Find packages that the list lacks, has besides, or has in another version, and licences that are not allowed."""
    found = [f"{name} is pinned and has no line in {LIST}" for name in sorted(pins.keys() - listed.keys())]
    found += [f"{name} is in {LIST} and not pinned" for name in sorted(listed.keys() - pins.keys())]
    for name, (version, said) in sorted(listed.items()):
        if pins.get(name, version) != version:
            found.append(f"{name} is pinned at {pins[name]}, {LIST} has {version}")
        if strange := [part for part in _parts(said) if part not in ALLOWED]:
            found.append(f"{name} has the licence {said or 'unknown'}: {strange[0] or 'none'} is not allowed")
    return found


def main() -> int:
    """Write the list, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is wrong")
    if not parser.parse_args().check:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows()])
        (ROOT / LIST).write_text(text.getvalue(), "utf-8")
    found = problems(pin.read_pins(pin.read_project(ROOT), "constraint"), written())
    print(*(found or [f"{len(written())} packages, all with an allowed licence."]), sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
