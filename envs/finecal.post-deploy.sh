#!/usr/bin/env bash
# Snakemake runs this once, inside the conda environment that it has just made from finecal.yaml. It adds
# finecal itself, editable: the environment's hash does not cover our source, so the install has to follow it.
#
# Snakemake copies this script next to the environment and starts it in the working directory. So the
# repository is looked for from there upwards; under `--directory` elsewhere, FINECAL_SOURCE has to name it.
set -euo pipefail

is_finecal() { grep --quiet --no-messages '^name = "finecal"$' "$1/pyproject.toml"; }

source="${FINECAL_SOURCE:-$PWD}"
if [[ -z "${FINECAL_SOURCE:-}" ]]; then
    while [[ "$source" != / ]] && ! is_finecal "$source"; do source="$(dirname "$source")"; done
fi
if ! is_finecal "$source"; then
    echo "finecal's repository is not at ${FINECAL_SOURCE:-$PWD} or above it: set FINECAL_SOURCE to its path." >&2
    exit 1
fi

# Everything that the install needs came with finecal.yaml, at its pinned version: nothing else may come in.
"$CONDA_PREFIX/bin/python" -m pip install --no-input --no-index --no-deps --no-build-isolation --editable "$source"
