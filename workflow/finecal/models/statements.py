"""What the configuration of weights says about their model: its name, its arguments, its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
from timm.models import _hub

from finecal.errors import UserError
from finecal.models import timm_names
from finecal.models.locations import CONFIG, LOCAL, config_of, read_config
from finecal.models.transformers_config import framing, is_transformers, mean_and_std

# Arguments of a model that the data set determines, not the configuration of its weights.
OF_THE_DATA = ("num_classes", "in_chans", "img_size")


@dataclass(frozen=True)
class Statement:
    """What a folder of weights says about its model: arguments, mean and standard deviation, None where it does not.

    `framing` is what else it says of images, by the names in timm's configurations.
    """

    arguments: dict[str, Any]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    framing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What it states of images, by the names in timm's configurations."""
        given = {"mean": self.mean, "std": self.std}
        return {**self.framing, **{name: values for name, values in given.items() if values is not None}}


def folder_statement(weights: str | None, model: str) -> Statement | None:
    """Read what a folder that is given as weights says about its model; None for a file.

    Parameters
    ----------
    model
        timm's name of the model that the study names beside the folder.

    Raises
    ------
    UserError
        If it cannot be read, or is of another model.
    """
    if weights is None:
        return None
    place = Path(weights)
    if is_transformers(config_of(weights, weights)):  # also of a file that transformers calls so, in its folder
        folder = place if place.is_dir() else place.parent
        mean, std = mean_and_std(folder) or (None, None)
        return Statement({}, mean, std, framing(folder))
    if not place.is_dir():
        return None
    name, arguments, source = read_timm_source(f"{LOCAL}{weights}")
    given = [timm_names.current(one).partition(".")[0] for one in (name, model)]
    if given[0] != given[1]:
        raise UserError(
            f"the folder {weights!r} has the weights of {given[0]!r}, not of {given[1]!r}", where="backbones",
            hint=f"Give `model: {given[0]}`",
        )  # fmt: skip
    arguments = {key: value for key, value in arguments.items() if key not in OF_THE_DATA}
    mean, std = (as_channels(source[key]) if source.get(key) else None for key in ("mean", "std"))
    return Statement(arguments, mean, std)


def as_channels(given: Any) -> Any:
    """Return the numbers of a configuration's mean or deviation as a tuple; what is none as it is, to be refused."""
    if isinstance(given, (list, tuple)):
        return tuple(given)
    return (given,) if isinstance(given, (int, float)) else given


def read_timm_source(model: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Read timm's name, model arguments and preprocessing of `local-dir:FOLDER` or `hf-hub:ORGANISATION/NAME`.

    Raises
    ------
    UserError
        If it cannot be read or fetched.
    """
    try:
        source, place = timm.models.parse_model_name(model)
        if source == "local-dir":
            content = read_config(place)
            if "model_type" in content:  # transformers' wrapper; timm would take its arguments for preprocessing
                content.setdefault("pretrained_cfg", {})
            config, name, arguments = _hub._parse_model_cfg(content, {"file": place, "source": source})
        else:
            content = _hub.load_cfg_from_json(_hub.download_from_hf(place, CONFIG))
            _check_is_timm_s(content, model)
            config, name, arguments = _hub._parse_model_cfg(content, {"hf_hub_id": place, "source": source})
    except (OSError, RuntimeError, ValueError, KeyError, AssertionError, AttributeError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"the configuration of {model!r} could not be read ({reason})", where="backbones",
            hint="On a machine without network, fetch it before on one with network, into the same cache (HF_HOME)",
        ) from error  # fmt: skip
    return timm_names.current(name), dict(arguments or {}), config


def _check_is_timm_s(content: Any, model: str) -> None:
    """Refuse transformers' own models and wrappers on the hub, whose weights timm does not load."""
    if isinstance(content, dict) and "model_type" in content:
        raise UserError(
            f"{model!r} is written by transformers, as {content['model_type']}", where="backbones",
            why="timm loads only its own models from the hub",
            hint="Download it (`hf download`); give the folder as `weights`, and timm's name of the model as `model`",
        )  # fmt: skip
