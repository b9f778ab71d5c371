#!/usr/bin/env bash
# scikit-learn and netcal: a temperature fitted to float64 probabilities is twice too small for a model that is very sure.
#
# The guess: where probabilities are float64, their logarithm gives the logits back up to a constant per row, down to
# 1e-300. So temperature scaling finds the same from `predict_proba` as from `decision_function`, and netcal, which takes
# probabilities only, finds it too.
#
# Seen with scikit-learn 1.9.1 and netcal 1.4.0: samples are drawn from the softmax of 10 logits, and the logits multiplied by 20,
# as those of a network that was fine-tuned for long. From logits scikit-learn finds 20.4, where the loss is 1.35. From the
# float64 softmax of the same logits it finds 9.9, netcal 12.1, and the loss is 0.14 to 0.18 higher. With a factor of 3 all agree.
#
# Source: both cut probabilities at the type's epsilon, 2.2e-16, before the logarithm: no logit is more than 36 below the
# largest one then. float64 holds 1e-308.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv --quiet --python 3.11 venv
uv pip install --quiet --python venv/bin/python scikit-learn==1.9.1 netcal==1.4.0 torch==2.13.0 numpy==2.4.6 scipy==1.17.1

cat >temperature.py <<'PYTHON'
import sys
import warnings

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

warnings.simplefilter("ignore")
from netcal.scaling import TemperatureScaling


class Fitted(ClassifierMixin, BaseEstimator):
    """A classifier whose inputs are its logits."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return X.argmax(axis=1)


class OfLogits(Fitted):
    def decision_function(self, X):
        return X


class OfProbabilities(Fitted):
    def predict_proba(self, X):
        return softmax(X, axis=1)


def by_scikit_learn(classifier, logits, labels):
    calibrated = CalibratedClassifierCV(FrozenEstimator(classifier.fit(logits, labels)), method="temperature")
    calibrated.fit(logits, labels)
    return 1 / float(calibrated.calibrated_classifiers_[0].calibrators[0].beta_), calibrated.predict_proba(logits)


def by_netcal(logits, labels):
    scaling = TemperatureScaling()
    probabilities = softmax(logits, axis=1)
    scaling.fit(probabilities, labels)
    return 1 / float(scaling.temperature[0]), scaling.transform(probabilities)


rng = np.random.default_rng(0)
calibrated = rng.normal(0, 2, (4000, 10))
labels = np.array([rng.choice(10, p=p) for p in softmax(calibrated, axis=1)])
agree, lost = [], []
for factor in (3, 20):
    logits = calibrated * factor
    ways = {
        "scikit-learn, logits": by_scikit_learn(OfLogits(), logits, labels),
        "scikit-learn, probabilities": by_scikit_learn(OfProbabilities(), logits, labels),
        "netcal, probabilities": by_netcal(logits, labels),
    }
    for way, (temperature, probabilities) in ways.items():
        loss = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-300)).mean()
        print(f"logits times {factor}, {way}: temperature {temperature:.2f}, loss {loss:.3f}")
    first, *others = (temperature for temperature, _ in ways.values())
    agree.append(abs(first / factor - 1) < 0.05)
    lost.extend((factor == 20) == (temperature < 0.75 * first) for temperature in others)
sys.exit(not (all(agree) and all(lost)))
PYTHON

venv/bin/python temperature.py || {
    echo "this has changed" >&2
    exit 1
}
