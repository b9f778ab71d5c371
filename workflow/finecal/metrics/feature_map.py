"""Map the features before and after fine-tuning to one plane, so that positions can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.metrics.unit_rows import unit_rows

COMPONENTS = 50  # principal components that t-SNE sees, as its authors do
PERPLEXITY = 30.0


def joint_map(
    before: npt.NDArray[Any], after: npt.NDArray[Any], *, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Fit t-SNE (van der Maaten & Hinton 2008) to both sets of features together.

    The features are scaled to length 1, since the nearest class mean compares directions too, then reduced to their
    first principal components; t-SNE starts from the first two. One thread computes it, because sums of floats depend
    on their order and the same input must give the same map.

    Parameters
    ----------
    before, after
        (N, D), N ≥ 2: features of the same samples.
    seed
        Of t-SNE, in [0, 2³²).

    Returns
    -------
    Two arrays (N, 2), in the same order.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    features = unit_rows(np.concatenate([before, after]))
    n, width = features.shape
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # equal features explain 0/0 of their variance
        reduced = PCA(min(COMPONENTS, n, width), svd_solver="full").fit_transform(features)
        start = np.zeros((n, 2), np.float32)
        start[:, : min(2, reduced.shape[1])] = reduced[:, :2]
        spread = start[:, 0].std()
        start *= 1e-4 / spread if spread > 0 else 1  # small, as scikit-learn's own start is
        perplexity = min(PERPLEXITY, (n - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init=start, learning_rate="auto", random_state=seed)
        places: npt.NDArray[np.float32] = tsne.fit_transform(reduced.astype(np.float32))
    return places[: len(before)], places[len(before) :]
