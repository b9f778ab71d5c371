"""One file per post-hoc method.

A module has `READS` (what it reads, see `finecal.calibration.READABLE`), `Options` (a typed model) and
`Calibrator`, a class made from its options with the methods `fit` and `apply` of
`finecal.calibration.Calibrator`; and `TAKES` if it needs more of a sample than its logits (see
`finecal.calibration.TAKEABLE`). It is handed exactly the data it declares.
"""

from __future__ import annotations

from types import ModuleType

from finecal.calibration.contract import READABLE, TAKEABLE
from finecal.errors import UserError, unknown


def check_plugin(module: ModuleType, where: str) -> None:
    """Check what a user's own calibrator declares: READS and TAKES are known names, and READS has what TAKES needs.

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
