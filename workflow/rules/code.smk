"""Rules and code are of one checkout. Nothing of the code is used here: another version may lack it."""

import filecmp
import sys
from pathlib import Path

import finecal


def find_other_code(beside, used):
    """Return the first file in which two folders of code differ; None if in none."""
    if not beside.is_dir() or beside.samefile(used):  # no checkout, or this one
        return None
    for file in sorted(
        {
            one.relative_to(place)
            for place in (beside, used)
            for one in place.rglob("*.py")
        }
    ):
        pair = beside / file, used / file
        if not all(one.is_file() for one in pair) or not filecmp.cmp(
            *pair, shallow=False
        ):
            return file
    return None


code_folder = Path(finecal.__file__).parent
different = find_other_code(Path(workflow.basedir, "workflow", "finecal"), code_folder)
if different is not None:
    print(
        f"finecal: {workflow.basedir}/Snakefile: Python takes finecal's code from {code_folder}, where {different} is not "
        "that beside this file. Rules and code must be of one version. Hint: `unset PYTHONPATH`, or activate the "
        "environment of this checkout.",
        file=sys.stderr,
    )
    sys.exit(2)
