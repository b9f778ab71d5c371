"""Every table that finecal writes: names, types and meanings of its columns, each declared once.

A schema is called like the constant of its path in `finecal.paths`: `schemas.METRICS` is that of `paths.METRICS`.
"""

from __future__ import annotations

import pyarrow as pa

from finecal.schemas.columns import (
    coordinate,
    description,
    has_length,
    own_columns,
    select,
    sized,
    type_name,
    without,
)
from finecal.schemas.inputs import IMAGES, SPLIT
from finecal.schemas.models import (
    CLASS_MEANS,
    HEAD,
    HISTORY,
    INTERPOLATED,
    LOGITS,
    PRETRAINED_HEAD,
    PRETRAINED_HISTORY,
    PRETRAINED_LOGITS,
    PSEUDO_HISTORY,
    PSEUDO_LOGITS,
)
from finecal.schemas.overview import COST, RUNS
from finecal.schemas.results import (
    CALIBRATION,
    CHECK,
    CURVE,
    DECISION_REGIONS,
    FEATURE_MAP,
    GAMMA_DRAWS,
    METRICS,
    SAMPLES,
    UPDATE_SIMILARITY,
    UPDATE_SIMILARITY_MEANS,
)

__all__ = [
    "CALIBRATION",
    "CHECK",
    "CLASS_MEANS",
    "COST",
    "CURVE",
    "DECISION_REGIONS",
    "FEATURE_MAP",
    "GAMMA_DRAWS",
    "HEAD",
    "HISTORY",
    "IMAGES",
    "INTERPOLATED",
    "LOGITS",
    "METRICS",
    "METRIC_MEANINGS",
    "PRETRAINED_HEAD",
    "PRETRAINED_HISTORY",
    "PRETRAINED_LOGITS",
    "PSEUDO_HISTORY",
    "PSEUDO_LOGITS",
    "RUNS",
    "SAMPLES",
    "SPLIT",
    "TABLES",
    "UPDATE_SIMILARITY",
    "UPDATE_SIMILARITY_MEANS",
    "coordinate",
    "description",
    "has_length",
    "own_columns",
    "select",
    "sized",
    "type_name",
    "without",
]

# Where a table is, in the order of the pipeline → its schema.
TABLES: dict[str, pa.Schema] = {
    "images/{domain}.parquet": IMAGES,
    "splits/{split}.parquet": SPLIT,
    "pretrained/…/head.parquet": PRETRAINED_HEAD,
    "pretrained/…/class_means.parquet": CLASS_MEANS,
    "pretrained/…/history.parquet": PRETRAINED_HISTORY,
    "{source}-{target}/{backbone}/pretrained/logits.parquet": PRETRAINED_LOGITS,
    "{run}/head.parquet": HEAD,
    "{run}/history.parquet": HISTORY,
    "{run}/logits.parquet": LOGITS,
    "{run}/interpolated/logits.parquet": INTERPOLATED,
    "{run}/pcv/logits.parquet": PSEUDO_LOGITS,
    "{run}/pcv/history.parquet": PSEUDO_HISTORY,
    "{run}/calibration.parquet": CALIBRATION,
    "{run}/curve.parquet": CURVE,
    "{run}/metrics.parquet": METRICS,
    "{run}/gamma_draws.parquet": GAMMA_DRAWS,
    "{run}/samples.parquet": SAMPLES,
    "{run}/export/{calibrator}/check.parquet": CHECK,
    "{run}/update_similarity.parquet": UPDATE_SIMILARITY,
    "{run}/update_similarity_means.parquet": UPDATE_SIMILARITY_MEANS,
    "{run}/feature_map.parquet": FEATURE_MAP,
    "{run}/decision_regions.parquet": DECISION_REGIONS,
    "tables/runs.parquet": RUNS,
    "tables/cost.parquet": COST,
}

METRIC_MEANINGS: dict[str, str] = {
    "acc_y_y": "accuracy of all test samples, arg-max over all classes: the mean over samples, as in the paper",
    "acc_s_y": "accuracy of the test samples of S, arg-max over all classes",
    "acc_u_y": "accuracy of the test samples of U, arg-max over all classes",
    "acc_s_s": "accuracy of the test samples of S, arg-max over S only",
    "acc_u_u": "accuracy of the test samples of U, arg-max over U only: the relations among the absent classes",
    "harmonic_mean": "harmonic mean of acc_s_y and acc_u_y",
    "ausuc": "area under the seen–unseen curve of acc_u_y over acc_s_y, both per sample, from 0 to 1",
    "nll": "mean negative log-likelihood of the true class, in nats",
    "ece": "expected calibration error, 15 bins of equal width",
    "macro_acc_y_y": "acc_y_y per class: mean over the classes with test samples of the class's recall, the part of "
    "its samples that are right (WILDS: macro recall)",
    "macro_acc_s_y": "acc_s_y per class: mean recall of the classes of S, arg-max over all classes",
    "macro_acc_u_y": "acc_u_y per class: mean recall of the classes of U, arg-max over all classes",
    "macro_acc_s_s": "acc_s_s per class: mean recall of the classes of S, arg-max over S only",
    "macro_acc_u_u": "acc_u_u per class: mean recall of the classes of U, arg-max over U only",
    "macro_harmonic_mean": "harmonic mean of macro_acc_s_y and macro_acc_u_y",
    "macro_ausuc": "area under the seen–unseen curve of macro_acc_u_y over macro_acc_s_y: what the literature on "
    "generalised zero-shot learning calls AUSUC",
    "macro_f1": "mean over the classes with test samples of F1, 2 · right ÷ (samples of the class + samples predicted "
    "as it): as in WILDS, whereas scikit-learn by default also averages over classes that are only predicted",
    "ncm_acc_y_y": "acc_y_y of the nearest class mean: cosine to the mean normalised training features of each class",
    "ncm_acc_s_y": "acc_s_y of the nearest class mean",
    "ncm_acc_u_y": "acc_u_y of the nearest class mean: the features of the absent classes",
    "ncm_acc_s_s": "acc_s_s of the nearest class mean",
    "ncm_acc_u_u": "acc_u_u of the nearest class mean",
    "cdnv_u_u": "class-distance-normalised variance of the features of U: the mean over pairs of classes of the mean "
    "of their variances divided by the squared distance of their means; lower is better, and it does not saturate",
}
