#!/usr/bin/env bash
# timm 1.0.31, torchvision 0.28.0, torch 2.13.0: `import timm` imports torch's compiler and the algebra system sympy.
#
# The guess: torch imports its compiler (torch._dynamo) when something is compiled, and the seconds that `import timm`
# takes beyond `import torch` are those of its eighty modules of architectures: who imports one family instead of all
# saves most of them.
#
# Seen: neither torch nor timm asks for the compiler, but torchvision does: its operators (torchvision.ops.roi_align)
# ask whether they may be compiled, with a function of torch._dynamo, as they are imported. timm's layers import
# torchvision for its feature extraction. So the compiler comes with `import torchvision` and with any part of
# timm.models, and takes longer than all of timm's architectures together, which one family would not spare.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet venv
uv pip install --quiet --python venv/bin/python torch==2.13.0 torchvision==0.28.0 timm==1.0.31 numpy

cat >imported.py <<'PYTHON'
"""Which of the compiler's modules an import brings, and how long it and timm's architectures take to be imported."""
import subprocess
import sys

LOADED = "import sys, {}; print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"


def loaded(module: str) -> str:
    command = [sys.executable, "-c", LOADED.format(module)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def milliseconds(module: str) -> tuple[float, float]:
    """Cumulated times of torch._dynamo, and of what timm/models/__init__.py imports beyond what came before."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    rows = [line.removeprefix("import time:").split("|") for line in lines if line.count("|") == 2]
    cumulated = {name.strip(): int(time) for _, time, name in rows if time.strip().isdigit()}
    return cumulated["torch._dynamo"] / 1000, cumulated["timm.models"] / 1000


found = {module: loaded(module) for module in ("torch", "torchvision", "timm.models.resnet")}
print(found)
milliseconds("timm")  # the files are in the cache of files now
compiler, architectures = milliseconds("timm")
print(f"torch._dynamo: {compiler:.0f} ms, all of timm.models: {architectures:.0f} ms")
both = "['torch._dynamo', 'sympy']"
as_seen = found == {"torch": "[]", "torchvision": both, "timm.models.resnet": both}
sys.exit(not (as_seen and compiler > architectures))
PYTHON

venv/bin/python imported.py || {
    echo "this has changed" >&2
    exit 1
}
