"""Call the functions of a data set's module: what a user's own file does wrong is one clear error."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from finecal import registry
from finecal.download.spec import Download
from finecal.errors import UserError


@contextmanager
def below(where: str) -> Iterator[None]:
    """Put a key path before the option that an error of the block is about."""
    try:
        yield
    except UserError as error:
        place = f"{where}.{error.where}" if error.where else where
        raise UserError(error.what, where=place, why=error.why, hint=error.hint) from error


class AskedModule:
    """A module whose functions are called by name, and what they return is checked."""

    def __init__(self, source: str, module: ModuleType) -> None:
        self.source = source
        self.module = module

    def _call(self, name: str, *arguments: Any, default: Any = None) -> Any:
        """Call a function of the module; return `default` if there is none."""
        function = getattr(self.module, name, None)
        if function is None:
            return default
        try:
            return function(*arguments)
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:
            if not registry.is_own(self.source):
                raise
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame.lineno for frame in frames if Path(frame.filename) == Path(self.source).absolute()]
            raise UserError(
                f"`{name}` failed with {type(error).__name__}: {error}",
                where=f"{self.source}:{own[-1]}" if own else self.source,
            ) from error

    def _texts(self, name: str, found: Any) -> tuple[str, ...]:
        if not isinstance(found, (tuple, list, set, frozenset)) or not all(isinstance(text, str) for text in found):
            raise self._wrong(name, found, "a tuple of texts")
        if len({*found}) < len(found):
            raise self._wrong(name, found, "each text once")
        return tuple(found)

    def _files(self, name: str, found: Any) -> tuple[Download, ...]:
        if not isinstance(found, (tuple, list)) or not all(isinstance(file, Download) for file in found):
            raise self._wrong(name, found, "a tuple of finecal.download.spec.Download")
        return tuple(found)

    def _wrong(self, name: str, found: Any, allowed: str) -> UserError:
        return UserError(f"`{name}` returned {found!r:.200}", where=self.source, why=f"It must return {allowed}")
