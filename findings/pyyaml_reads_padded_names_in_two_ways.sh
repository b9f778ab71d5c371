#!/usr/bin/env bash
# PyYAML 6.0.3: of the names 001 to 012 in a list, seven become their numbers, two stay text, and 010 is eight.
#
# The guess: names that are padded with zeros, as folders of classes often are, are read alike: all as text, or all as the
# numbers that people see. To find the folders' names again, padding what was read to three digits is then enough.
#
# Seen: 001 to 007 are the numbers 1 to 7, 008 and 009 are the texts "008" and "009", and 010, 011 and 012 are the numbers
# 8, 9 and 10. Padded again, 008 and 009 are there twice, and 011 and 012 are lost, without any error.
#
# Source: the pattern of `tag:yaml.org,2002:int` in resolver.py is YAML 1.1's: `0[0-7_]+` is octal, a decimal number begins
# with 1 to 9, and what matches neither (008, 009) is text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet venv
uv pip install --quiet --python venv/bin/python pyyaml==6.0.3

cat >read.py <<'PYTHON'
import sys

import yaml

names = [f"{number:03}" for number in range(1, 13)]
found = yaml.safe_load(f"[{', '.join(names)}]")
print(", ".join(f"{name} → {value!r}" for name, value in zip(names, found)))
padded = [f"{value:0>3}" for value in found]
print("padded again:", ", ".join(padded))
if found != [1, 2, 3, 4, 5, 6, 7, "008", "009", 8, 9, 10] or padded == names:
    sys.exit("this has changed")
PYTHON
venv/bin/python read.py
