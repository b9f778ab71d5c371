"""What `finecal diagnose` prints: both averages, under their names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from finecal.library._accuracy_lines import accuracy_lines
from finecal.metrics.scores import rows, score


def test_both_averages_are_printed_under_their_names() -> None:
    """Class 1 of U has nine samples, all right, class 2 one, wrong."""
    labels = np.array([0] * 4 + [1] * 9 + [2])
    logits = np.array([[3.0, 0.0, 1.0]] * 4 + [[0.0, 2.0, 1.0]] * 10)
    mask = np.array([True, False, False])
    metrics = rows("fine_tuned", "none", "", score(logits, labels, mask)[0])
    metrics += rows("fine_tuned", "oracle", "test", score(logits, labels, mask)[0])
    lines = accuracy_lines(pd.DataFrame(metrics))
    words = [line.split("  ", 1) for line in lines if line]
    assert [name for name, _ in words] == [
        "averaged per sample", "fine-tuned", "fine-tuned + γ* (upper bound)", "test samples",
        "averaged per class (macro_…)", "fine-tuned", "fine-tuned + γ* (upper bound)",
    ]  # fmt: skip
    assert words[0][1].split() == ["acc_y_y", "acc_s_y", "acc_u_y", "acc_u_u", "ausuc"]
    assert words[1][1].split() == ["0.9286", "1.0000", "0.9000", "0.9000", "0.9000"]
    assert words[3][1].split() == ["14", "4", "10", "10", "14"]
    assert words[4][1].split() == ["acc_y_y", "acc_s_y", "acc_u_y", "acc_u_u", "ausuc", "f1"]
    assert words[5][1].split() == ["0.6667", "1.0000", "0.5000", "0.5000", "0.5000", "0.6491"]
    assert words[6][1].split() == words[5][1].split()
