"""Read study files; a mistake is one error with its key path, its value and what is allowed."""

from __future__ import annotations

from typing import Any

from finecal.config import Study
from finecal.config.consistency import check_meaning
from finecal.config.error_messages import as_user_error
from finecal.config.extends import Origin, compose, compose_text


def load_study(name: str) -> Study:
    """Read and check a study, by its built-in name or by the path of a YAML file, with what it extends.

    Raises
    ------
    UserError
        If there is no such study, a file is not YAML, or anything in it is wrong.
    """
    return _study(*compose(name))


def parse_study(text: str, *, where: str) -> Study:
    """Read and check a study from YAML text, as `load_study`; `where` names it in errors."""
    return _study(*compose_text(text, where))


def _study(raw: dict[str, Any], where: Origin) -> Study:
    with as_user_error(where, Study, raw):
        study = Study.model_validate(raw)
    check_meaning(study, where)
    return study
