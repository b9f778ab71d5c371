"""Read YAML strictly: a key given twice is an error, 1e-3 is a number, and what is no plain decimal number is text.

YAML 1.1 takes 010 for eight, 1:30 for ninety and 1_0 for ten. As names of classes such texts are not rare, and as
numbers nobody means them so.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from finecal.errors import UserError
from finecal.io.outside import reading

DEEPEST = 100  # brackets within brackets
MOST = 100_000  # values of a file, with all that it repeats by `*`


class _Loader(yaml.SafeLoader):
    """YAML's safe loader that rejects equal keys, and brackets that no person nests so deeply."""

    def fetch_flow_collection_start(self, token: Any) -> None:
        if self.flow_level >= DEEPEST:
            raise yaml.scanner.ScannerError(None, None, "nested too deeply", self.get_mark())
        super().fetch_flow_collection_start(token)

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
    with reading(where, "YAML"):
        try:
            loader = _Loader(text)
            try:
                node = loader.get_single_node()
                _check_size(node)
                return None if node is None else loader.construct_document(node)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            line = f"{where}, line {error.problem_mark.line + 1}" if error.problem_mark else where
            raise UserError(f"not readable as YAML: {error.problem}", where=line) from error
        except (yaml.YAMLError, ValueError) as error:  # ValueError: a value such as 2024-13-45
            raise UserError(f"not readable as YAML: {' '.join(str(error).split())}", where=where) from error


def _check_size(node: yaml.Node | None) -> None:
    """Refuse what is small as text and large, or without an end, when `*` is replaced by what it stands for."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            if "\0" in node.value:
                raise yaml.composer.ComposerError(None, None, "a text with a zero byte", node.start_mark)
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = 0  # while it is counted
            parts = node.value if isinstance(node, yaml.SequenceNode) else [one for pair in node.value for one in pair]
            sizes[id(node)] = 1 + sum(map(size, parts))
        elif not sizes[id(node)]:
            raise yaml.composer.ComposerError(None, None, "a value contains itself", node.start_mark)
        if sizes[id(node)] > MOST:
            raise yaml.composer.ComposerError(None, None, f"more than {MOST:,} values", node.start_mark)
        return sizes[id(node)]

    if node is not None:
        size(node)
