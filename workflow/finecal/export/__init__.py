"""Export of the calibrated classifier for use outside finecal."""
