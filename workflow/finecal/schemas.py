"""What every column of every table means: the reference page is made from it, and a test compares it with files."""

from __future__ import annotations

_RUN = {
    "dataset": "name of the data set in the study",
    "task": "source and target domain, `source-target`",
    "backbone": "name of the model in the study",
    "recipe": "name of the fine-tuning recipe in the study",
    "split": "name of the split of the classes into S and U; `all` for oracle fine-tuning",
    "seed": "seed of the fine-tuning run",
}
_PRETRAINED = {"dataset": _RUN["dataset"], "source": "source domain", "backbone": _RUN["backbone"]}
_HEAD = {
    "class": "class number, from 0",
    "name": "name of the class",
    "weight": "row of the last layer, a list of D float32",
    "bias": "bias of the last layer, float32",
    "scale": "scale of a cosine head, float32; missing for a linear one",
}
_GROUP = "fine_tuning (S) or absent (U)"
_LOGITS = {
    "sample": "number of the sample in images.parquet",
    "label": "class number, from 0",
    "subset": "train, validation or test",
    "logits": "unnormalised log-odds z, a list of C float32",
    "features": "what the last layer reads, a list of D float32",
}
_EPOCH = {
    "epoch": "epoch, from 1; 0 is before the first step",
    "step": "steps done",
    "loss": "mean loss of the epoch's steps",
    "lr": "learning rate of the head at the epoch's last step",
    "seconds": "seconds the epoch took",
}
_ACCURACIES = {
    "acc_s_y": "accuracy of the test samples of S, arg-max over all classes",
    "acc_u_y": "accuracy of the test samples of U, arg-max over all classes",
}
_CURVE = {
    "classifier": "pretrained or fine_tuned",
    "gamma": "a γ of the vertex, from −∞ to +∞",
    **_ACCURACIES,
    "acc_y_y": "accuracy of all test samples",
}
_READS = "data the calibrator reads: see `finecal list calibrators`"
_CALIBRATION = {
    "calibrator": "name of the calibrator in the study",
    "reads": _READS,
    "parameter": "name of a fitted parameter, such as gamma",
    "value": "its value, if it is a number",
    "values": "its values, if it is an array, in C order; left out of the table of all runs",
}
_METRICS = {
    "classifier": "pretrained, fine_tuned or oracle_fine_tuning",
    "calibrator": "name of the calibrator in the study; none for the classifier as it is",
    "reads": _READS,
    "metric": "name of the metric: see below",
    "value": "its value; accuracies are fractions from 0 to 1",
    "n": "number of samples it is computed from",
}

COLUMNS: dict[str, dict[str, str]] = {
    "images/{domain}.parquet": {
        "dataset": _RUN["dataset"],
        "domain": "name of the domain",
        "sample": "number of the sample, from 0",
        "class": "class number, from 0",
        "subset": "train, validation or test",
        "file": "the file that the sample was decoded from, if it was one",
        "pixels": "H × W × channels uint8 as bytes; the shape and the names of the classes are in the file's metadata",
    },
    "splits/{split}.parquet": {
        "dataset": _RUN["dataset"],
        "split": _RUN["split"],
        "class": "class number, from 0",
        "name": "name of the class",
        "group": _GROUP,
    },
    "pretrained/…/head.parquet": {**_PRETRAINED, **_HEAD},
    "pretrained/…/class_means.parquet": {
        **_PRETRAINED,
        "class": "class number, from 0",
        "name": "name of the class",
        "mean": "mean of the L2-normalised features of its training samples, a list of D float32",
    },
    "pretrained/…/history.parquet": {**_PRETRAINED, **_EPOCH, "acc_y_y": "accuracy of the source's test samples"},
    "{source}-{target}/{backbone}/pretrained/logits.parquet": {
        **{name: _RUN[name] for name in ("dataset", "task", "backbone")},
        "recipe": "pretrained",
        **_LOGITS,
    },
    "{run}/head.parquet": {**_RUN, **_HEAD},
    "{run}/history.parquet": {
        **_RUN,
        **_EPOCH,
        "weight_norm_fine_tuning": "mean L2 norm of the last layer's rows of S",
        "weight_norm_absent": "the same of U",
        "absent_true": "mean logit of the true class on the test samples of U",
        "absent_largest_absent": "mean of the largest other logit of U on them",
        "absent_largest_fine_tuning": "mean of the largest logit of S on them",
        "fine_tuning_true": "mean logit of the true class on the test samples of S",
        "fine_tuning_largest_fine_tuning": "mean of the largest other logit of S on them",
        "fine_tuning_largest_absent": "mean of the largest logit of U on them",
        **_ACCURACIES,
    },
    "{run}/logits.parquet": {**_RUN, **_LOGITS},
    "{run}/interpolated/logits.parquet": {
        **_RUN,
        **{k: v for k, v in _LOGITS.items() if k in ("sample", "label", "subset")},
        "alpha": "weight α of the fine-tuned model in (1 − α) θ⁰ + α θ",
        "logits": _LOGITS["logits"],
    },
    "{run}/pcv/logits.parquet": {
        **_RUN,
        "fold": "number of the pseudo-split, from 0",
        **{k: v for k, v in _LOGITS.items() if k in ("sample", "label")},
        "group": "fine_tuning if the label is in S′, absent if it is in U′",
        "logits": _LOGITS["logits"],
    },
    "{run}/pcv/history.parquet": {**_RUN, "fold": "number of the pseudo-split, from 0", **_EPOCH},
    "{run}/calibration.parquet": {**_RUN, **_CALIBRATION},
    "{run}/curve.parquet": {**_RUN, **_CURVE},
    "{run}/metrics.parquet": {**_RUN, **_METRICS},
    "{run}/gamma_draws.parquet": {
        **_RUN,
        "calibrator": "name of the calibrator in the study",
        "reads": _READS,
        "n_per_class": "largest number of samples of a class that γ was fitted on",
        "everything": "whether these are all samples",
        "n_samples": "samples in all; of pcv, those of all pseudo-splits together",
        "repeat": "number of the random draw, from 0",
        "gamma": "the fitted γ",
        "acc_y_y": "accuracy of all test samples with it",
        "best_gamma": "γ*, the best γ for the test labels",
        "best_acc_y_y": "acc_y_y with γ*",
    },
    "{run}/samples.parquet": {
        **_RUN,
        "sample": "number of the test sample in images.parquet",
        "label": _LOGITS["label"],
        "before": "class that the pretrained model predicts",
        "best_s": "class of S with the largest logit after fine-tuning: what is predicted while γ ≤ margin",
        "best_u": "class of U with the largest logit after fine-tuning: what is predicted for a larger γ",
        "margin": "largest logit of S minus the largest logit of U",
    },
    "{run}/export/{calibrator}/check.parquet": {
        **_RUN,
        "calibrator": _CALIBRATION["calibrator"],
        "compared": "with finecal's own logits of the same test images: folder (what timm loads), onnx (ONNX Runtime), "
        "timm_transform (the folder behind timm's own preprocessing)",
        "max_abs_difference": "largest difference of a logit",
        "same_prediction": "part of the images whose arg-max is the same",
        "n": "number of images",
    },
    "{run}/update_similarity.parquet": {
        **_RUN,
        "class": _HEAD["class"],
        "name": _HEAD["name"],
        "group": _GROUP,
        "cosine": "cosine of the class's row of ΔW = W − W⁰ of the last layer with the row of each class, a list of C "
        "float32; NaN where a row is zero",
    },
    "{run}/update_similarity_means.parquet": {
        **_RUN,
        "pairs": "pairs of different classes: fine_tuning (both of S), absent (both of U) or between (one of each)",
        "cosine": "mean of the pairs' cosines",
        "n": "number of pairs",
    },
    "{run}/feature_map.parquet": {
        **_RUN,
        "stage": "before or after fine-tuning; every sample is there twice",
        **{name: _LOGITS[name] for name in ("sample", "label")},
        "name": _HEAD["name"],
        "group": _GROUP,
        "x": "place of its features in the plane that both stages share (t-SNE; no unit)",
        "y": "see x",
    },
    "{run}/decision_regions.parquet": {
        **_RUN,
        "element": "sample (a test point) or region (a place of a grid); of the data set toy only",
        "classifier": "of a region: pretrained or fine_tuned",
        "calibrator": "of a region: none, or the calibrator whose γ is added",
        "x": "first coordinate, from −2 to 2",
        "y": "second coordinate, from −2 to 2",
        "class": "of a sample its class, of a region the predicted one",
        "name": _HEAD["name"],
        "group": _GROUP,
    },
    "tables/runs.parquet": {
        **_RUN,
        "built_in_recipe": "name of the built-in recipe",
        "optimizer": "timm's name of the optimiser",
        "lr": "learning rate of the head at the start",
        "backbone_lr_scale": "the backbone's learning rate as a multiple of the head's",
        "weight_decay": "weight decay, as the optimiser defines it",
        "momentum": "momentum, where the optimiser has one",
        "label_smoothing": "label smoothing",
        "batch_size": "samples per step",
        "epochs": "epochs of fine-tuning",
        "model": "timm's name of the model",
        "head": "kind of the last layer: linear or cosine",
        "split_kind": "kind of the split: random, clustered, classes or official",
        "split_seed": "seed of the split; missing where nothing is drawn",
        "n_fine_tuning": "number of classes in S",
        "n_absent": "number of classes in U",
    },
    "tables/cost.parquet": {
        "stage": "prepare, pretrain, extract_pretrained, finetune, pcv or extract; a row is a job",
        "dataset": _RUN["dataset"],
        "domain": "of prepare, its domain; of pretrain, the source domain",
        **{name: f"{_RUN[name]}; missing where the stage has none" for name in list(_RUN)[1:]},
        "device": "cpu, or the name of the GPU",
        "wall_seconds": "wall time; with the next two from Snakemake's benchmark file of the job's last attempt, "
        "NaN if results were copied without it. Of a training that went on from its state, the earlier attempts are "
        "added, up to the last save of each",
        "cpu_seconds": "CPU time of all threads, sampled twice a second, after 15 s every 30 s; NaN if the job was "
        "over before the first sample",
        "peak_memory_mib": "largest sample of the resident memory, in 2²⁰ bytes",
        "peak_gpu_memory_mib": "most memory of torch's tensors on the GPU; NaN on the CPU, and for logits that the "
        "training job has left",
    },
}

METRICS: dict[str, str] = {
    "acc_y_y": "accuracy of all test samples, arg-max over all classes",
    **_ACCURACIES,
    "acc_s_s": "accuracy of the test samples of S, arg-max over S only",
    "acc_u_u": "accuracy of the test samples of U, arg-max over U only: the relations among the absent classes",
    "harmonic_mean": "harmonic mean of acc_s_y and acc_u_y",
    "ausuc": "area under the seen–unseen curve, from 0 to 1",
    "nll": "mean negative log-likelihood of the true class, in nats",
    "ece": "expected calibration error, 15 bins of equal width",
    "ncm_acc_y_y": "acc_y_y of the nearest class mean: cosine to the mean normalised training features of each class",
    "ncm_acc_s_y": "acc_s_y of the nearest class mean",
    "ncm_acc_u_y": "acc_u_y of the nearest class mean: the features of the absent classes",
    "ncm_acc_s_s": "acc_s_s of the nearest class mean",
    "ncm_acc_u_u": "acc_u_u of the nearest class mean",
}
