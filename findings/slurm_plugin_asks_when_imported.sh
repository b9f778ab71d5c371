#!/usr/bin/env bash
# snakemake-executor-plugin-slurm: a Snakemake that has nothing to do with SLURM asks its controller all the same.
#
# The guess: an executor plugin that is installed but not chosen does nothing. `snakemake --cores 1` on a login node and
# the Snakemake of each job on its node speak to nobody, so 100 jobs cost the controller 100 submissions and the polls.
#
# Seen: `scontrol show config` is called once by every Snakemake that finds the plugin installed, also for a local run of
# one job: when its module is imported, the help text of an option is made from MinJobAge. An executor of one's own can
# spare it that by importing the module first, with an `scontrol` that is not found.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet snakemake==9.27.1 snakemake-executor-plugin-slurm==2.8.0

mkdir bin
cat >bin/scontrol <<SCONTROL
#!/bin/sh
echo "scontrol \$*" >>$folder/calls
echo 'MinJobAge = 300 sec'
SCONTROL
chmod +x bin/scontrol
cat >Snakefile <<'SNAKEFILE'
rule one:
    output: "one.txt"
    shell: "echo 1 > {output}"
SNAKEFILE
PATH=$folder/bin:$folder/venv/bin:$PATH snakemake --quiet --cores 1
cat one.txt calls
[ "$(grep -c 'scontrol show config' calls)" -ge 1 ] || { echo "this has changed" >&2; exit 1; }
