"""The option `expect`: accuracies that the user knows of a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field


def _in_percent(value: float) -> float:
    if 0 < value < 1:
        raise ValueError("accuracies are given in percent, as the report shows them: 42.3")
    return value


Expectations = dict[
    Literal["acc_y_y", "acc_s_y", "acc_u_y"], Annotated[float, Field(ge=0, le=100), AfterValidator(_in_percent)]
]
EXPECT = (
    "Accuracies on the test samples that are known, in %, such as `{acc_y_y: 42.3}` (or acc_s_y, acc_u_y): if one is "
    "outside of the 95 % interval of what finecal finds, that is an error."
)
