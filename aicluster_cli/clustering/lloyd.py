"""One pass of K-Means over all rows, in blocks, and passes until they no longer pay.

A pass is one float32 matrix product a block (the distances), one sparse product (the sums) and nothing of the size of
all rows times all clusters. Blocks are shared out to a fixed number of lanes, and lanes are added up in their order, so
that the result does not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aicluster_cli.clustering.parallel import blocks, run, single_blas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aicluster_cli.clustering.embeddings import Matrix

    Floats32 = NDArray[np.float32]
    Floats = NDArray[np.float64]
    Labels32 = NDArray[np.int32]

BLOCK = 2048  # rows a step: with 1024 dimensions 8 MB, read once from memory and once from cache
_LANES = 16
_LANE_BYTES = 256_000_000  # all lanes' sums together


@dataclass(frozen=True)
class Pass:
    """The rows' nearest centroids, and what the next centroids are made of.

    Attributes
    ----------
    labels
        int32, shape (rows,).
    distances
        Squared distance to the nearest centroid, float32, shape (rows,).
    sums, sizes
        The clusters' sums, float64, shape (clusters, dimension), and numbers of rows.
    """

    labels: Labels32
    distances: Floats32
    sums: Floats
    sizes: NDArray[np.int64]

    @property
    def centroids(self) -> Matrix:
        """The clusters' means, float32; zero for an empty cluster."""
        means: Matrix = (self.sums / np.maximum(self.sizes, 1)[:, None]).astype(np.float32)
        return means

    @property
    def inertia(self) -> float:
        """Squared error of unit rows about the means of these labels: rows - sum of |sum|² / size."""
        return squared_error(self.sums, self.labels)


def lloyd_pass(unit: Matrix, centroids: Matrix, *, threads: int = 0) -> Pass:
    """Assign every row of unit length to its nearest centroid, and sum the rows of every cluster."""
    rows, clusters = len(unit), len(centroids)
    labels = np.empty(rows, dtype=np.int32)
    distances = np.empty(rows, dtype=np.float32)
    half_norms = (np.einsum("ij,ij->i", centroids, centroids) / 2).astype(np.float32)
    transposed = np.ascontiguousarray(centroids.T)

    def run_lane(lane: list[slice]) -> Floats:
        total = np.zeros(centroids.shape, dtype=np.float64)
        for block in lane:
            score = unit[block] @ transposed
            score -= half_norms
            nearest = score.argmax(axis=1)
            labels[block] = nearest
            best = np.take_along_axis(score, nearest[:, None], axis=1)[:, 0]
            np.maximum(1.0 - 2.0 * best, 0.0, out=distances[block])
            total += cluster_sums(unit[block], labels[block], clusters)
        return total

    with single_blas():
        sums = _added(run(run_lane, _lanes(rows, centroids.size), threads), centroids.shape)
    return Pass(labels, distances, sums, np.bincount(labels, minlength=clusters))


def label_sums(unit: Matrix, labels: Labels32, clusters: int, *, threads: int = 0) -> Floats:
    """Return the sum of every cluster's rows, float64, shape (clusters, dimension)."""

    def run_lane(lane: list[slice]) -> Floats:
        total = np.zeros((clusters, unit.shape[1]), dtype=np.float64)
        for block in lane:
            total += cluster_sums(unit[block], labels[block], clusters)
        return total

    lanes = _lanes(len(unit), clusters * unit.shape[1])
    return _added(run(run_lane, lanes, threads), (clusters, unit.shape[1]))


def squared_error(sums: Floats, labels: NDArray[Any]) -> float:
    """Return the squared error of unit rows about their clusters' means: rows - sum of |sum|² / size."""
    sizes = np.bincount(labels, minlength=len(sums))
    explained = np.einsum("ij,ij->i", sums, sums) / np.maximum(sizes, 1)
    return max(float(len(labels) - explained.sum()), 0.0)


def cluster_sums(rows: Matrix, labels: Labels32, clusters: int) -> Matrix:
    """Return the sum of the rows of every cluster, shape (clusters, dimension), as a sparse matrix product."""
    from scipy.sparse import csr_array

    order = np.argsort(labels, kind="stable").astype(np.int32)
    starts = np.zeros(clusters + 1, dtype=np.int32)
    np.cumsum(np.bincount(labels, minlength=clusters), out=starts[1:])
    members = csr_array((np.ones(len(rows), dtype=rows.dtype), order, starts), shape=(clusters, len(rows)))
    sums: Matrix = members @ rows
    return sums


def iterate(unit: Matrix, centroids: Matrix, *, tolerance: float, max_iter: int, threads: int = 0) -> tuple[Pass, int]:
    """Make passes until one improves the inertia by less than ``tolerance`` of it; return the last and their number."""
    last, made = np.inf, 0
    while True:
        done = lloyd_pass(unit, centroids, threads=threads)
        made += 1
        settled = last - done.inertia <= tolerance * done.inertia and bool(done.sizes.all())
        if settled or made >= max_iter:
            return done, made
        last = done.inertia
        centroids = refilled(done, unit)


def refilled(done: Pass, unit: Matrix) -> Matrix:
    """Return the next centroids; an empty cluster starts again at one of the rows that are farthest from theirs."""
    centroids = done.centroids
    empty = np.flatnonzero(done.sizes == 0)
    if len(empty):
        farthest = np.argsort(-done.distances, kind="stable")[: len(empty)]
        centroids[empty[: len(farthest)]] = unit[farthest]
    return centroids


def _added(parts: list[Floats], shape: tuple[int, ...]) -> Floats:
    total = np.zeros(shape, dtype=np.float64)
    for part in parts:
        total += part
    return total


def _lanes(rows: int, centroid_numbers: int) -> list[list[slice]]:
    steps = blocks(rows, BLOCK)
    lanes = int(np.clip(_LANE_BYTES // (8 * max(centroid_numbers, 1)), 1, _LANES))
    size = -(-len(steps) // lanes)
    return [steps[start : start + size] for start in range(0, len(steps), size)] if steps else []
