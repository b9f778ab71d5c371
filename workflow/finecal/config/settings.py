"""Read config.yaml: which studies to run, and the settings of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from finecal.config import Listed, Model, NonNegative
from finecal.config.error_messages import as_user_error
from finecal.config.yaml_loader import parse_yaml
from finecal.errors import UserError
from finecal.io.outside import read_text

CONFIG = Path("config.yaml")
SECTION = "finecal"  # of a configuration that is not finecal's alone
WORDS = {"true": True, "false": False, "null": None}


class Settings(Model):
    """The keys of config.yaml. Only `studies` decides what is computed, the others where and how."""

    studies: Listed[str] = Field(
        ("digits",), min_length=1, description="Built-in studies by name, or paths of your own YAML files."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models run: `cuda` fails without a GPU, `auto` takes one if there is one."
    )
    runs_per_gpu: int = Field(
        1, ge=1, le=100,
        description="Trainings and extractions that share a GPU, so that small models leave less of it idle. They "
        "share its memory, and on SLURM the memory and CPUs of their node.",
    )  # fmt: skip
    state_interval: NonNegative = Field(
        60.0, description="Seconds between two saves of an unfinished training's state."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="What models compute with: `auto` is bfloat16 (by autocast) on a GPU that has it, else float32.",
    )
    data_memory: NonNegative | None = Field(
        None,
        description="MiB of memory that a job's images may take; more are read from a file in $TMPDIR. By default half "
        "of what is free to the job.",
    )
    compile: bool = Field(
        False, description="Whether torch compiles the models it trains: a minute at the start, fewer per epoch later."
    )
    warm: bool = Field(
        True,
        description="Whether jobs are forks of one process that has imported what they need; if not, each imports it. "
        "Results are the same.",
    )
    mirror: str | None = Field(
        None,
        description="A folder or an address that has downloads as `{data set}/{file}`, asked before the publishers.",
    )


def parse_settings(raw: dict[str, Any], *, where: str = str(CONFIG)) -> Settings:
    """Check the configuration that Snakemake has read (config.yaml and `--config`).

    A configuration with a mapping `finecal` is that of another workflow, which has finecal's settings there.

    Raises
    ------
    UserError
        For an unknown key or a wrong value. `studies` may be a single name.
    """
    if isinstance(raw.get(SECTION), dict):
        if "studies" in raw:
            raise UserError(
                f"this key stands beside `{SECTION}`", where=f"{where}: studies",
                why=f"With `{SECTION}`, finecal's settings are those below it",
            )  # fmt: skip
        raw, where = raw[SECTION], f"{where}: {SECTION}"
    # Snakemake's `--config` makes these words of YAML a text.
    raw = {name: WORDS.get(value, value) if isinstance(value, str) else value for name, value in raw.items()}
    studies = raw.get("studies")
    if isinstance(studies, str):
        raw = {**raw, "studies": [studies]}
    elif isinstance(studies, list):
        twice = [s for s in studies if studies.count(s) > 1]
        if twice:
            raise UserError(f"the study {twice[0]!r} is selected twice", where=f"{where}: studies")
    with as_user_error(where, Settings, raw):
        return Settings.model_validate(raw)


def is_configured() -> bool:
    """Return whether there is a ./config.yaml.

    Raises
    ------
    UserError
        If there is something else of this name, such as a link that leads nowhere: the default was hardly meant.
    """
    if CONFIG.is_file():
        return True
    if CONFIG.is_symlink():
        raise UserError(f"this link leads to {CONFIG.readlink()}, where no file is", where=str(CONFIG.absolute()))
    if CONFIG.exists():
        raise UserError("this is not a file", where=str(CONFIG.absolute()))
    return False


def read_settings() -> Settings:
    """Return the settings of ./config.yaml, or the defaults if there is none."""
    if not is_configured():
        return Settings()  # type: ignore[call-arg]
    raw = parse_yaml(read_text(CONFIG), where=str(CONFIG)) or {}
    if not isinstance(raw, dict):
        raise UserError("the configuration is a mapping of keys to values", where=str(CONFIG))
    return parse_settings(raw)
