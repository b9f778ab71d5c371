"""The calibrated model to take home."""
