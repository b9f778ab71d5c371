"""Names of the classifiers in the metrics."""

PRETRAINED, FINE_TUNED, ORACLE = "pretrained", "fine_tuned", "oracle_fine_tuning"
