"""LwF: cross-entropy + λ T² KL(softmax(z⁰/T) ‖ softmax(z/T)) on the batches of S (Li & Hoiem 2016).

z⁰ are the pretrained model's logits for the same augmented images, in evaluation mode. The softmax is over all of Y:
the head has one row per class of Y before and after.
"""

from __future__ import annotations

from finecal.recipes._reference import DistillationOptions, DistillationRecipe

PAPER = "Li and Hoiem 2016, Learning without forgetting (arXiv 1606.09282)"


class Options(DistillationOptions):
    """How strong the distillation is."""


class Recipe(DistillationRecipe):
    """Learning without forgetting."""
