#!/usr/bin/env bash
# Snakemake: `--quiet rules` also leaves out which rule failed, and the logs that `--show-failed-logs` asks for.
#
# The guess: `--quiet rules` leaves out the dozen lines that are printed for every job. A failure is no such line, and
# `--show-failed-logs` asks for its log.
#
# Seen: with `--quiet rules --show-failed-logs` neither "Error in rule", nor the output that is missing, nor the log is
# printed; with `--quiet progress` all of it is. In Snakemake's filter of messages, errors of jobs are of the same kind as
# what is said of jobs that begin. So a terminal with a line per job needs a filter of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet snakemake==9.27.1

cat >Snakefile <<'SNAKEFILE'
rule fails:
    output:
        "x",
    log:
        "x.log",
    shell:
        "echo the reason > {log}; exit 3"
SNAKEFILE

shown() {
    { venv/bin/snakemake --cores 1 --show-failed-logs --quiet "$1" 2>&1 || true; } | grep -cE '^(Error in rule fails:|the reason)$' || true
}
echo "--quiet progress: $(shown progress) of 2 lines; --quiet rules: $(shown rules)"
[ "$(shown progress)" = 2 ] && [ "$(shown rules)" = 0 ] || { echo "this has changed"; exit 1; }
