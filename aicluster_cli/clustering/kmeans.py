"""K-Means on unit vectors, and the choice of the number of clusters by the cosine silhouette."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.geometry import (
    all_alike,
    by_size,
    centres,
    distance_to_own,
    margin,
    nearest_two,
    renumber,
)
from aicluster_cli.clustering.result import Clustering

if TYPE_CHECKING:
    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.geometry import Floats, Labels

SAMPLE_ROWS = 6_000
_CANDIDATES = (
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    18,
    20,
    22,
    25,
    28,
    32,
    36,
    42,
    50,
    60,
    70,
    80,
    95,
    110,
)


@dataclass(frozen=True)
class KMeansFit:
    """One fitted K-Means: labels (rows,), centroids (clusters, dimension), squared error and passes made."""

    labels: Labels
    centroids: Matrix
    inertia: float
    n_iter: int


@dataclass(frozen=True)
class ChosenClusters:
    """The number of clusters chosen, and the curve of (candidate, silhouette) it was chosen from."""

    n_clusters: int
    curve: list[tuple[int, float]]
    sampled_rows: int


def cluster(matrix: Matrix, *, n_clusters: int, random_state: int, n_init: int, max_iter: int) -> Clustering:
    """Cluster the rows by K-Means in cosine geometry.

    Parameters
    ----------
    matrix
        float32, shape (rows, dimension), of any length, without zero rows.
    n_clusters
        Number of clusters, or 0 to choose it by the silhouette.

    Raises
    ------
    TooFewRowsError
        If there are fewer rows than clusters.
    """
    if len(matrix) < max(n_clusters, 1):
        raise TooFewRowsError(f"{len(matrix)} usable, {n_clusters} clusters asked for")
    unit = normalise(matrix)
    details: dict[str, object] = {"algorithm": "kmeans", "dimension": int(matrix.shape[1])}
    if n_clusters == 0:
        chosen = choose_n_clusters(unit, random_state=random_state)
        n_clusters = chosen.n_clusters
        details |= {"silhouette_by_n_clusters": chosen.curve, "sampled_rows": chosen.sampled_rows}
        if n_clusters == 1:
            details["note"] = "one cluster: the rows are too few, or too alike, to choose a number of clusters"
    fit = fit_kmeans(unit, n_clusters=n_clusters, random_state=random_state, n_init=n_init, max_iter=max_iter)
    labels = renumber(fit.labels, by_size(fit.labels))
    found = int(labels.max()) + 1
    details |= {"n_clusters": found, "inertia": fit.inertia, "n_iter": fit.n_iter}
    if found < n_clusters:
        details["note"] = f"{found} of the {n_clusters} clusters asked for: the rows hold no more distinct vectors"
    centre = centres(unit, labels)
    own = distance_to_own(unit, centre, labels)
    return Clustering(labels, _strengths(unit, centre, labels, own), own, labels, details=details)


def fit_kmeans(unit: Matrix, *, n_clusters: int, random_state: int, n_init: int, max_iter: int) -> KMeansFit:
    """Fit scikit-learn's K-Means (greedy k-means++ seeding, Lloyd's passes) to rows of unit length."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    estimator = KMeans(n_clusters=n_clusters, n_init=n_init, max_iter=max_iter, random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters: told in the details
        estimator.fit(unit)
    kept, labels = np.unique(estimator.labels_, return_inverse=True)
    centroids = estimator.cluster_centers_[kept]
    return KMeansFit(labels.astype(np.int64), centroids, float(estimator.inertia_), int(estimator.n_iter_))


def choose_n_clusters(unit: Matrix, *, random_state: int) -> ChosenClusters:
    """Choose the number of clusters with the highest mean cosine silhouette on at most ``SAMPLE_ROWS`` sampled rows.

    Candidates go up to √(2 rows), twice the rule of thumb of Mardia, Kent and Bibby (1979): on a sample the silhouette
    keeps creeping up as clusters shrink to a handful of rows, which says nothing about the table.
    """
    generator = np.random.default_rng(random_state)
    sample = unit
    if len(unit) > SAMPLE_ROWS:
        sample = unit[np.sort(generator.choice(len(unit), SAMPLE_ROWS, replace=False))]
    distinct = 1 if all_alike(sample) else len(np.unique(sample, axis=0))
    most = min(distinct, len(sample) - 1, max(2, int(np.sqrt(2 * len(sample)))))
    curve = []
    for candidate in _CANDIDATES:
        if candidate > most:
            break
        fit = fit_kmeans(sample, n_clusters=candidate, random_state=random_state, n_init=1, max_iter=30)
        curve.append((candidate, round(cosine_silhouette(sample, fit.labels), 5)))
    best = max(curve, key=lambda point: point[1], default=(1, 0.0))
    return ChosenClusters(best[0], curve, len(sample))


def cosine_silhouette(unit: Matrix, labels: Labels) -> float:
    """Return the mean silhouette under the cosine distance, exact and without the matrix of all pairs.

    With unit rows the mean distance of x to a cluster is 1 - x·S/n, where S is the sum of its n members, so that
    Rousseeuw's coefficient (1987) needs only the clusters' sums.
    """
    sizes = np.bincount(labels).astype(np.float64)
    if len(sizes) < 2:
        return 0.0
    sums = np.zeros((len(sizes), unit.shape[1]))
    np.add.at(sums, labels, unit)
    towards = unit @ sums.astype(np.float32).T
    rows = np.arange(len(unit))
    own_size = sizes[labels]
    own = np.maximum((own_size - towards[rows, labels]) / np.maximum(own_size - 1, 1), 0.0)
    others = np.maximum(1.0 - towards / sizes, 0.0)
    others[rows, labels] = np.inf
    nearest = others.min(axis=1)
    wider = np.maximum(np.maximum(own, nearest), 1e-6)  # what float32 can tell apart: less is rounding
    return float(np.where(own_size > 1, (nearest - own) / wider, 0.0).mean())


def _strengths(unit: Matrix, centre: Matrix, labels: Labels, own: Floats) -> Floats:
    nearest, first, second = nearest_two(unit, centre)
    return margin(own, np.where(nearest == labels, second, first))
