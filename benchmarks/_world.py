"""A world of synthetic logits whose truth is known: splits, trainings and test samples as on the embedded digits.

Ten classes, five of them in S. A sample has its own difficulty, which all models share; a split has its own gap between
the logits of S and of U, which its seeds share; a training adds its own gap and its own noise. The sizes are chosen so
that acc_y_y has a standard deviation of about 4.5 points between splits and 0.9 between seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from finecal.metrics.classifiers import FINE_TUNED, PRETRAINED
from finecal.metrics.scores import AnyGamma, rows

CLASSES, IN_S = 10, 5
NAMES = {"dataset": "synthetic", "task": "a-b", "backbone": "model", "recipe": "full"}


@dataclass(frozen=True)
class World:
    """What fine-tuning does here.

    Attributes
    ----------
    gap, gap_split, gap_seed
        Mean of what S's logits grow by, and its standard deviations over splits and over seeds.
    signal_s
        What the logit of the true class grows by for samples of S.
    noise
        Part of the variance of a sample's logits that a training draws anew, the rest being shared by all models. So
        training alone changes no expectation.
    gammas, gamma_noise
        Name of a calibrator → its γ, and their standard deviation over trainings.
    """

    gap: float = 1.7
    gap_split: float = 0.32
    gap_seed: float = 0.08
    signal_s: float = 1.5
    noise: float = 0.1
    gammas: tuple[tuple[str, float], ...] = (("alg", 0.7),)
    gamma_noise: float = 0.2


DAMAGE = World()
NOTHING = World(gap=0.0, gap_split=0.15, signal_s=0.0, gammas=tuple((f"m{k}", 0.02 * (k - 4)) for k in range(8)))


@dataclass(frozen=True, eq=False)
class Samples:
    """Test samples: labels (N,); of logits and of scores of features the signal and the shared noise, (N, C) each."""

    labels: np.ndarray
    logits: tuple[np.ndarray, np.ndarray]
    features: tuple[np.ndarray, np.ndarray]

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator) -> Samples:
        """Draw n samples with labels at random."""
        labels = rng.integers(0, CLASSES, n)
        true = np.eye(CLASSES)[labels]
        parts = [(size * true, rng.standard_normal((n, CLASSES))) for size in (2.2, 3.0)]
        return cls(labels, *parts)


def retrained(parts: tuple[np.ndarray, np.ndarray], noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return (N, C) scores of another model for the same samples."""
    signal, shared = parts
    drawn: np.ndarray = signal + np.sqrt(1 - noise) * shared + np.sqrt(noise) * rng.standard_normal(shared.shape)
    return drawn


@dataclass(frozen=True)
class Split:
    """Classes of S as a mask, and the split's own part of the gap."""

    mask: np.ndarray
    gap: float

    @classmethod
    def draw(cls, world: World, rng: np.random.Generator) -> Split:
        """Draw a split."""
        mask = np.zeros(CLASSES, bool)
        mask[rng.permutation(CLASSES)[:IN_S]] = True
        return cls(mask, world.gap + world.gap_split * rng.standard_normal())


def run_rows(world: World, samples: Samples, split: Split, rng: np.random.Generator) -> list[dict[str, object]]:
    """Train once and score: rows of the metrics table of one run, without split and seed."""
    n, labels, mask = len(samples.labels), samples.labels, split.mask
    of_s = mask[labels]
    found = rows(PRETRAINED, "none", "", AnyGamma.of(sum(samples.logits), labels, mask).score(0.0))
    tuned = retrained(samples.logits, world.noise, rng)
    tuned[np.arange(n), labels] += world.signal_s * of_s
    tuned[:, mask] += split.gap + world.gap_seed * rng.standard_normal()
    of_tuned = AnyGamma.of(tuned, labels, mask)
    found += rows(FINE_TUNED, "none", "", of_tuned.score(0.0))
    for name, gamma in world.gammas:
        found += rows(
            FINE_TUNED, name, "train_fine_tuning", of_tuned.score(gamma + world.gamma_noise * rng.standard_normal())
        )
    features = retrained(samples.features, world.noise, rng)
    for who, scores in ((PRETRAINED, sum(samples.features)), (FINE_TUNED, features)):
        ncm = AnyGamma.of(scores, labels, mask).score(0.0)
        found += rows(who, "none", "", {f"ncm_{k}": v for k, v in ncm.items() if k.startswith("acc_")})
    return found


def study(world: World, samples: Samples, splits: list[Split], seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the aggregated metrics of a study: every split with as many seeds."""
    found = []
    for number, split in enumerate(splits):
        for seed in range(seeds):
            cell = {**NAMES, "split": f"split{number:02}", "seed": seed}
            found += [{**cell, **row} for row in run_rows(world, samples, split, rng)]
    return pd.DataFrame(found)
