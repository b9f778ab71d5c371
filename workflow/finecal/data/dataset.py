"""What data sets say of their domains before anything is prepared; all of it is optional in a module.

- `check(options)`: raises a UserError if something is wrong; its `where` is the option.
- `without_images(options)`: the domains that have no images, so that a model pretrained there is taken as it is.
- `sampled(domain, options)`: the names of the classes with training samples, and of those with test samples. Without
  it, every class has both.
- `decides(domain, options)`: what decides the samples of a domain, in place of the options: those that concern it, and
  the contents of the user's own files (`finecal.io.contents.content_hashes`) in place of their paths. Plain types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from finecal import registry
from finecal.download.spec import Download
from finecal.errors import UserError


class Sampled(NamedTuple):
    """Names of classes."""

    train: frozenset[str]
    test: frozenset[str]


def check(source: str, options: Any, where: str) -> None:
    """Let the module of a data set check its options; errors are put below the key path `where`."""
    module = registry.load("dataset", source)
    try:
        getattr(module, "check", lambda _options: None)(options)
    except UserError as error:
        place = f"{where}.{error.where}" if error.where else where
        raise UserError(error.what, where=place, why=error.why, hint=error.hint) from error


def without_images(source: str, options: Any) -> frozenset[str]:
    """The domains that have no images."""
    module = registry.load("dataset", source)
    return frozenset(getattr(module, "without_images", lambda _options: ())(options))


def sampled(source: str, domain: str, options: Any) -> Sampled | None:
    """The classes that a domain has samples of; None if it is not known beforehand: then, of all."""
    module = registry.load("dataset", source)
    found = getattr(module, "sampled", lambda _domain, _options: None)(domain, options)
    return None if found is None else Sampled(*found)


def decides(source: str, domain: str, options: Any) -> dict[str, Any] | None:
    """What decides the samples of a domain, if it is not the options as they are."""
    module = registry.load("dataset", source)
    found: dict[str, Any] | None = getattr(module, "decides", lambda _domain, _options: None)(domain, options)
    return found


def downloads(source: str, domain: str, options: Mapping[str, Any]) -> tuple[Download, ...]:
    """The files that a domain of a data set is made from: what its module's `downloads` says, if it has one."""
    module = registry.load("dataset", source)
    if not hasattr(module, "downloads"):
        return ()
    found: tuple[Download, ...] = module.downloads(domain, module.Options.model_validate(options))
    return found
