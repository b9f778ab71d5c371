#!/usr/bin/env bash
# Linux: a small program that a large one starts is told the memory of the large one as its own peak.
#
# The guess: `getrusage` counts a program from its `exec` on, since that gives it new memory: `ru_maxrss` of a program of
# 10 MiB is 10 MiB, whoever started it. What GNU time, Python's `resource` and `wait4` say of memory would then be that
# of the program.
#
# Seen: started by a process that once held 300 MiB, which it has given back, a program of 10 MiB has a `ru_maxrss` of
# more than 300 MiB, and so does what the large process reads of its children (RUSAGE_CHILDREN). So does one that is
# started by `bash -c "exec …"`, as Snakemake starts jobs. VmHWM in /proc/self/status, which looks like the same number,
# is that of the program. (With `vfork`, which Python's subprocess uses, it is the parent's peak; with `fork`, what the
# parent had then.) getrusage(2) says that what was used before `execve` is kept, but not that this is another's.
#
# Source: `exec_mmap` in fs/exec.c adds the peak of the memory that is left, which until then is the parent's, to that of
# the process.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >small.py <<'PYTHON'
import resource
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, peak // 1024)
PYTHON
cat >large.py <<'PYTHON'
import resource
import subprocess
import sys

memory = bytearray(b"1") * (300 * 2**20)
del memory
for command in ([sys.executable, "small.py"], ["bash", "-c", f"exec '{sys.executable}' small.py"]):
    said, peak = map(int, subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split())
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"{command[0].rpartition('/')[2]}: ru_maxrss {said} MiB, of all children {children} MiB, VmHWM {peak} MiB")
    if not (said > 300 and children > 300 and peak < 50):
        sys.exit("this has changed")
PYTHON
python3 large.py
