"""Order classes by the similarity of their means, as a clustered split takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from finecal.errors import UserError


def order_by_similarity(means: npt.NDArray[np.floating[Any]], start: int) -> list[int]:
    """Return all classes in the order in which clustering joins them to the class `start`, itself first.

    Agglomerative clustering with average linkage of the cosine distances (Sokal & Michener 1958). Classes that join at
    once are ordered by their own distance to `start`.

    Parameters
    ----------
    means
        (C, D), not zero.

    Raises
    ------
    UserError
        If a class has no mean.
    """
    from scipy.cluster.hierarchy import average, cophenet
    from scipy.spatial.distance import pdist, squareform

    bad = np.flatnonzero(~(np.linalg.norm(means, axis=1) > 0))
    if len(bad):
        raise UserError(f"class number {bad[0]} has no sample to take a mean of", where="clustered splits")
    distances = pdist(means, "cosine")
    joined = squareform(cophenet(average(distances)))[start] if len(means) > 1 else np.zeros(1)
    joined[start] = -1
    order: list[int] = np.lexsort((squareform(distances)[start], joined)).tolist()
    return order
