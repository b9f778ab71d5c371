"""One file per post-hoc method.

A module has `READS` (what it reads, see `finecal.calibration.READABLE`), `Options` (a typed model) and
`Calibrator`, a class made from its options with the methods `fit` and `apply` of
`finecal.calibration.Calibrator`; and `TAKES` if it needs more of a sample than its logits (see
`finecal.calibration.TAKEABLE`). It is handed exactly the data it declares.
"""
