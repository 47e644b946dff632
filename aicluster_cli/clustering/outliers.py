"""Which rows belong nowhere: a score made of three views of a row, and a threshold that no scale moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.geometry import OUTLIER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aicluster_cli.clustering.geometry import Floats, Labels
    from aicluster_cli.clustering.neighbours import Neighbours

THRESHOLD = 3.5  # robust standard deviations: Iglewicz and Hoaglin's (1993) cut for outliers
_NORMAL = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
_LEAST_SPREAD = 1e-6  # below this a deviation is float32 rounding


def outlier_scores(neighbours: Neighbours, labels: Labels, distance: Floats) -> Floats:
    """Return how strange each row is, shape (rows,), 0 and up.

    The geometric mean of the distances to the row's last neighbour (sparse?) and to its centre (far from every topic?),
    times one more than the share of its neighbours that lie in other clusters (between topics?). Embeddings differ in
    how the distances spread, but less in how neighbours agree: the last factor keeps the rule alive where the
    distances alone set outliers too little apart.

    Parameters
    ----------
    labels
        int64, shape (rows,): every row's cluster, none an outlier.
    distance
        Cosine distance of each row to the nearest centre.
    """
    sparse = np.clip(1.0 - neighbours.similarities[:, -1].astype(np.float64), 0.0, 2.0)
    elsewhere = (labels[neighbours.indices] != labels[:, None]).mean(axis=1)
    scores: Floats = np.sqrt(sparse * distance) * (1.0 + elsewhere)
    return scores


def robust_z(scores: Floats) -> Floats:
    """Return the scores as robust standard deviations above their median."""
    median = np.median(scores)
    spread = _NORMAL * np.median(np.abs(scores - median))
    deviations: Floats = (scores - median) / max(float(spread), _LEAST_SPREAD)
    return deviations


def find_outliers(scores: Floats, labels: Labels, max_noise: float) -> NDArray[np.bool_]:
    """Return which rows are outliers, shape (rows,): beyond the threshold, the strangest first, at most ``max_noise``.

    A cluster that would lose every row keeps them: rows that are strange together are a topic.
    """
    beyond = np.flatnonzero(robust_z(scores) > THRESHOLD)
    allowed = int(np.floor(max_noise * len(scores) + 1e-9))
    found = np.zeros(len(scores), dtype=bool)
    found[beyond[np.argsort(-scores[beyond], kind="stable")[:allowed]]] = True
    left = np.bincount(labels[~found], minlength=int(labels.max(initial=OUTLIER)) + 1)
    found[left[labels] == 0] = False
    return found
