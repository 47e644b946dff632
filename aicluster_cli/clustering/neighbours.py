"""The nearest neighbours of every row by cosine: exact on small sets, through overlapping cells on large ones.

Both ways are blocked matrix products, so that memory is bounded, and give the same result on any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.parallel import blocks, run, single_blas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.geometry import Labels

    Indices = NDArray[np.int32]

EXACT_ROWS = 20_000  # above this the exact search's square cost outgrows what the cells lose
_BLOCK = 256  # rows a step: (256, 20,000) of float32 is 20 MB a thread
_GROUPS = 128
_CELL_ROWS = 250
_PROBES = 14  # cells searched for each cell's rows
_PASSES = 5


@dataclass(frozen=True)
class Neighbours:
    """The k nearest other rows of every row, nearest first.

    Attributes
    ----------
    indices
        int32, shape (rows, k).
    similarities
        float32, shape (rows, k): their cosines.
    exact
        Whether every pair was compared.
    """

    indices: Indices
    similarities: Matrix
    exact: bool


def nearest_neighbours(
    unit: Matrix, k: int, *, random_state: int = 0, exact_rows: int = EXACT_ROWS, threads: int = 0
) -> Neighbours:
    """Find every row's k nearest others.

    Parameters
    ----------
    unit
        float32, shape (rows, dimension), rows of unit length; at least two rows.
    k
        Neighbours of a row; at most one less than the rows.
    random_state
        Seed of the cells.
    exact_rows
        Most rows for which every pair is compared.
    threads
        0 for one a processor.
    """
    k = min(k, len(unit) - 1)
    with single_blas():
        if len(unit) <= exact_rows:
            return _by_all_pairs(unit, k, threads)
        return _by_cells(unit, k, random_state, threads)


def vote(neighbours: Neighbours, labels: Labels, *, rounds: int) -> Labels:
    """Give each row the cluster that weighs most among its neighbours and itself, all rows at once.

    A cluster that a round would empty keeps its rows.

    Parameters
    ----------
    labels
        int64, shape (rows,): 0 and up, none an outlier.
    rounds
        How often to vote.
    """
    from scipy.sparse import csr_matrix

    rows, k = neighbours.indices.shape
    clusters = int(labels.max()) + 1
    weights = np.hstack([neighbours.similarities, np.ones((rows, 1), np.float32)])
    weights = np.maximum(weights, 1e-6).astype(np.float64)  # argmax must not fall on a cluster without a vote
    for _ in range(rounds):
        ballots = np.hstack([labels[neighbours.indices], labels[:, None]])
        shape = (rows, clusters)
        votes = csr_matrix((weights.ravel(), ballots.ravel(), np.arange(0, rows * (k + 1) + 1, k + 1)), shape=shape)
        votes.sum_duplicates()
        elected = np.asarray(votes.argmax(axis=1)).ravel().astype(np.int64)
        emptied = np.bincount(elected, minlength=clusters) == 0
        labels = np.where(emptied[labels], labels, elected)
    return labels


def _by_all_pairs(unit: Matrix, k: int, threads: int) -> Neighbours:
    indices, similarities = np.empty((len(unit), k), np.int32), np.empty((len(unit), k), np.float32)
    transposed = unit.T

    def search(block: slice) -> None:
        similarity = unit[block] @ transposed
        rows = np.arange(len(similarity))
        similarity[rows, block.start + rows] = -np.inf
        indices[block], similarities[block] = _largest(similarity, k)

    run(search, blocks(len(unit), _BLOCK), threads)
    return Neighbours(indices, similarities, exact=True)


def _by_cells(unit: Matrix, k: int, random_state: int, threads: int) -> Neighbours:
    """Search the cell of each row and the cells around it (an inverted file: Jégou, Douze, Schmid 2011)."""
    cell_of, centre = _cells(unit, random_state, threads)
    members = np.split(np.argsort(cell_of, kind="stable"), np.cumsum(np.bincount(cell_of, minlength=len(centre)))[:-1])
    around = np.argsort(-(centre @ centre.T), axis=1, kind="stable")
    indices, similarities = np.empty((len(unit), k), np.int32), np.empty((len(unit), k), np.float32)

    def search(cell: int) -> None:
        own = members[cell]
        probes = _PROBES
        candidates = np.concatenate([members[other] for other in around[cell, :probes]])
        while len(candidates) <= k:
            probes *= 2
            candidates = np.concatenate([members[other] for other in around[cell, :probes]])
        candidates = np.sort(candidates)
        pool = unit[candidates]
        for block in blocks(len(own), _BLOCK):
            some = own[block]
            similarity = unit[some] @ pool.T
            similarity[np.arange(len(some)), np.searchsorted(candidates, some)] = -np.inf
            found, similarities[some] = _largest(similarity, k)
            indices[some] = candidates[found]

    run(search, [cell for cell, own in enumerate(members) if len(own)], threads)
    return Neighbours(indices, similarities, exact=False)


def _cells(unit: Matrix, random_state: int, threads: int) -> tuple[Labels, Matrix]:
    """Part the rows by a short spherical K-Means on a sample."""
    rows = len(unit)
    cells = max(2, rows // _CELL_ROWS)
    generator = np.random.default_rng(random_state)
    sample = unit[np.sort(generator.choice(rows, min(rows, 40 * cells), replace=False))]
    centre = sample[np.sort(generator.choice(len(sample), cells, replace=False))]
    for _ in range(_PASSES):
        label = _nearest(sample, centre, threads)
        sums = np.stack([np.bincount(label, weights=column, minlength=cells) for column in sample.T], axis=1)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centre = np.where(length > 0, sums / np.maximum(length, 1e-12), centre).astype(np.float32)
    return _nearest(unit, centre, threads), centre


def _nearest(unit: Matrix, centre: Matrix, threads: int) -> Labels:
    nearest = np.empty(len(unit), dtype=np.int64)
    transposed = centre.T

    def assign(block: slice) -> None:
        nearest[block] = (unit[block] @ transposed).argmax(axis=1)

    run(assign, blocks(len(unit), 8 * _BLOCK), threads)
    return nearest


def _largest(values: Matrix, count: int) -> tuple[NDArray[np.int32], Matrix]:
    """Return columns and values of the ``count`` largest of every row.

    The ``count`` largest of the maxima of some groups of columns are ``count`` values of their row, so the least of
    them is a threshold that leaves few candidates: cheaper than a partition of all columns.
    """
    width = values.shape[1] // max(_GROUPS, 4 * count)
    if width > 1:
        groups = max(_GROUPS, 4 * count)
        maxima = values[:, : width * groups].reshape(len(values), width, groups).max(axis=1)
        threshold = np.partition(maxima, groups - count, axis=1)[:, groups - count]
    else:
        threshold = np.partition(values, values.shape[1] - count, axis=1)[:, values.shape[1] - count]
    rows, columns = np.nonzero(values >= threshold[:, None])
    kept = values[rows, columns]
    order = np.lexsort((columns, -kept, rows))
    first = np.searchsorted(rows, np.arange(len(values)))
    places = order[first[:, None] + np.arange(count)]
    return columns[places].astype(np.int32), kept[places]
