#!/usr/bin/env bash
# Snakemake 9.27.1: a name that a Snakefile imports can replace Snakemake's own for the rest of the Python process.
#
# The guess: a Snakefile has a namespace of its own, into which Snakemake puts what rules use (`workflow`, `config`,
# `expand`, …). What it defines is gone with its workflow, as with a module that nobody imports any more. So two workflows
# that a notebook runs one after the other through `SnakemakeApi` do not know of each other.
#
# Seen: a Snakefile defines a class `Workflow`, as a pipeline with a class of that name does that it imports. Its own run
# ends well, and so does every run of the command line, a process each. The next workflow in the same Python, of another
# Snakefile that defines nothing, fails when the API makes its `Workflow`: the class of the first Snakefile takes no
# arguments.
#
# Source: `Workflow.__init__` in snakemake/workflow.py takes `globals()` of that module for the namespace in which
# Snakefiles are run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet snakemake==9.27.1

mkdir first second
cat >first/Snakefile <<'SNAKEFILE'
class Workflow:
    """What the studies of this pipeline are."""

rule one:
    output: "one.txt"
    shell: "touch {output}"
SNAKEFILE
cat >second/Snakefile <<'SNAKEFILE'
rule two:
    output: "two.txt"
    shell: "touch {output}"
SNAKEFILE

cat >run.py <<'PYTHON'
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, ResourceSettings


def run(name):
    folder = Path(name).absolute()
    with SnakemakeApi(OutputSettings(quiet=set())) as api:
        resources = ResourceSettings(cores=1)
        workflow = api.workflow(resource_settings=resources, snakefile=folder / "Snakefile", workdir=folder)
        workflow.dag().execute_workflow()
    return "ends well"


for name in sys.argv[1:]:
    try:
        print(name, run(name), flush=True)
    except TypeError as error:
        print(name, "fails:", error, flush=True)
PYTHON

alone=$(venv/bin/python run.py second 2>/dev/null)
rm -f second/two.txt
both=$(venv/bin/python run.py first second 2>/dev/null)
printf 'alone:\n%s\none after the other:\n%s\n' "$alone" "$both"
[[ $alone == "second ends well" ]]
grep -q '^first ends well$' <<<"$both"
grep -q '^second fails: Workflow() takes no arguments$' <<<"$both"
