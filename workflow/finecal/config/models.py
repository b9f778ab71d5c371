"""Options of a model: which one, where its weights come from, its head."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.config import JsonDict

from finecal.config.expectations import EXPECT, Expectations
from finecal.config.preprocessing import SaidPreprocessing
from finecal.config.types import ClassNames, Listed, Model, Positive
from finecal.models import locations

NO_DIFFERENCE_WITHOUT: JsonDict = {"neutral": None}  # see `finecal.config.types.resolved_options`


class ZeroShot(Model):
    """A head made from the names of the classes by CLIP's text tower, without an image: see own_model.md."""

    model: str = Field(
        description="open_clip's name of the CLIP model, such as `ViT-B-32-quickgelu`; `local-dir:FOLDER` for one that "
        "open_clip has written, `hf-hub:ORGANISATION/NAME` for one on the hub."
    )
    pretrained: str | None = Field(
        None, description="open_clip's name of the weights, such as `openai`; a folder or a hub name has its own."
    )
    templates: Listed[str] = Field(
        ("a photo of a {}.",),
        min_length=1,
        description="Texts with `{}` in the place of the class; the head takes the mean of their embeddings.",
    )
    class_names: ClassNames | None = Field(
        None,
        description="What stands for `{}`: a list in the order of the data set's classes, or a text file with a name "
        "per line; by default the classes' names, `Alarm_Clock` and `AlarmClock` as two words.",
    )

    @field_validator("templates")
    @classmethod
    def _with_a_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if template.count("{}") != 1:
                raise ValueError(f"the template {template!r} needs one `{{}}`, the place of the class")
        return templates

    @model_validator(mode="after")
    def _weights_of_one_kind(self) -> Self:
        own = self.model.startswith((locations.LOCAL, locations.HUB))
        if own and self.pretrained is not None:
            raise ValueError(f"{self.model!r} has its own weights, so `pretrained` has no effect")
        if not own and self.pretrained is None:
            raise ValueError(f"{self.model!r} needs `pretrained`, open_clip's name of its weights")
        return self


class Backbone(Model):
    """Which timm model, and a checkpoint of your own if there is one: see own_model.md."""

    model: str | None = Field(
        None,
        description="timm's name of the model; `local-dir:FOLDER` for one that timm or `finecal export` has written, "
        "`hf-hub:ORGANISATION/NAME` for one on the hub; by default the key's own name.",
    )
    weights: str | None = Field(
        None,
        description="A checkpoint of your own, which goes before `pretraining.weights`: a state dict (.safetensors, "
        ".pth, .pt, .bin, .ckpt, .tar, .th, .pyth), such a folder, or one of transformers. The path is relative to the "
        "working directory.",
        json_schema_extra=NO_DIFFERENCE_WITHOUT,
    )
    class_names: ClassNames | None = Field(
        None,
        description="What the rows of the checkpoint's head stand for: a list, or a text file with a name per line; "
        "by default the names in a folder's config.json or beside the state dict, or else the data set's classes.",
        json_schema_extra=NO_DIFFERENCE_WITHOUT,
    )
    zero_shot: ZeroShot | None = Field(
        None,
        description="Makes this CLIP's image tower, of which `model` is timm's name, and a cosine head from the names "
        "of the classes. Needs the extra `clip`.",
        json_schema_extra=NO_DIFFERENCE_WITHOUT,
    )
    preprocessing: SaidPreprocessing | None = Field(
        None,
        description="What the model is shown of an image file: `timm`, what timm's configuration of the weights or "
        "their config.json says; `stretch`, the stored square resized, as in the paper; or parts by hand. By default "
        "`timm` for weights from elsewhere (`weights` here or of a recipe, `local-dir:`, `hf-hub:`), else `stretch`.",
        json_schema_extra=NO_DIFFERENCE_WITHOUT,
    )
    expect: Expectations = Field({}, exclude=True, description=EXPECT, json_schema_extra={"neutral": {}})
    at_chance: bool = Field(
        False,
        description="Whether a pretrained model that is taken as it is may guess; otherwise one that does is an error.",
        json_schema_extra={"neutral": False},
    )
    options: dict[str, bool | int | float | str] = Field(
        {}, description="Further arguments of `timm.create_model`, such as `drop_path_rate`."
    )
    head: Literal["linear", "cosine"] = Field(
        "linear", description="The last layer: `linear` is w·h + b, `cosine` is a scale times cos(w, h), without bias."
    )
    head_scale: Positive = Field(16.0, description="Scale of a cosine head at the start.")
    learn_head_scale: bool = Field(True, description="Whether the scale of a cosine head is trained or stays.")

    @model_validator(mode="before")
    @classmethod
    def _head_of_zero_shot(cls, given: Any) -> Any:
        """A zero-shot head is cosine, with CLIP's scale and weights."""
        if not isinstance(given, dict) or given.get("zero_shot") is None:
            return given
        for key in ("weights", "class_names", "head", "head_scale"):
            if key in given and (key, given[key]) != ("head", "cosine"):
                raise ValueError(f"`{key}` has no effect beside `zero_shot`, which decides it")
        return {**given, "head": "cosine"}
