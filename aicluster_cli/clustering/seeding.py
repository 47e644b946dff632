"""Where K-Means starts: greedy k-means++ on a sample in its principal components, then breathing.

Sources
-------
Arthur, Vassilvitskii (2007), k-means++. Cohen, Elder, Musco, Musco, Persu (2015): some k principal components keep the
K-Means cost. Halko, Martinsson, Tropp (2011): randomised principal components. Fritzke (2020), "The breathing k-means
algorithm": add centroids where the error is high, drop those that are of least use, keep what got better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.parallel import single_blas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.lloyd import Floats32

_ROWS_A_CLUSTER = 100
_FEWEST_ROWS, _MOST_ROWS = 5_000, 40_000
_FEWEST_COMPONENTS, _MOST_COMPONENTS = 48, 192
_BREATH = 5  # centroids added at first
_MOST_CYCLES = 12
_ROUNDS = 1000  # of k-means++; more clusters than this are drawn several at once


def sample_rows(rows: int, n_clusters: int) -> int:
    """Return how many rows to seed on."""
    return min(rows, max(_FEWEST_ROWS, min(_ROWS_A_CLUSTER * n_clusters, _MOST_ROWS), 4 * n_clusters))


def seed(sample: Matrix, n_clusters: int, generator: np.random.Generator, *, breathe: bool = True) -> Matrix:
    """Return ``n_clusters`` centroids for a sample of rows, shape (n_clusters, dimension)."""
    with single_blas():
        space = components(sample, n_clusters, generator)
        centroids = plus_plus(space, n_clusters, generator)
        labels, _, _ = _settle(space, centroids, passes=10)
        if breathe and 2 <= n_clusters <= _ROUNDS and len(space) > 2 * n_clusters:
            labels = _breathe(space, _means(space, labels, centroids), generator)
    return _means(sample, labels, np.zeros((n_clusters, sample.shape[1]), dtype=np.float32))


def components(rows: Matrix, n_clusters: int, generator: np.random.Generator) -> Matrix:
    """Project the rows onto about ``2 * n_clusters`` principal directions (uncentred)."""
    wanted = int(np.clip(2 * n_clusters, _FEWEST_COMPONENTS, _MOST_COMPONENTS))
    if wanted * 2 > min(rows.shape):
        return rows
    basis = generator.standard_normal((rows.shape[1], wanted), dtype=np.float32)
    for _ in range(2):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    projected: Matrix = rows @ basis
    return projected


def plus_plus(rows: Matrix, n_clusters: int, generator: np.random.Generator) -> Matrix:
    """Draw centroids among the rows by greedy k-means++: of some candidates the one that lowers the error most."""
    norms = np.einsum("ij,ij->i", rows, rows)
    at_once = -(-n_clusters // _ROUNDS)
    trials = 2 + int(np.log(n_clusters)) if at_once == 1 else at_once
    chosen = [int(generator.integers(len(rows)))]
    nearest = _squares(rows, norms, rows[chosen])[:, 0]
    while len(chosen) < n_clusters:
        total = np.cumsum(nearest, dtype=np.float64)
        if total[-1] <= 0:  # every distinct row is a centroid already
            chosen.extend([chosen[0]] * (n_clusters - len(chosen)))
            break
        drawn = np.searchsorted(total, generator.random(trials) * total[-1])
        drawn = np.minimum(drawn, len(rows) - 1)
        lowered = np.minimum(_squares(rows, norms, rows[drawn]), nearest[:, None])
        if at_once == 1:
            best = int(lowered.sum(axis=0).argmin())
            chosen.append(int(drawn[best]))
            nearest = np.ascontiguousarray(lowered[:, best])
        else:
            chosen.extend(int(row) for row in drawn[: n_clusters - len(chosen)])
            nearest = lowered.min(axis=1)
    return rows[chosen]


def _breathe(rows: Matrix, centroids: Matrix, generator: np.random.Generator) -> NDArray[np.int64]:
    labels, distances, error = _settle(rows, centroids, passes=6)
    centroids = _means(rows, labels, centroids)
    breath = min(_BREATH, max(1, len(centroids) // 4))
    for _ in range(_MOST_CYCLES):
        trial = _inhale(rows, centroids, labels, distances, breath, generator)
        trial_labels, _, _ = _settle(rows, trial, passes=4)
        trial = _exhale(rows, _means(rows, trial_labels, trial), breath)
        trial_labels, trial_distances, trial_error = _settle(rows, trial, passes=6)
        if trial_error < error * (1 - 1e-4):
            labels, distances, error = trial_labels, trial_distances, trial_error
            centroids = _means(rows, labels, trial)
        elif breath > 1:
            breath -= 1
        else:
            break
    return labels


def _inhale(
    rows: Matrix,
    centroids: Matrix,
    labels: NDArray[np.int64],
    distances: Floats32,
    breath: int,
    generator: np.random.Generator,
) -> Matrix:
    """Add a centroid to each of the clusters with the highest error, at a member drawn by its squared distance."""
    errors = np.bincount(labels, weights=distances, minlength=len(centroids))
    added = []
    for cluster in np.argsort(-errors, kind="stable")[:breath]:
        members = np.flatnonzero(labels == cluster)
        total = np.cumsum(distances[members], dtype=np.float64)
        drawn = int(np.searchsorted(total, generator.random() * total[-1])) if len(members) else 0
        added.append(int(members[min(drawn, len(members) - 1)]) if len(members) else 0)
    return np.concatenate([centroids, rows[added]])


def _exhale(rows: Matrix, centroids: Matrix, breath: int) -> Matrix:
    """Drop the centroids whose loss would raise the error least, but of close neighbours only one."""
    squares = _squares(rows, np.einsum("ij,ij->i", rows, rows), centroids)
    labels = squares.argmin(axis=1)
    lowest = np.partition(squares, 1, axis=1)[:, :2]
    use = np.bincount(labels, weights=lowest[:, 1] - lowest[:, 0], minlength=len(centroids))
    apart = _squares(centroids, np.einsum("ij,ij->i", centroids, centroids), centroids)
    np.fill_diagonal(apart, np.inf)
    dropped: list[int] = []
    kept: set[int] = set()
    for cluster in np.argsort(use, kind="stable"):
        if len(dropped) == breath:
            break
        if int(cluster) not in kept:
            dropped.append(int(cluster))
            if len(kept) + breath < len(centroids) - breath:
                kept.add(int(apart[cluster].argmin()))
    for cluster in np.argsort(use, kind="stable"):
        if len(dropped) < breath and int(cluster) not in dropped:
            dropped.append(int(cluster))
    return np.delete(centroids, dropped, axis=0)


def _settle(rows: Matrix, centroids: Matrix, passes: int) -> tuple[NDArray[np.int64], Floats32, float]:
    """Make some passes, all at once since the sample is small: (labels, squared distances, error)."""
    norms = np.einsum("ij,ij->i", rows, rows)
    labels = np.zeros(len(rows), dtype=np.int64)
    for made in range(passes):
        squares = _squares(rows, norms, centroids)
        last, labels = labels, squares.argmin(axis=1)
        if made == passes - 1 or (made and (last == labels).all()):
            break
        centroids = _means(rows, labels, centroids)
    distances = np.take_along_axis(squares, labels[:, None], axis=1)[:, 0]
    return labels, distances, float(distances.sum(dtype=np.float64))


def _squares(rows: Matrix, norms: Floats32, centroids: Matrix) -> Matrix:
    squares = rows @ (-2.0 * centroids.T)
    squares += norms[:, None]
    squares += np.einsum("ij,ij->i", centroids, centroids)
    return np.maximum(squares, 0.0, out=squares)


def _means(rows: Matrix, labels: NDArray[np.int64], otherwise: Matrix) -> Matrix:
    """Return the clusters' means; the given centroid where a cluster is empty."""
    from aicluster_cli.clustering.lloyd import cluster_sums

    sizes = np.bincount(labels, minlength=len(otherwise))
    sums = cluster_sums(rows, labels.astype(np.int32), len(otherwise))
    means = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    return np.where((sizes > 0)[:, None], means, otherwise)
