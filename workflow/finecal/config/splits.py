"""Options of splits, which divide the classes into S (fine-tuned) and U (absent)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from finecal.config.grids import combinations
from finecal.config.types import ClassOrNumber, Count, Fraction, Listed, Model, Name, Seed, require_distinct


class DrawnSplit(Model):
    """Options that all drawn splits have."""

    seed: Seed = Field(0, description="Seed of the draw.")
    fraction: Fraction | None = Field(None, description="Part of the classes in S, rounded to the nearest number.")
    count: Count | None = Field(None, description="Number of classes in S.")
    sizes: Listed[Count] = Field(
        (),
        exclude=True,
        description="Many splits at once, NAME_3 with 3 classes in S; a smaller S is a part of a larger.",
    )
    seeds: Listed[Seed] = Field(
        (), exclude=True, description="Many splits at once, NAME_seed1 (or NAME_3_seed1) drawn with seed 1."
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.fraction is not None) + (self.count is not None) + bool(self.sizes) != 1:
            raise ValueError("give one of `fraction`, `count` and `sizes`")
        if self.seeds and "seed" in self.model_fields_set:
            raise ValueError("give either `seed` or `seeds`")
        require_distinct(self.sizes)
        require_distinct(self.seeds)
        return self

    def expand(self, name: str) -> dict[str, Self]:
        """Return the splits that this one stands for, by name."""
        grid = {key: values for key, values in (("count", self.sizes), ("seed", self.seeds)) if values}
        single = {"sizes": (), "seeds": ()}
        return {entry: self.model_copy(update={**single, **chosen}) for entry, chosen in combinations(name, grid)}


class RandomSplit(DrawnSplit):
    """Fine-tuning classes drawn at random."""

    kind: Literal["random"] = Field(description="Which kind of split this is.")


class ClusteredSplit(DrawnSplit):
    """Fine-tuning classes that are similar: one drawn at random, and those that clustering joins to it first.

    The classes are clustered (average linkage, cosine distance) by the means of the pretrained model's features on the
    training samples of the source domain, so that no target data decides the split.
    """

    kind: Literal["clustered"] = Field(description="Which kind of split this is.")
    source: Name | None = Field(
        None, description="The source domain; by default that of the data set's tasks, if they have the same."
    )
    backbone: Name | None = Field(None, description="The model; by default the study's, if it has one.")


class ClassesSplit(Model):
    """Fine-tuning classes named one by one."""

    kind: Literal["classes"] = Field(description="Which kind of split this is.")
    fine_tuning: Listed[ClassOrNumber] = Field(min_length=1, description="The classes in S, by name or by number.")


class PresentSplit(Model):
    """The fine-tuning classes are those that the target domain has training samples of: what one has images of."""

    kind: Literal["present"] = Field(description="Which kind of split this is.")
    target: Name | None = Field(
        None, description="The target domain; by default that of the data set's tasks, if they have the same."
    )


class OfficialSplit(Model):
    """The fine-tuning classes that the data set's publisher or the paper uses."""

    kind: Literal["official"] = Field(description="Which kind of split this is.")
    source: Name | None = Field(
        None,
        description="The source domain whose split this is, where they differ; it is for the tasks with this source. "
        "By default that of the data set's tasks, if they have the same.",
    )
    count: Count | None = Field(
        None, description="Number of classes in S, the first of the published order; by default as published."
    )


Split = Annotated[
    RandomSplit | ClusteredSplit | ClassesSplit | PresentSplit | OfficialSplit, Field(discriminator="kind")
]
