#!/usr/bin/env bash
# torch 2.13.0: trainings that run side by side with torch's default number of threads take many times as long as with a
# share of the cores each.
#
# The guess: on N cores two trainings with N threads each, which is torch's default, take about as long as two with N / 2
# threads each, or a little longer: the system divides the cores, and the work is the same.
#
# Seen: on two cores of an Intel Xeon, two trainings of 300 steps took 9 s of CPU time together with one thread each, and
# 45 to 55 s with two each, in five times the wall time. One training alone took 4.4 s with one thread and 5.7 with two.
#
# Source: a layer of a small model is some tens of microseconds of work for each thread. libgomp, which torch brings, lets
# threads that wait for the others spin on their core (OMP_WAIT_POLICY is not set, and each process has no more threads
# than there are cores). The thread that is waited for has no core while those of the other process spin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet torch==2.13.0 numpy==2.4.6

cat >train.py <<'PYTHON'
"""Train a small model for some steps with a number of threads; print the CPU seconds of the steps."""
import sys
import time

import torch

threads, steps = map(int, sys.argv[1:])
torch.set_num_threads(threads)
layers = []
for _ in range(12):
    layers += [torch.nn.Conv2d(32, 32, 3, padding=1, bias=False), torch.nn.BatchNorm2d(32), torch.nn.ReLU()]
model = torch.nn.Sequential(*layers)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
images = torch.randn(8, 32, 16, 16)
for step in range(steps + 1):
    if step == 1:
        start = time.process_time()
    optimizer.zero_grad()
    model(images).square().mean().backward()
    optimizer.step()
print(time.process_time() - start)
PYTHON

cores=$(nproc)
if ((cores < 2)); then
    echo "one core: nothing to see" && exit 0
fi
two() { # trainings at a time, with so many threads each: CPU seconds of both
    venv/bin/python train.py "$1" 300 & venv/bin/python train.py "$1" 300 & wait
}
cpu() { two "$1" | awk '{ sum += $1 } END { print sum }'; }
share=$(cpu $((cores / 2)))
default=$(cpu "$cores")
echo "two trainings on $cores cores: $share s of CPU with $((cores / 2)) threads each, $default s with $cores each"
awk -v a="$share" -v b="$default" 'BEGIN { exit !(b > 2 * a) }'
