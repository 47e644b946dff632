"""K-Means on unit vectors: seeded on a sample, passed over growing samples and, last, a few times over all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.choose import choose_n_clusters
from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.geometry import all_alike, by_size, margin, renumber
from aicluster_cli.clustering.lloyd import BLOCK, Pass, iterate, label_sums, squared_error
from aicluster_cli.clustering.neighbours import nearest_neighbours, vote
from aicluster_cli.clustering.parallel import blocks, run, single_blas
from aicluster_cli.clustering.result import Clustering
from aicluster_cli.clustering.seeding import sample_rows, seed
from aicluster_cli.clustering.space import smooth

if TYPE_CHECKING:
    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.geometry import Floats, Labels

SMOOTH_UP_TO = 20_000  # rows; the neighbours of more take longer than all the rest
NEIGHBOURS = 15
SMOOTHING = 2
VOTES = 1
_GROWTH = 4  # each sample is so many times the last one
_SAMPLE_TOLERANCE, _TOLERANCE = 1e-3, 1e-4


@dataclass(frozen=True)
class KMeansFit:
    """One fitted K-Means: labels (rows,), centroids (clusters, dimension), squared error and passes over all rows."""

    labels: Labels
    centroids: Matrix
    inertia: float
    n_iter: int


def cluster(
    matrix: Matrix,
    *,
    n_clusters: int,
    random_state: int,
    n_init: int = 1,
    max_iter: int = 100,
    smoothing: str = "auto",
    threads: int = 0,
) -> Clustering:
    """Cluster the rows by K-Means in cosine geometry. The result does not depend on the number of threads.

    Parameters
    ----------
    matrix
        float32, shape (rows, dimension), of any length, without zero rows.
    n_clusters
        Number of clusters, or 0 to choose it, see ``choose.choose_n_clusters``.
    n_init
        Seedings, of which the best is kept.
    max_iter
        Passes over all rows, at most; those over samples come on top.
    smoothing
        ``on``: cluster each row's neighbourhood instead of the row; ``off``; ``auto``: on up to ``SMOOTH_UP_TO`` rows.
    threads
        0 for one a processor.

    Raises
    ------
    TooFewRowsError
        If there are fewer rows than clusters.
    """
    if len(matrix) < max(n_clusters, 1):
        raise TooFewRowsError(f"{len(matrix)} usable, {n_clusters} clusters asked for")
    unit = normalise(matrix, threads=threads)
    details: dict[str, object] = {"algorithm": "kmeans", "dimension": int(matrix.shape[1])}
    if n_clusters == 0:
        chosen = choose_n_clusters(unit, random_state=random_state, threads=threads)
        n_clusters = chosen.n_clusters
        details["silhouette_by_n_clusters"] = [(k, silhouette) for k, silhouette, _ in chosen.curve]
        details["neighbour_agreement_by_n_clusters"] = [(k, agreement) for k, _, agreement in chosen.curve]
        details["sampled_rows"] = chosen.sampled_rows
        if n_clusters == 1:
            details["note"] = "one cluster: the rows are too few, or too alike, to choose a number of clusters"
    smoothed = _wants_smoothing(smoothing, len(unit), n_clusters)
    near = nearest_neighbours(unit, NEIGHBOURS, random_state=random_state, threads=threads) if smoothed else None
    space = unit if near is None else smooth(unit, near, times=SMOOTHING)
    fit = fit_kmeans(
        space, n_clusters=n_clusters, random_state=random_state, n_init=n_init, max_iter=max_iter, threads=threads
    )
    raw = fit.labels if near is None else vote(near, fit.labels, rounds=VOTES)
    labels = renumber(raw, by_size(raw))
    found = int(labels.max()) + 1
    sums = label_sums(unit, labels.astype(np.int32), found, threads=threads)
    details |= {"n_clusters": found, "inertia": squared_error(sums, labels), "n_iter": fit.n_iter}
    details["smoothing"] = "on" if smoothed else "off"
    if found < n_clusters:
        details["note"] = f"{found} of the {n_clusters} clusters asked for: the rows hold no more distinct vectors"
    own, next_ = _distances(unit, _unit_centres(unit, labels, sums), labels, threads)
    return Clustering(labels, margin(own, next_), own, labels, details=details)


def fit_kmeans(
    unit: Matrix, *, n_clusters: int, random_state: int, n_init: int = 1, max_iter: int = 100, threads: int = 0
) -> KMeansFit:
    """Fit K-Means (k-means++ and breathing on a sample, Lloyd's passes) to rows of unit length.

    Identical rows may leave clusters empty; those are dropped, so that there may be fewer than ``n_clusters``.
    """
    if all_alike(unit[:BLOCK]) and all_alike(unit):
        n_clusters = 1
    best: Pass | None = None
    n_iter = 0
    for init in range(n_init):
        generator = np.random.default_rng([random_state, init])
        centroids = _progress(unit, n_clusters, generator, threads)
        done, passes = iterate(unit, centroids, tolerance=_TOLERANCE, max_iter=max_iter, threads=threads)
        if best is None or done.inertia < best.inertia:
            best, n_iter = done, passes
    assert best is not None  # noqa: S101
    kept, labels = np.unique(best.labels, return_inverse=True)
    return KMeansFit(labels.astype(np.int64), best.centroids[kept], best.inertia, n_iter)


def _progress(unit: Matrix, n_clusters: int, generator: np.random.Generator, threads: int) -> Matrix:
    """Return centroids from a sample, bettered on samples that grow, but stay well below all rows."""
    rows = sample_rows(len(unit), n_clusters)
    centroids = seed(_sample(unit, rows, generator), n_clusters, generator)
    while (rows := rows * _GROWTH) <= len(unit) // 2:
        sample = _sample(unit, rows, generator)
        done, _ = iterate(sample, centroids, tolerance=_SAMPLE_TOLERANCE, max_iter=5, threads=threads)
        centroids = np.where((done.sizes > 0)[:, None], done.centroids, centroids)
    return centroids


def _sample(unit: Matrix, rows: int, generator: np.random.Generator) -> Matrix:
    if rows >= len(unit):
        return unit
    return unit[np.sort(generator.choice(len(unit), rows, replace=False))]


def _wants_smoothing(smoothing: str, rows: int, n_clusters: int) -> bool:
    if smoothing not in ("auto", "on", "off"):
        raise ValueError(f"smoothing must be auto, on or off; got {smoothing!r}")
    enough = rows > 4 * NEIGHBOURS and n_clusters > 1 and rows >= 2 * n_clusters
    return enough and (smoothing == "on" or (smoothing == "auto" and rows <= SMOOTH_UP_TO))


def _unit_centres(unit: Matrix, labels: Labels, sums: Floats) -> Matrix:
    """Return the clusters' mean directions; the first member where the members cancel each other out."""
    for cancelled in np.flatnonzero(np.linalg.norm(sums, axis=1) < 1e-9):
        sums[cancelled] = unit[np.argmax(labels == cancelled)]
    return normalise((sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32))


def _distances(unit: Matrix, centre: Matrix, labels: Labels, threads: int) -> tuple[Floats, Floats]:
    """Return each row's cosine distance to the centre of its cluster and to the nearest other centre."""
    own, next_ = np.empty(len(unit)), np.full(len(unit), np.inf)

    def measure(block: slice) -> None:
        similarity = unit[block] @ centre.T
        rows = np.arange(len(similarity))
        own[block] = 1.0 - similarity[rows, labels[block]]
        if len(centre) > 1:
            similarity[rows, labels[block]] = -np.inf
            next_[block] = 1.0 - similarity.max(axis=1)

    with single_blas():
        run(measure, blocks(len(unit), BLOCK), threads)
    return np.clip(own, 0.0, 2.0), np.maximum(next_, 0.0)
