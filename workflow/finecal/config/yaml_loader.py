"""Read YAML strictly: a key given twice is an error, 1e-3 is a number, and what is no plain decimal number is text.

YAML 1.1 takes 010 for eight, 1:30 for ninety and 1_0 for ten. As names of classes such texts are not rare, and as
numbers nobody means them so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from finecal.errors import UserError


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8; raise UserError if it is not UTF-8."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"byte {error.start} is not UTF-8", where=str(path), why="It must be text in UTF-8") from error


class _Loader(yaml.SafeLoader):
    """YAML's safe loader that rejects equal keys."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(None, None, f"the key {key.value!r} is given twice", key.start_mark)
            seen.add((key.tag, str(key.value)))
        return node


_WHOLE = r"(0|[1-9]\d*)"
_NUMBERS = {
    "tag:yaml.org,2002:int": rf"^[-+]?{_WHOLE}$",
    "tag:yaml.org,2002:float": (
        rf"^([-+]?({_WHOLE}\.\d*|\.\d+|{_WHOLE}(?=[eE]))([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list("-+.0123456789"))


def parse_yaml(text: str, *, where: str) -> Any:
    """Return the value of a YAML text; raise UserError with the line of the first mistake."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f"{where}, line {error.problem_mark.line + 1}" if error.problem_mark else where
        raise UserError(f"not readable as YAML: {error.problem}", where=line) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a value such as 2024-13-45
        raise UserError(f"not readable as YAML: {' '.join(str(error).split())}", where=where) from error
