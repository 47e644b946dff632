"""Centres, distances and numbering, shared by the models. Matrices are float32 with rows of unit length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.embeddings import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aicluster_cli.clustering.embeddings import Matrix

    Labels = NDArray[np.int64]
    Floats = NDArray[np.float64]

OUTLIER = -1
_SAME = 1e-5  # scaling to unit length and projecting leave errors of some 1e-6 in float32
_BLOCK = 8192  # rows a step: (8192, 1000 clusters) of float32 is 33 MB


def all_alike(rows: Matrix) -> bool:
    """Return whether all rows are one and the same vector, but for rounding."""
    return bool((np.ptp(rows, axis=0) <= _SAME).all())


def centres(matrix: Matrix, labels: Labels) -> Matrix:
    """Return the unit-length mean direction of every cluster, shape (clusters, dimension); outliers are left out.

    Where the members cancel each other out (a mean of zero), the first member stands for the cluster.
    """
    clusters = int(labels.max(initial=OUTLIER)) + 1
    sums = np.zeros((clusters, matrix.shape[1]), dtype=np.float64)
    for start in range(0, len(matrix), _BLOCK):
        block = slice(start, start + _BLOCK)
        inside = labels[block] != OUTLIER
        np.add.at(sums, labels[block][inside], matrix[block][inside])
    sizes = np.bincount(labels[labels != OUTLIER], minlength=clusters)
    for cluster in np.flatnonzero(np.linalg.norm(sums, axis=1) <= 1e-6 * sizes):  # what is left is rounding
        sums[cluster] = matrix[np.argmax(labels == cluster)]
    return normalise(sums.astype(np.float32))


def nearest_two(matrix: Matrix, centre: Matrix) -> tuple[Labels, Floats, Floats]:
    """Return each row's nearest centre and its cosine distances to that and to the next centre (infinite if none)."""
    rows = len(matrix)
    first, next_ = np.zeros(rows), np.full(rows, np.inf)
    nearest = np.zeros(rows, dtype=np.int64)
    for start in range(0, rows, _BLOCK):
        block = slice(start, start + _BLOCK)
        distance = cosine_distance(matrix[block], centre)
        nearest[block] = distance.argmin(axis=1)
        lowest = np.partition(distance, 1, axis=1)[:, :2] if len(centre) > 1 else distance
        first[block] = lowest[:, 0]
        if len(centre) > 1:
            next_[block] = lowest[:, 1]
    return nearest, first, next_


def distance_to_own(matrix: Matrix, centre: Matrix, labels: Labels) -> Floats:
    """Return each row's cosine distance to the centre of its own cluster. Every label must be a cluster's."""
    distance = np.empty(len(matrix))
    for start in range(0, len(matrix), _BLOCK):
        block = slice(start, start + _BLOCK)
        distance[block] = 1.0 - np.einsum("ij,ij->i", matrix[block], centre[labels[block]])
    return np.clip(distance, 0.0, 2.0)


def cosine_distance(rows: Matrix, others: Matrix) -> Floats:
    """Return 1 - cosine for every pair, from 0 to 2, shape (rows, others)."""
    similarity = rows @ others.T
    distance: Floats = np.clip(1.0 - similarity, 0.0, 2.0).astype(np.float64)
    return distance


def margin(own: Floats, next_: Floats) -> Floats:
    """Return how firmly a row belongs to its centre: 1 - own / next, from 0 on the border to 1 at the centre."""
    ratio = np.divide(own, next_, out=np.zeros_like(own), where=next_ > 0)
    strengths: Floats = np.where((own > 0) & (next_ == 0), 0.0, np.clip(1.0 - ratio, 0.0, 1.0))
    return strengths


def by_size(labels: Labels) -> Labels:
    """Return the new number of each old cluster: 0 is the largest; of equal ones the first to appear comes first."""
    members = labels[labels != OUTLIER]
    clusters = int(labels.max(initial=OUTLIER)) + 1
    sizes = np.bincount(members, minlength=clusters)
    first_row = np.full(clusters, len(labels))
    rows = np.flatnonzero(labels != OUTLIER)
    np.minimum.at(first_row, members, rows)
    order = np.lexsort((first_row, -sizes))
    numbers = np.empty(clusters, dtype=np.int64)
    numbers[order] = np.arange(clusters)
    return numbers


def renumber(labels: Labels, numbers: Labels) -> Labels:
    """Return the labels in new numbers, outliers unchanged."""
    renumbered = np.full(len(labels), OUTLIER, dtype=np.int64)
    inside = labels != OUTLIER
    renumbered[inside] = numbers[labels[inside]]
    return renumbered
