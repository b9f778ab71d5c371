"""One file per calibrator, a post-hoc method.

A module defines

- `READS`: the data that the method is fitted on, a frozenset of names in `finecal.calibration.READABLE`;
- `Options`: a typed model of its options;
- `Calibrator`: a class made from its options, with the methods `fit` and `apply` of `finecal.calibration.Calibrator`;

and, where it applies,

- `TAKES`: what it needs of a sample besides its logits, a frozenset of names in `finecal.calibration.TAKEABLE`;
- `LINEAR_HEAD_ONLY = True`: it makes no sense for a cosine head;
- `PAPER`: where the method was published.

It is handed exactly the data that it declares.
"""

from __future__ import annotations

from types import ModuleType

from finecal.calibration.contract import READABLE, TAKEABLE
from finecal.errors import UserError, unknown


def check_plugin(module: ModuleType, where: str) -> None:
    """Check what a calibrator declares: READS and TAKES are known names, and READS has what TAKES needs.

    Raises
    ------
    UserError
        If a name is unknown, or a declaration that goes with it is missing.
    """
    taken: frozenset[str] = getattr(module, "TAKES", frozenset())
    for constant, found, known in (("READS", module.READS, READABLE), ("TAKES", taken, TAKEABLE)):
        if not isinstance(found, frozenset):
            raise UserError(f"{constant} is {found!r}", where=where, why="It must be a frozenset of names")
        for name in found:
            if name not in known:
                raise unknown(f"name in {constant}", name, known, where=where)
    for name in taken:
        if TAKEABLE[name] not in (None, *module.READS):
            raise UserError(f"TAKES has {name!r}, READS must then have {TAKEABLE[name]!r}", where=where)
    if "interpolated" in taken and "alpha" not in module.Options.model_fields:
        raise UserError("TAKES has 'interpolated', Options must then have 'alpha'", where=where)
