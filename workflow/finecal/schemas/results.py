"""Tables of what is computed from the logits and heads of a run."""

from __future__ import annotations

import pyarrow as pa

from finecal.schemas import columns
from finecal.schemas.columns import FLOAT32, FLOAT64, INT32, INT64, OF_RUN, TEXT, column, list_column

CALIBRATION = pa.schema(
    [
        *OF_RUN,
        columns.CALIBRATOR,
        columns.READS,
        column("parameter", TEXT, "name of a fitted parameter, such as gamma"),
        column("value", FLOAT64, "its value, if it is a number"),
        list_column("values", FLOAT64, "its values, if it is an array, in C order; left out of the table of all runs"),
    ]
)
CURVE = pa.schema(
    [
        *OF_RUN,
        column("classifier", TEXT, "pretrained or fine_tuned"),
        column("gamma", FLOAT64, "a γ of the vertex, from −∞ to +∞"),
        column("acc_s_y", FLOAT64, "accuracy of the test samples of S, arg-max over all classes"),
        column("acc_u_y", FLOAT64, "accuracy of the test samples of U, arg-max over all classes"),
        column("acc_y_y", FLOAT64, "accuracy of all test samples"),
        column("macro_acc_s_y", FLOAT64, "acc_s_y averaged per class: mean recall of the classes of S"),
        column("macro_acc_u_y", FLOAT64, "acc_u_y averaged per class"),
        column("macro_acc_y_y", FLOAT64, "acc_y_y averaged per class"),
    ]
)
METRICS = pa.schema(
    [
        *OF_RUN,
        column("classifier", TEXT, "pretrained, fine_tuned or oracle_fine_tuning"),
        column("calibrator", TEXT, "name of the calibrator in the study; none for the classifier as it is"),
        columns.READS,
        column("metric", TEXT, "name of the metric: see below"),
        column("value", FLOAT64, "its value; accuracies are fractions from 0 to 1"),
        column("n", INT64, "number of samples it is computed from"),
        list_column(
            "influences",
            FLOAT32,
            "what at most 250 random groups of test samples contribute to its error; the groups are the same for all "
            "runs with the same test samples, and the sum of squares is its sampling variance",
        ),
        column("bias", FLOAT64, "how much too large the value may be for want of samples, in the mean; of ece, else 0"),
    ]
)
GAMMA_DRAWS = pa.schema(
    [
        *OF_RUN,
        columns.CALIBRATOR,
        columns.READS,
        column("n_per_class", INT64, "largest number of samples of a class that γ was fitted on"),
        column("everything", pa.bool_(), "whether these are all samples"),
        column("n_samples", INT64, "samples in all; of pcv, those of all pseudo-splits together"),
        column("repeat", INT64, "number of the random draw, from 0"),
        column("gamma", FLOAT64, "the fitted γ"),
        column("acc_y_y", FLOAT64, "accuracy of all test samples with it"),
        column("best_gamma", FLOAT64, "γ*, the best γ for the test labels"),
        column("best_acc_y_y", FLOAT64, "acc_y_y with γ*"),
    ]
)
SAMPLES = pa.schema(
    [
        *OF_RUN,
        column("sample", INT32, "number of the test sample in images.parquet"),
        columns.LABEL,
        column("before", INT32, "class that the pretrained model predicts"),
        column(
            "best_s", INT32, "class of S with the largest logit after fine-tuning: what is predicted while γ ≤ margin"
        ),
        column(
            "best_u", INT32, "class of U with the largest logit after fine-tuning: what is predicted for a larger γ"
        ),
        column("margin", FLOAT64, "largest logit of S minus the largest logit of U"),
    ]
)
CHECK = pa.schema(
    [
        *OF_RUN,
        columns.CALIBRATOR,
        column(
            "compared",
            TEXT,
            "with finecal's own logits of the same test images: folder (what timm loads), onnx (ONNX Runtime), "
            "files and files_onnx (both, from the image files, prepared by prepare.py), timm_transform (the folder "
            "behind timm's own preprocessing)",
        ),
        column("max_abs_difference", FLOAT64, "largest difference of a logit"),
        column("same_prediction", FLOAT64, "part of the images whose arg-max is the same"),
        column("n", INT64, "number of images"),
    ]
)
UPDATE_SIMILARITY = pa.schema(
    [
        *OF_RUN,
        columns.CLASS,
        columns.CLASS_NAME,
        columns.GROUP,
        # Lists without a fixed length: tables of data sets with different classes concatenate.
        list_column(
            "cosine",
            FLOAT32,
            "cosine of the class's row of ΔW = W − W⁰ of the last layer with the row of each class; NaN where a row is "
            "zero",
        ),
    ]
)
UPDATE_SIMILARITY_MEANS = pa.schema(
    [
        *OF_RUN,
        column(
            "pairs",
            TEXT,
            "pairs of different classes: fine_tuning (both of S), absent (both of U) or between (one of each)",
        ),
        column("cosine", FLOAT64, "mean of the pairs' cosines"),
        column("n", INT64, "number of pairs"),
    ]
)
FEATURE_MAP = pa.schema(
    [
        *OF_RUN,
        column("stage", TEXT, "before or after fine-tuning; every sample is there twice"),
        columns.SAMPLE,
        columns.LABEL,
        columns.CLASS_NAME,
        columns.GROUP,
        column("x", FLOAT32, "place of its features in the plane that both stages share (t-SNE; no unit)"),
        column("y", FLOAT32, "see x"),
    ]
)
DECISION_REGIONS = pa.schema(
    [
        *OF_RUN,
        column("element", TEXT, "sample (a test point) or region (a place of a grid); of the data set toy only"),
        column("classifier", TEXT, "of a region: pretrained or fine_tuned"),
        column("calibrator", TEXT, "of a region: none, or the calibrator whose γ is added"),
        column("x", FLOAT64, "first coordinate, from −2 to 2"),
        column("y", FLOAT64, "second coordinate, from −2 to 2"),
        column("class", INT32, "of a sample its class, of a region the predicted one"),
        columns.CLASS_NAME,
        columns.GROUP,
    ]
)
