"""How well labels agree with the truth, with each of the usual treatments of noise. Outliers are -1 everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Labels = NDArray[np.int64]

OUTLIER = -1
_BLOCK = 8192


def judge(unit: Matrix, truth: Labels, labels: Labels) -> dict[str, Any]:
    """Return all figures of one clustering.

    The agreements are measured on the rows that have a class; ``all_rows`` holds them with the true outliers as one
    more class.

    Parameters
    ----------
    unit
        float32, shape (rows, dimension), rows of unit length.
    truth
        int64, shape (rows,): the classes, -1 for a true outlier.
    labels
        int64, shape (rows,): the clusters, -1 for noise.

    Returns
    -------
    dict
        ``clusters``, ``noise_share``, ``outliers`` and, each a dict of ``v``, ``ami`` and ``ari``, ``noise_as_one``,
        ``clustered_only`` (None where nothing is clustered) and ``noise_moved``.
    """
    moved = move_noise(unit, labels)
    inliers = truth != OUTLIER
    return {
        "clusters": len(np.unique(labels[labels != OUTLIER])),
        "noise_share": round(float((labels == OUTLIER).mean()), 5),
        **_treatments(truth[inliers], labels[inliers], moved[inliers]),
        "all_rows": _treatments(truth, labels, moved),
        "outliers": outlier_figures(truth, labels),
    }


def _treatments(truth: Labels, labels: Labels, moved: Labels) -> dict[str, Any]:
    clustered = labels != OUTLIER
    return {
        "noise_as_one": agreement(truth, labels),
        "clustered_only": agreement(truth[clustered], labels[clustered]) if clustered.any() else None,
        "noise_moved": agreement(truth, moved),
    }


def agreement(truth: Labels, labels: Labels) -> dict[str, float]:
    """Return V-measure, adjusted mutual information and adjusted Rand index; -1 counts as a cluster like any other."""
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, v_measure_score

    return {
        "v": round(float(v_measure_score(truth, labels)), 5),
        "ami": round(float(adjusted_mutual_info_score(truth, labels)), 5),
        "ari": round(float(adjusted_rand_score(truth, labels)), 5),
    }


def move_noise(unit: Matrix, labels: Labels) -> Labels:
    """Return the labels with every noise row in the cluster whose mean direction is nearest.

    Where there is no cluster at all, the rows make one.
    """
    noise = np.flatnonzero(labels == OUTLIER)
    if len(noise) == len(labels):
        return np.zeros_like(labels)
    kept, members = np.unique(labels[labels != OUTLIER], return_inverse=True)
    sums, _ = cluster_sums(unit, np.flatnonzero(labels != OUTLIER), members, len(kept))
    centre = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    moved = labels.copy()
    for start in range(0, len(noise), _BLOCK):
        rows = noise[start : start + _BLOCK]
        moved[rows] = kept[(unit[rows] @ centre.T).argmax(axis=1)]
    return moved


def outlier_figures(truth: Labels, labels: Labels) -> dict[str, float] | None:
    """Return precision, recall and F1 of the noise against the true outliers; None where the truth has no outlier.

    Without any noise the precision is 0, as is F1.
    """
    true, found = truth == OUTLIER, labels == OUTLIER
    if not true.any():
        return None
    hits = int((true & found).sum())
    precision = hits / max(int(found.sum()), 1)
    recall = hits / int(true.sum())
    f1 = 2 * hits / (int(true.sum()) + int(found.sum()))
    return {"precision": round(precision, 5), "recall": round(recall, 5), "f1": round(f1, 5)}


def inertia(matrix: Matrix, labels: Labels) -> float:
    """Return the sum of squared Euclidean distances of the rows to their clusters' means.

    Computed from labels alone, Σ|x|² - Σ|S|²/n, so that every method is judged by one and the same formula.
    """
    kept, members = np.unique(labels, return_inverse=True)
    sums, squares = cluster_sums(matrix, np.arange(len(labels)), members, len(kept))
    return squares - float((np.square(sums).sum(axis=1) / np.bincount(members)).sum())


def cluster_sums(matrix: Matrix, rows: Labels, members: Labels, clusters: int) -> tuple[NDArray[np.float64], float]:
    """Return every cluster's sum, shape (clusters, dimension), and the sum of all squares; ``rows`` are summed."""
    from scipy.sparse import csr_array

    sums, squares = np.zeros((clusters, matrix.shape[1])), 0.0
    for start in range(0, len(rows), _BLOCK):
        block = matrix[rows[start : start + _BLOCK]].astype(np.float64)
        member = members[start : start + _BLOCK]
        sums += csr_array((np.ones(len(member)), (member, np.arange(len(member)))), (clusters, len(member))) @ block
        squares += float(np.square(block).sum())
    return sums, squares
