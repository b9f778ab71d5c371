"""Pure functions of arrays: accuracies, the seen–unseen curve, class means, calibration error."""
