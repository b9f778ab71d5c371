"""Changes to bytes, texts and values, drawn from a generator: what a broken disk, a hand or another program does."""

from __future__ import annotations

import copy
import datetime
import json
import random
import re
from collections.abc import Callable
from typing import Any

Bytes = Callable[[bytes, random.Random], bytes]

# What stands in place of a value.
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, -(2**31), 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 1e-320, float("inf"),
    float("nan"), "", " ", "0", "-1", "1e9", "nan", "null", "a" * 300, "a" * 5000, "../..", "/", ".", "a/b", "a\nb",
    "\0", "é", "\u202e", "\ud7ff", "{", "{}", "{x!r:>{y}}", "%s", "*", "#", "-", "--", "[", [], {}, [None], [[]],
    [1, "a", None], {"a": None}, {"kind": None}, {"": {}}, {1: 2}, {None: 1}, datetime.date(2024, 2, 29), b"\xff",
)  # fmt: skip
# The same as text, where a value is written.
WRITTEN = (
    "null", "~", "true", "no", "0", "-1", "010", "1:30", "1_0", "1e999", "9" * 40, "9" * 5000, "0x1F", ".nan", ".inf",
    "2024-13-45", "''", '"\\0"', '"\\ud800"', "[]", "{}", "[[[]]]", "[1, [a, {b: }]]", "!!binary x", "!!python/name:os",
    "&a [*a]", "*nothing", "<<", "? [a]", "|", ">", "%", "@", "`", "'", '"', "\t", "a" * 5000, "a: b: c", "- ", "#",
)  # fmt: skip


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        if found:
            found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def set_bytes(content: bytes, draw: random.Random) -> bytes:
    """Numbers in a binary format: nothing, one, the largest with and without sign."""
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4))):
        value = draw.choice(
            (b"\0", b"\xff", b"\x7f", b"\x01", b"\xff\xff", b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f")
        )
        place = draw.randrange(len(found) + 1)
        found[place : place + len(value)] = value
    return bytes(found)


def set_start(content: bytes, draw: random.Random) -> bytes:
    """As `flip_bits` and `set_bytes`, in the first or last bytes, where formats have their tables."""
    size = draw.choice((16, 64, 256, 1024))
    change = draw.choice((flip_bits, set_bytes))
    if draw.random() < 0.5:
        return change(content[:size], draw) + content[size:]
    return content[:-size] + change(content[-size:], draw)


def truncate(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice((0, 1, 4, 8, len(content) - 1, len(content) // 2, draw.randrange(len(content) + 1)))]


def swap_chunks(content: bytes, draw: random.Random) -> bytes:
    size = draw.choice((1, 4, 8, 64, 512))
    one, two = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    a, b = content[one : one + size], content[two : two + size]
    return content[:one] + b + content[one + size : two] + a + content[two + size :]


def repeat_or_drop(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content) + 1)
    end = start + draw.choice((1, 4, 16, 256, 4096))
    return content[:start] + content[start:end] * draw.choice((0, 2, 3, 50)) + content[end:]


def strangers(content: bytes, draw: random.Random) -> bytes:
    """What is no such file at all."""
    return draw.choice((b"", b"\0" * 64, b"PK\x03\x04", b"<!DOCTYPE html><html>not found</html>", b"version https://git",
                        bytes(draw.randrange(256) for _ in range(64)), content + content, b"\n" + content))  # fmt: skip


BINARY: tuple[Bytes, ...] = (flip_bits, set_bytes, set_start, truncate, swap_chunks, repeat_or_drop, strangers)


def rewrite_value(content: bytes, draw: random.Random) -> bytes:
    """Another value, or another separator, at a place of a text that has one."""
    text = content.decode("utf-8", "surrogateescape")
    places = list(re.finditer(r"[^\s,:;\[\]{}\"'/-]+|[,:\[\]{}\"'-]", text))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if not places:
            break
        one = draw.choice(places)
        text = text[: one.start()] + draw.choice(WRITTEN) + text[one.end() :]
        places = [other for other in places if other.end() <= one.start()]
    return text.encode("utf-8", "surrogateescape")


def move_lines(content: bytes, draw: random.Random) -> bytes:
    """Lines twice, missing, in another order, or further in."""
    lines = content.split(b"\n")
    one, two = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(5)
    if kind == 0:
        lines.insert(one, lines[two])
    elif kind == 1:
        del lines[one]
    elif kind == 2:
        lines[one], lines[two] = lines[two], lines[one]
    elif kind == 3:
        lines[one] = b" " * draw.choice((1, 2, 3, 8)) + lines[one]
    else:
        lines[one] = lines[one].strip()
    return b"\n".join(lines)


def nest(content: bytes, draw: random.Random) -> bytes:
    """Deep brackets, or references that each mean the one before several times."""
    depth = draw.choice((5, 50, 3000))
    if draw.random() < 0.5:
        inner = draw.choice((b"[" * depth, b"[" * depth + b"]" * depth, b'{"a":' * depth, b"- " * depth, b"(" * depth))
    else:
        lines = [
            b"a0: &a0 [x, x]",
            *(b"a%d: &a%d [%s]" % (k, k, b", ".join([b"*a%d" % (k - 1)] * 9)) for k in range(1, 12)),
        ]
        inner = b"\n".join(lines)
    place = draw.choice((0, len(content), content.find(b": ") + 2))
    return content[:place] + inner + b"\n" + content[place:]


TEXT: tuple[Bytes, ...] = (
    rewrite_value, rewrite_value, rewrite_value, move_lines, move_lines, nest, flip_bits, truncate, repeat_or_drop,
)  # fmt: skip


def change_value(given: Any, draw: random.Random) -> Any:
    """A copy of plain values with another value, key or length at some places."""
    found = copy.deepcopy(given)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        found = _change_one(found, draw)
    return found


def _change_one(value: Any, draw: random.Random) -> Any:
    # From the top down, so that each level is changed as often.
    if not isinstance(value, (dict, list)) or not value or draw.random() < 0.15:
        return draw.choice(STRANGE)
    place = draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
    kind = draw.random()
    if kind < 0.75:
        value[place] = _change_one(value[place], draw)
    elif kind < 0.85:
        del value[place]
    elif isinstance(value, dict):
        new = draw.choice([key for key in STRANGE if getattr(key, "__hash__", None) and key == key])
        value[new] = value.pop(place) if draw.random() < 0.5 else value[place]
    else:
        value.insert(place, value[place] if draw.random() < 0.5 else draw.choice(STRANGE))
    return value


def change_json(content: bytes, draw: random.Random) -> bytes:
    changed = change_value(json.loads(content), draw)
    return json.dumps(changed, default=repr, skipkeys=True).encode("utf-8", "surrogatepass")


JSON: tuple[Bytes, ...] = (change_json, change_json, change_json, *TEXT)
