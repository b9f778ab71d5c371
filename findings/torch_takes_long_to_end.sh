#!/usr/bin/env bash
# torch 2.13.0 for CUDA: a process that only imports torch takes some tenths of a second, and 100 MiB more, as it ends.
#
# The guess: the end of a Python process costs next to nothing, since the kernel takes back its memory as a whole; and
# the peak of its memory is reached while it works. To leave by `os._exit`, which tears nothing down, would change
# neither. What a process measures of itself in its last line is what it takes.
#
# Seen: after the last line of Python, and after all `atexit` functions, the process computes for some tenths of a second
# more, and its resident memory grows by more than 100 MiB, also on a machine without a GPU. With `os._exit` neither
# happens. The pages are those of files (RssFile in /proc/PID/status).
#
# Source, by `perf record -k CLOCK_MONOTONIC` with the events cpu-clock and page-faults: three quarters of the time is the
# collection of Python's garbage, most of the rest the dispatcher of libtorch_cpu, which takes each operator out again.
# The pages are read as libcublasLt, libcusparseLt and libtorch_cuda unregister their code for GPUs
# (`__cudaUnregisterBinaryUtil`), code that was never loaded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet venv
uv pip install --quiet --python venv/bin/python torch==2.13.0 numpy

cat >outside.py <<'PYTHON'
"""What a process that imports torch takes from its last line to its end: CPU seconds, and growth of its peak in MiB."""
import os
import subprocess
import sys

INSIDE = """
import atexit, os, resource, sys
import torch

def say():
    took = resource.getrusage(resource.RUSAGE_SELF)
    print(took.ru_utime + took.ru_stime, took.ru_maxrss / 1024, flush=True)

atexit._run_exitfuncs()  # what is left is the end itself
say()
if sys.argv[1] == "at once":
    os._exit(0)
"""


def end(how: str) -> tuple[float, float]:
    process = subprocess.Popen([sys.executable, "-c", INSIDE, how], stdout=subprocess.PIPE, text=True)
    seconds, peak = map(float, process.stdout.read().split())
    took = os.wait4(process.pid, 0)[2]
    return took.ru_utime + took.ru_stime - seconds, took.ru_maxrss / 1024 - peak


end("as usual")  # the libraries are in the cache of files now
usual, at_once = end("as usual"), end("at once")
print(f"as usual: {usual[0]:.2f} s, {usual[1]:.0f} MiB; by os._exit: {at_once[0]:.2f} s, {at_once[1]:.0f} MiB")
sys.exit(not (usual[0] > 2 * at_once[0] and usual[1] > 100 > 10 > at_once[1]))
PYTHON

venv/bin/python outside.py || {
    echo "this has changed" >&2
    exit 1
}
