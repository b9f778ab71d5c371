"""The framework of the calibrators: what they may read, their inputs and parameters, their form outside finecal.

The names of `contract.py` can be imported from here; calibrators of the user's own may.
"""

from finecal.calibration.contract import (
    READABLE,
    REFUSED,
    TAKEABLE,
    AddGamma,
    Calibrator,
    Data,
    Fitted,
    Floats,
    Head,
    Labelled,
    Mask,
    PseudoFold,
    State,
    UndeclaredRead,
    Unlabelled,
    finite_gamma,
    log_prior,
    tau_normalised,
)

__all__ = [
    "READABLE",
    "REFUSED",
    "TAKEABLE",
    "AddGamma",
    "Calibrator",
    "Data",
    "Fitted",
    "Floats",
    "Head",
    "Labelled",
    "Mask",
    "PseudoFold",
    "State",
    "UndeclaredRead",
    "Unlabelled",
    "finite_gamma",
    "log_prior",
    "tau_normalised",
]
