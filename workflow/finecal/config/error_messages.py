"""Turn pydantic's errors about the user's YAML into one error with the key path, the value, and what is allowed."""

from __future__ import annotations

import re
import typing
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from finecal.config.extends import Keys, Origin
from finecal.errors import UserError, counted, unknown


class as_user_error:  # noqa: N801 - a context manager, used like a function
    """Turn pydantic's errors inside the block into one UserError that names the key path.

    Parameters
    ----------
    where
        The file, or the files.
    model
        What `raw` is read into.
    raw
        The value as it stands in the file, to tell its keys from pydantic's own marks in a path.
    at
        The key path of `raw` in the file.
    """

    def __init__(self, where: str | Origin, model: type[BaseModel], raw: Any, at: Keys = ()) -> None:
        self.where = Origin(where) if isinstance(where, str) else where
        self.model, self.raw, self.at = model, raw, at

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, ValidationError):
            raise self._user_error(error) from None

    def _user_error(self, error: ValidationError) -> UserError:
        by_path: dict[str, list[ErrorDetails]] = {}
        entries = error.errors()
        for entry in entries:
            # pydantic calls a list too short when it leaves out its wrong items, which it reports too.
            inside = (e for e in entries if e["loc"][: len(entry["loc"])] == entry["loc"] and e is not entry)
            if entry["type"] == "too_short" and any(inside):
                continue
            by_path.setdefault(self._location(entry), []).append(entry)
        # The alternatives of a union fail one by one at the same path: they are one mistake.
        (location, (first, *alternatives)), *others = by_path.items()
        more = f"{counted(len(others), 'more mistake')} in this file" if others else ""
        kind, given = first["type"], first["input"]
        if kind == "extra_forbidden":
            keys = _keys_at(self.model, first["loc"][:-1])
            found = unknown("key", first["loc"][-1], keys)
            return UserError(found.what, where=location, why=found.why, hint=more)
        if kind == "missing" and isinstance(first["loc"][-1], str):
            return UserError("this key is missing", where=location, why=_describe(self.model, first["loc"]), hint=more)
        if kind in ("union_tag_not_found", "union_tag_invalid"):
            what = "this key is missing" if kind == "union_tag_not_found" else f"{given['kind']!r} is not allowed"
            tags = ", ".join(_tags_at(self.model, first["loc"]))
            return UserError(what, where=f"{location}.kind", why=f"It must be one of {tags}", hint=more)
        cause = getattr(first.get("ctx", {}).get("error"), "__cause__", None)
        if isinstance(cause, UserError):
            return UserError(cause.what, where=location, why=cause.why, hint=more)
        shown = repr(given) if len(repr(given)) < 80 else repr(given)[:76] + " ..."
        ways = dict.fromkeys(_allowed(entry) for entry in (first, *alternatives))
        why = " or ".join(ways).replace(" or Input should be", " or")
        return UserError(f"{shown} is not allowed", where=location, why=why[:1].upper() + why[1:], hint=more)

    def _location(self, entry: ErrorDetails) -> str:
        """Return file and key path as it stands in the file, without the marks that pydantic inserts for unions."""
        keys = list(self.at)
        value = self.raw
        loc = entry["loc"][:-1] if entry["type"] == "extra_forbidden" else entry["loc"]
        for number, part in enumerate(loc, start=1):
            is_place = isinstance(value, list) and isinstance(part, int) and part < len(value)
            if is_place or (isinstance(value, dict) and part in value):
                value = value[part]
            elif isinstance(value, list) and isinstance(part, str) and part in value:
                value = {}  # `[a, b]` is short for `{a: {}, b: {}}`
            elif entry["type"] != "missing" or number < len(loc) or isinstance(part, int):
                continue
            keys.append(str(part))
        return self.where.at(*keys, wrong=str(entry["loc"][-1]) if entry["type"] == "extra_forbidden" else None)


def _allowed(entry: ErrorDetails) -> str:
    """Say in the words of YAML what pydantic allows."""
    kind, context = entry["type"], entry.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return "a name has letters, digits, `_`, `.` and `+`, and begins with a letter or a digit"
    if kind == "int_type" and re.fullmatch(r"[-+]?0\d+", str(entry["input"])):
        return f"{entry['msg']}, without leading zeros"
    if kind in ("tuple_type", "list_type"):
        return "Input should be a list"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return "Input should be a mapping of keys to values"
    if kind == "too_short":
        return f"the list needs at least {counted(context['min_length'], 'item')}"
    if kind == "missing" or (kind == "too_long" and context["field_type"] == "Tuple"):
        return "the list needs exactly 2 items"
    return entry["msg"].removeprefix("Value error, ")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]


def _models_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """Return the models that may stand at a key path; other parts are keys of a mapping or a union's tag."""
    models = [model]
    for part in location:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        inner = [m for annotation in fields for m in _models_in(annotation)]
        tagged = [
            m for m in models if "kind" in m.model_fields and part in typing.get_args(m.model_fields["kind"].annotation)
        ]
        models = inner or tagged or models
    return models


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    return {key for m in _models_at(model, location) for key in m.model_fields}


def _tags_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the values of `kind` among which a union at a key path chooses."""
    return [tag for m in _models_at(model, location) for tag in typing.get_args(m.model_fields["kind"].annotation)]


def _describe(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    for parent in _models_at(model, location[:-1]):
        if location[-1] in parent.model_fields:
            return parent.model_fields[str(location[-1])].description or ""
    return ""
