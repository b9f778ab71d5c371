#!/usr/bin/env bash
# transformers 5.24.0: a folder that timm 1.0.31 has written for the Hugging Face hub does not open there.
#
# The guess: transformers opens timm's folders since its `TimmWrapper`, and timm's `save_for_hf` writes what goes to the
# hub. So `AutoModelForImageClassification.from_pretrained` opens what `save_for_hf` has written of any model, with its
# number of classes, and gives its logits.
#
# Seen: TypeError, "got multiple values for keyword argument 'num_classes'". It opens once `num_classes` is taken out of
# `model_args` in config.json. The number stands at the top of the file too, from which timm itself reads it.
#
# Source: timm's `save_config_for_hf` records the arguments that a model was made with, as `model_args`, and so
# `num_classes`. `TimmWrapperForImageClassification` hands `num_classes` and all of `model_args` to `create_model`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet venv
uv pip install --quiet --python venv/bin/python timm==1.0.31 transformers==5.24.0 torch==2.13.0 torchvision==0.28.0

cat >open.py <<'PYTHON'
import json
import sys
from pathlib import Path

import timm
import torch
from transformers import AutoModelForImageClassification

model = timm.create_model("test_resnet", num_classes=4).eval()
timm.models.save_for_hf(model, "saved", safe_serialization=True)
try:
    AutoModelForImageClassification.from_pretrained("saved")
    sys.exit("it opens")
except TypeError as error:
    print(f"as written: {error}")

path = Path("saved/config.json")
config = json.loads(path.read_text())
print("model_args:", config["model_args"], "num_classes:", config["num_classes"])
del config["model_args"]["num_classes"]
path.write_text(json.dumps(config))
images = torch.rand(2, 3, 32, 32)
with torch.inference_mode():
    same = torch.allclose(AutoModelForImageClassification.from_pretrained("saved").eval()(images).logits, model(images))
print(f"without it: equal logits {same}")
sys.exit(not same)
PYTHON

venv/bin/python open.py || {
    echo "this has changed" >&2
    exit 1
}
