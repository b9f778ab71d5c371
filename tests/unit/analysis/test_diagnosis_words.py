"""The answer in words: every verdict there is, and that nothing more is said than the numbers allow."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from result_tables import RUNS, made_calibration, made_metrics

from finecal.analysis.diagnosis import Answer, diagnose, overall
from finecal.analysis.findings import DAMAGED, IMPROVED, NO_VERDICT, NOT_BY_SCALE, NOT_MEASURED, TOO_DEAR, UNCHANGED

TWO_SPLITS = (
    "There are two splits: how much splits differ is hardly known, so the intervals are wide. Four splits with one "
    "seed say far more than two with two."
)


def answer(metrics: pd.DataFrame, calibration: pd.DataFrame | None = None) -> Answer:
    (found,) = diagnose(metrics, made_calibration() if calibration is None else calibration)
    return found


def test_the_papers_story() -> None:
    found = answer(made_metrics())
    features, relations, scale = found.findings
    assert (features.verdict, relations.verdict, scale.verdict) == (IMPROVED, UNCHANGED, DAMAGED)
    assert found.title == "digits, printed → handwritten (resnet10t, full)"
    assert found.headline == (
        "Damaged: the logit scale (γ*, an upper bound, brings back all of the loss and more). "
        "Unchanged within uncertainty: the relations among the absent classes. Improved: the features."
    )
    assert found.scope == TWO_SPLITS
    assert scale.difference == pytest.approx(-0.4)
    assert scale.low < -0.4 < scale.high < 0
    assert scale.brought_back == pytest.approx(0.45)
    assert scale.share == pytest.approx(0.45 / 0.4)
    assert (scale.n_runs, scale.n_samples) == (4, 4000)
    assert features.words.startswith(
        "Features: improved. The nearest-class-mean accuracy on absent classes went from 90.0 % to 92.0 %: +2.0 points"
    )
    assert features.words.endswith("(4 runs, 4,000 test samples each).")
    assert "on fine-tuning classes by −5.0 points [−5.1, −4.9] and on all classes by +20.0 points" in scale.words


def test_share_of_the_loss_that_gamma_brings_back() -> None:
    scale = answer(made_metrics(changes={("fine_tuned", "oracle", "acc_u_y"): 0.54})).findings[2]
    assert scale.share == pytest.approx(0.75)
    assert "brings back +30.0 points [29.9, 30.1], 75 % of the loss" in scale.words


def test_gamma_does_not_help_where_the_relations_fell_too() -> None:
    changes = {("fine_tuned", "oracle", "acc_u_y"): 0.24, ("fine_tuned", "none", "acc_u_u"): 0.3}
    found = answer(made_metrics(changes=changes))
    scale = found.findings[2]
    assert scale.verdict == NOT_BY_SCALE
    assert "γ does not help, and this loss is not one of the logit scale alone" in scale.words
    assert "The absent classes lost accuracy, and γ does not bring it back." in found.headline
    assert "γ cannot repair the relations among the absent classes." in found.headline


def test_gamma_star_that_stays_away_is_no_proof_against_the_scale() -> None:
    """With few samples of U the best γ for all classes is near zero, though a larger one would bring U back."""
    found = answer(made_metrics(changes={("fine_tuned", "oracle", "acc_u_y"): 0.24}))
    scale = found.findings[2]
    assert scale.verdict == TOO_DEAR
    assert "cost the fine-tuning classes more than it gains" in scale.words
    assert "not one of the logit scale" not in scale.words
    assert "bringing it back with γ costs more than it gains" in found.headline


def spread(metrics: pd.DataFrame, classifier: str, calibrator: str, steps: list[float]) -> pd.DataFrame:
    """The metrics with one run's acc_u_y after another moved by a step."""
    chosen = (metrics["classifier"] == classifier) & (metrics["calibrator"] == calibrator)
    metrics.loc[chosen & (metrics["metric"] == "acc_u_y"), "value"] += steps
    return metrics


def test_an_interval_around_zero_claims_nothing_about_gamma() -> None:
    found = answer(spread(made_metrics(), "fine_tuned", "oracle", [-0.55, 0.05, -0.5, 0.1]))
    scale = found.findings[2]
    assert scale.verdict == DAMAGED
    assert math.isnan(scale.share)
    assert scale.brought_back == pytest.approx(0.45 - 0.225)
    assert "+22.5 points [−9.3, 54.3]: whether γ brings it back cannot be told from chance." in scale.words
    assert found.headline.startswith(
        "Damaged: the accuracy on absent classes. Whether γ brings it back cannot be told from chance."
    )
    assert "does not" not in found.headline + scale.words


def test_one_run_does_not_say_that_gamma_is_useless() -> None:
    changes = {("fine_tuned", "oracle", "acc_u_y"): 0.2}
    found = answer(made_metrics(RUNS[:1], changes=changes), made_calibration(RUNS[:1]))
    assert found.findings[2].verdict == TOO_DEAR  # its 4,000 test samples of U tell
    unknown = made_metrics(RUNS[:1], changes=changes).drop(columns="influences")
    found = answer(unknown, made_calibration(RUNS[:1]))
    assert found.findings[2].verdict == NO_VERDICT
    assert "changes this accuracy by −4.0 points; that does not tell whether γ helps." in found.findings[2].words


def test_gamma_star_is_the_oracle_and_no_other_method_that_reads_test_labels() -> None:
    metrics = made_metrics()
    other = metrics[metrics["calibrator"] == "oracle"].assign(calibrator="mine", value=0.3)
    found = answer(pd.concat([other, metrics]))
    assert found.findings[2].brought_back == pytest.approx(0.45)


def test_damage_beyond_the_reach_of_gamma_is_said_with_its_bound() -> None:
    changes = {("fine_tuned", "none", "ncm_acc_u_y"): 0.8, ("fine_tuned", "none", "acc_u_u"): 0.5}
    found = answer(made_metrics(changes=changes))
    assert "γ cannot repair the features and the relations among the absent classes." in found.headline
    assert (
        "γ cannot repair the features and the relations among the absent classes: with any γ the accuracy on absent "
        "classes is at most acc_u_u = 50.0 % [49.0, 51.0] (4 runs, 4,000 test samples each)."
    ) in found.advice.words
    worse = {("fine_tuned", name, "acc_y_y"): 0.5 for name in ("alg", "pcv")}
    left = answer(made_metrics(changes={**changes, **worse})).advice
    assert left.calibrator == "none"
    assert "Leave the model as it is" in left.words
    assert "at most acc_u_u = 50.0 %" in left.words
    assert "γ cannot repair" not in answer(made_metrics()).advice.words


def test_damaged_features_are_called_damaged() -> None:
    found = answer(made_metrics(changes={("fine_tuned", "none", "ncm_acc_u_y"): 0.8}))
    assert found.findings[0].verdict == DAMAGED
    assert found.headline.startswith("Damaged: the features and the logit scale")


def test_no_loss_no_damage() -> None:
    found = answer(made_metrics(changes={("fine_tuned", "none", "acc_u_y"): 0.64}))
    scale = found.findings[2]
    assert scale.verdict == UNCHANGED
    assert math.isnan(scale.share)
    assert "No loss that can be told from chance; γ*" in scale.words
    assert found.headline.startswith("No damage beyond uncertainty.")
    assert "the relations among the absent classes and the accuracy on absent classes" in found.headline


def test_a_loss_within_uncertainty_is_not_called_none() -> None:
    found = answer(
        spread(
            made_metrics(changes={("fine_tuned", "none", "acc_u_y"): 0.6}), "fine_tuned", "none", [-0.1, 0.0, 0.1, 0.0]
        )
    )
    scale = found.findings[2]
    assert scale.difference == pytest.approx(-0.04)
    assert scale.verdict == UNCHANGED
    assert "No loss that can be told from chance" in scale.words
    assert "No loss here" not in scale.words


def test_a_gain_is_no_loss() -> None:
    found = answer(made_metrics(changes={("fine_tuned", "none", "acc_u_y"): 0.9}))
    assert found.findings[2].verdict == IMPROVED
    assert "No loss here; γ*" in found.findings[2].words


def test_without_gamma_star_the_loss_is_not_blamed_on_the_scale() -> None:
    metrics = made_metrics()
    found = answer(metrics[metrics["calibrator"] != "oracle"])
    assert "γ* was not computed" in found.findings[2].words
    assert found.headline.startswith("Damaged: the accuracy on absent classes.")


def test_one_run_gets_numbers_but_no_verdict() -> None:
    found = answer(made_metrics(RUNS[:1]).drop(columns="influences"), made_calibration(RUNS[:1]))
    assert {finding.verdict for finding in found.findings} == {NO_VERDICT}
    assert found.headline == "Too few runs and test samples for an interval, and so for a verdict."
    assert "(1 run, 4,000 test samples)" in found.findings[0].words
    assert "[" not in found.findings[0].words
    assert found.advice.calibrator == "none"
    assert "too few runs and test samples to say whether that is a gain" in found.advice.words


def test_one_run_with_known_samples_gets_a_verdict_and_advice() -> None:
    found = answer(made_metrics(RUNS[:1]), made_calibration(RUNS[:1]))
    assert found.findings[2].verdict == DAMAGED
    assert found.scope == (
        "There is one training only: the intervals are over its test samples, and whether it is so for other seeds and "
        "splits is not known."
    )
    assert "one run, no spread" in found.advice.do


def test_one_split_is_said_to_be_one() -> None:
    found = answer(made_metrics(RUNS[:2]), made_calibration(RUNS[:2]))
    assert "There is one split only: the intervals are for this split" in found.scope


def test_what_was_not_measured_is_said() -> None:
    metrics = made_metrics()
    found = answer(metrics[metrics["classifier"] != "pretrained"])
    assert {finding.verdict for finding in found.findings} == {NOT_MEASURED}
    assert found.headline == (
        "Without the pretrained model what was damaged is not known. "
        "With γ* (an upper bound) the accuracy on absent classes is 69.0 % instead of 24.0 %."
    )
    scale = found.findings[2].words
    assert "24.0 % [23.0, 25.0] with the arg-max over all classes and 80.0 % [79.0, 81.0] with the arg-max" in scale
    assert "(4 runs, 4,000 test samples each): the fine-tuning classes take 56.0 points, and γ can bring back" in scale
    assert "γ*, chosen on the test labels (an upper bound), changes this accuracy by +45.0 points [" in scale
    assert found.advice.calibrator == "pcv"  # still known


def test_advice_is_the_best_method_that_reads_no_test_labels() -> None:
    advice = answer(made_metrics()).advice
    assert advice.calibrator == "pcv"  # γ* would be better
    assert advice.difference == pytest.approx(0.15)
    assert advice.gamma_mean == pytest.approx(2)
    assert advice.gamma_spread == pytest.approx(math.sqrt(4 / 3))  # 1, 3, 1, 3
    assert advice.do.startswith("Add γ = 2.00 ± 1.15 (PCV; mean ± standard deviation over runs) to the absent logits")
    assert advice.do.endswith("against plain fine-tuning, over the fine-tuning classes −5.0 points [−5.1, −4.9].")
    assert "It reads the training data of the fine-tuning classes and further trainings" in advice.words
    assert "It is better than ALG by +5.0 points [" in advice.words
    assert "allowing for the number of methods (2)." in advice.words
    assert advice.code.splitlines() == [
        "gamma = 2.0000",
        "absent = [c for c in range(logits.shape[1]) if c not in fine_tuning_classes]",
        "logits[:, absent] += gamma",
    ]


def test_the_simplest_gamma_is_advised_where_another_is_not_better_beyond_uncertainty() -> None:
    """PCV is 5 points ahead in the mean, but a split decides which of the two is better."""
    metrics = made_metrics()
    of_pcv = (metrics["calibrator"] == "pcv") & (metrics["metric"] == "acc_y_y")
    metrics.loc[of_pcv, "value"] += [-0.06, -0.06, 0.06, 0.06]
    advice = answer(metrics).advice
    assert advice.calibrator == "alg"
    assert "No other method (1 without settings by hand) is better beyond uncertainty." in advice.words


def test_another_method_is_not_called_better_than_the_first_where_that_is_not_known() -> None:
    """ALG gains in the mean but not in each split; PCV gains surely, and the difference of the two is unsure."""
    metrics = made_metrics()
    of_alg = (metrics["calibrator"] == "alg") & (metrics["metric"] == "acc_y_y")
    metrics.loc[of_alg, "value"] += [-0.1, -0.1, 0.1, 0.1]
    advice = answer(metrics).advice
    assert advice.calibrator == "pcv"
    assert "ALG, which is tried first, shows no gain beyond uncertainty." in advice.words
    assert "better than ALG" not in advice.words


def test_labels_are_advised_where_class_means_are_far_above_gamma() -> None:
    assert "Labels would help more: with class means" in answer(made_metrics()).advice.words  # 92 % and 69 %
    near = made_metrics(changes={("fine_tuned", "none", "ncm_acc_u_y"): 0.75})
    assert "Labels would help" not in answer(near).advice.words


def test_a_weak_pretrained_model_is_called_weak() -> None:
    weak = made_metrics(changes={("pretrained", "none", "acc_u_y"): 0.4})
    assert "The pretrained model itself is weak here: 40.0 % [" in answer(weak).advice.words
    assert "weak" not in answer(made_metrics()).advice.words


def test_advice_is_to_leave_it_when_nothing_helps() -> None:
    worse = {("fine_tuned", name, "acc_y_y"): value for name, value in (("alg", 0.6), ("pcv", 0.55))}
    advice = answer(made_metrics(changes=worse)).advice
    assert advice.calibrator == "none"
    assert "Leave the model as it is" in advice.words
    assert "ALG changes it by 0.0 points [0.0, 0.0]: no gain beyond uncertainty" in advice.words
    assert "γ*, the best γ, chosen on the test labels (an upper bound), would gain +20.0 points [" in advice.words
    metrics = made_metrics()
    nothing = answer(metrics[metrics["calibrator"].isin(["none", "oracle"])]).advice
    assert nothing.words.startswith("No calibrator without test labels was computed.")


def test_several_settings() -> None:
    bad = made_metrics(changes={("fine_tuned", "none", "ncm_acc_u_y"): 0.8}, task="a-b")
    answers = diagnose(pd.concat([made_metrics(), bad]), made_calibration())
    assert overall(answers) == [
        "Features: improved in 1, damaged in 1 of 2 settings.",
        "Relations among the absent classes: unchanged within uncertainty in 2 of 2 settings.",
        "Logit scale: damaged in 2 of 2 settings.",
    ]
    assert overall(answers[:1]) == []
    assert [found.setting[1] for found in answers] == ["printed-handwritten", "a-b"]
    assert answers[1].advice.words.startswith("Use PCV: ")  # its γ is not in the table
