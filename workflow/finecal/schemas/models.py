"""Tables that trainings and models leave: heads, histories, class means, logits."""

from __future__ import annotations

import pyarrow as pa

from finecal.schemas import columns
from finecal.schemas.columns import FLOAT32, FLOAT64, INT32, INT64, OF_PRETRAINED, OF_RUN, column, list_column

_HEAD = (
    columns.CLASS,
    columns.CLASS_NAME,
    list_column("weight", FLOAT32, "row of the last layer", "D"),
    column("bias", FLOAT32, "bias of the last layer"),
    column("scale", FLOAT32, "scale of a cosine head; missing for a linear one"),
)
PRETRAINED_HEAD = pa.schema([*OF_PRETRAINED, *_HEAD])
HEAD = pa.schema([*OF_RUN, *_HEAD])

CLASS_MEANS = pa.schema(
    [
        *OF_PRETRAINED,
        columns.CLASS,
        columns.CLASS_NAME,
        list_column(
            "mean",
            FLOAT32,
            "mean of the L2-normalised features of the class's training samples; NaN for a class that has none",
            "D",
        ),
    ]
)

_EPOCH = (
    column("epoch", INT64, "epoch, from 1; 0 is before the first step"),
    column("step", INT64, "steps done"),
    column("loss", FLOAT64, "mean loss of the epoch's steps"),
    column("lr", FLOAT64, "learning rate of the head at the epoch's last step"),
    column("seconds", FLOAT64, "seconds the epoch took"),
)
PRETRAINED_HISTORY = pa.schema(
    [*OF_PRETRAINED, *_EPOCH, column("acc_y_y", FLOAT64, "accuracy of the source's test samples")]
)
PSEUDO_HISTORY = pa.schema([*OF_RUN, column("fold", INT64, columns.FOLD), *_EPOCH])
HISTORY = pa.schema(
    [
        *OF_RUN,
        *_EPOCH,
        column("weight_norm_fine_tuning", FLOAT64, "mean L2 norm of the last layer's rows of S"),
        column("weight_norm_absent", FLOAT64, "the same of U"),
        column("absent_true", FLOAT64, "mean logit of the true class on the test samples of U"),
        column("absent_largest_absent", FLOAT64, "mean of the largest other logit of U on them"),
        column("absent_largest_fine_tuning", FLOAT64, "mean of the largest logit of S on them"),
        column("fine_tuning_true", FLOAT64, "mean logit of the true class on the test samples of S"),
        column("fine_tuning_largest_fine_tuning", FLOAT64, "mean of the largest other logit of S on them"),
        column("fine_tuning_largest_absent", FLOAT64, "mean of the largest logit of U on them"),
        column("acc_s_y", FLOAT64, "accuracy of the test samples of S, arg-max over all classes"),
        column("acc_u_y", FLOAT64, "accuracy of the test samples of U, arg-max over all classes"),
    ]
)

_VALUES = list_column("logits", FLOAT32, "unnormalised log-odds z", "C")
_FEATURES = list_column("features", FLOAT32, "what the last layer reads", "D")
_LOGITS = (columns.SAMPLE, columns.LABEL, columns.SUBSET, _VALUES, _FEATURES)
PRETRAINED_LOGITS = pa.schema(
    [columns.DATASET, columns.TASK, columns.BACKBONE, column("recipe", columns.TEXT, "pretrained"), *_LOGITS]
)
LOGITS = pa.schema([*OF_RUN, *_LOGITS])
INTERPOLATED = pa.schema(
    [
        *OF_RUN,
        columns.SAMPLE,
        columns.LABEL,
        columns.SUBSET,
        column("alpha", FLOAT64, "weight α of the fine-tuned model in (1 − α) θ⁰ + α θ"),
        _VALUES,
    ]
)
PSEUDO_LOGITS = pa.schema(
    [
        *OF_RUN,
        column("fold", INT32, columns.FOLD),
        columns.SAMPLE,
        columns.LABEL,
        column("group", columns.TEXT, "fine_tuning if the label is in S′, absent if it is in U′"),
        _VALUES,
    ]
)
