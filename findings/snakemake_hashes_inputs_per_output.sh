#!/usr/bin/env bash
# Snakemake 9.27.1 hashes every input of a finished job again for each of the job's outputs.
#
# The guess: a job's inputs are hashed once when it has finished (`--max-checksum-file-size` decides which), since its
# outputs share them. The cost of a high limit would then be one pass over each input.
#
# Seen: a job with four outputs reads its one input four times, one with one output once. (Whether an input is newer than
# the outputs is checked by one pass, whatever the number of outputs.) With inputs of some GB, a rule with three outputs
# keeps the main process busy three times as long as needed, while no job can be submitted.
#
# Source: `finished` in snakemake/persistence/__init__.py asks for the checksums within the loop over outputs, and the
# cache of checksums is switched off once jobs run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet snakemake==9.27.1

cat >Snakefile <<'SNAKEFILE'
rule four:
    input: "large.bin"
    output: ["1.txt", "2.txt", "3.txt", "4.txt"]
    shell: "touch {output}"

rule one:
    input: "large.bin"
    output: "5.txt"
    shell: "touch {output}"
SNAKEFILE
head -c 3000000 /dev/zero >large.bin

cat >count.py <<'PYTHON'
"""Run Snakemake and count how often large.bin is hashed."""
import hashlib
import sys

hash_file, count = hashlib.file_digest, 0


def counted(file, *arguments, **named):
    global count
    count += getattr(file, "name", "") == "large.bin"
    return hash_file(file, *arguments, **named)


hashlib.file_digest = counted
from snakemake.cli import main

try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(count)
PYTHON

hashed() { venv/bin/python count.py --cores 1 --quiet all --max-checksum-file-size 10000000 "$@" 2>/dev/null | tail -n 1; }
four=$(hashed 1.txt)
one=$(hashed 5.txt)
touch large.bin
newer=$(hashed 1.txt)
echo "four outputs: $four times; one output: $one; input newer than the outputs: $newer"
[ "$four $one $newer" = "4 1 1" ] || {
    echo "this has changed" >&2
    exit 1
}
