#!/usr/bin/env bash
# Snakemake 9.27.1 gets one more thread, and looks for jobs once more each second, for every job that has ended while
# others wait.
#
# The guess: that at most 100 jobs start in a second (`--max-jobs-per-timespan`, its default) costs nothing where far
# fewer do. A Snakemake whose two cores are busy has a handful of threads, and looks for jobs when one has ended.
#
# Seen: 100 jobs of 0.1 s on two cores, a limit of 100 per second that is never reached: after 40 jobs it has 40 threads
# more than after the first, after 80 jobs 80. Each lives for a second and is followed by another as long as jobs wait for
# a core, so that it looks ever more often. And each Snakemake ends a second after its last job.
#
# Source: `schedule` in snakemake/scheduling/job_scheduler.py starts a timer each time that it has looked for jobs,
# whether the limit was reached or not; when it fires, the scheduler looks again. The timers are threads whose end Python
# awaits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet snakemake==9.27.1

cat >Snakefile <<'SNAKEFILE'
rule all:
    input: expand("{number}.txt", number=range(100))

rule one:
    output: "{number}.txt"
    shell: "sleep 0.1; touch {output}"
SNAKEFILE

venv/bin/snakemake --cores 2 --scheduler greedy --quiet all &
main=$!
threads() { awk '/^Threads:/ { print $2 }' "/proc/$main/status"; }
ended() { find . -maxdepth 1 -name '*.txt' | wc -l; }
threads_after() {
    until (($(ended) >= $1)); do sleep 0.01; done
    threads
}
first=$(threads_after 1)
forty=$(threads_after 40)
eighty=$(threads_after 80)
until (($(ended) == 100)); do sleep 0.01; done
last=$(date +%s%N)
wait "$main"
beyond=$((($(date +%s%N) - last) / 1000000))
echo "threads after 1, 40, 80 jobs: $first, $forty, $eighty; it ends $beyond ms after the last job"
((forty - first > 20 && eighty - forty > 20 && beyond > 800))
