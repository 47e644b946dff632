"""The choice of the number of clusters: one fine clustering, merged step by step, and every step judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.geometry import all_alike
from aicluster_cli.clustering.lloyd import iterate, label_sums, lloyd_pass
from aicluster_cli.clustering.neighbours import Neighbours, nearest_neighbours
from aicluster_cli.clustering.parallel import blocks, run, single_blas
from aicluster_cli.clustering.seeding import components, seed
from aicluster_cli.clustering.space import smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.geometry import Floats

SAMPLE_ROWS = 10_000
_MOST_CLUSTERS = 500
_ROWS_A_CLUSTER = 15  # fewer sampled rows in the mean say nothing about a cluster
_FEWEST_FINE = 8
_COMPONENTS = 128  # of the smoothed sample, for speed
_ALL_UP_TO = 24  # candidates; above, the next one is so many times the last
_STEP = 1.15
_NEIGHBOURS = 15
_BLOCK = 2048


@dataclass(frozen=True)
class ChosenClusters:
    """The number of clusters chosen, and the curve it was chosen from.

    Attributes
    ----------
    curve
        (candidate, mean silhouette, neighbour agreement), ascending; the candidate's score is the product.
    """

    n_clusters: int
    curve: list[tuple[int, float, float]]
    sampled_rows: int


def choose_n_clusters(unit: Matrix, *, random_state: int, threads: int = 0) -> ChosenClusters:
    """Choose the fewest clusters whose score is within one standard error of the highest.

    On at most ``SAMPLE_ROWS`` rows, smoothed by their neighbours, one fine K-Means is made and its clusters merged
    pairwise by Ward's criterion (1963), down to two. Every candidate on that path is settled in a few passes. Its score
    is the mean silhouette of the rows as given, times the share of neighbours that are in the same cluster: the
    silhouette alone goes on creeping up where clusters shrink to handfuls of rows, but those cut neighbourhoods apart.
    The one-standard-error rule (Breiman et al. 1984) keeps a flat top from choosing at random.
    """
    generator = np.random.default_rng([random_state, 1])
    sample = unit
    if len(unit) > SAMPLE_ROWS:
        sample = unit[np.sort(generator.choice(len(unit), SAMPLE_ROWS, replace=False))]
    distinct = 1 if all_alike(sample) else len(np.unique(sample, axis=0))
    finest = min(distinct, len(sample) - 1, max(_FEWEST_FINE, min(_MOST_CLUSTERS, len(sample) // _ROWS_A_CLUSTER)))
    if finest < 2:
        return ChosenClusters(1, [], len(sample))
    k = min(_NEIGHBOURS, max(1, round(len(sample) ** 0.5) - 1))  # all of few rows are neighbours of each other
    near = nearest_neighbours(sample, k, random_state=random_state, threads=threads)
    space = smooth(sample, near, times=2) if len(sample) > 4 * _NEIGHBOURS else sample
    with single_blas():
        space = _unit(components(space, _COMPONENTS // 2, generator))
    fine = lloyd_pass(space, seed(space, finest, generator, breathe=False), threads=threads)
    curve: list[tuple[int, float, float]] = []
    errors: list[float] = []
    for centroids in merge_path(fine.centroids, fine.sizes, candidates(finest)):
        settled = iterate(space, centroids, tolerance=1e-3, max_iter=5, threads=threads)[0].labels
        labels = np.unique(settled, return_inverse=True)[1]
        values = silhouettes(sample, labels, threads=threads)
        agreement = neighbour_agreement(near, labels)
        curve.append((len(centroids), round(float(values.mean()), 5), round(agreement, 5)))
        errors.append(float(values.std() / np.sqrt(len(values))) * agreement)
    scores = [silhouette * agreement for _, silhouette, agreement in curve]
    best = int(np.argmax(scores))
    chosen = next(at for at, score in enumerate(scores) if score >= scores[best] - errors[best])
    return ChosenClusters(curve[chosen][0], curve, len(sample))


def neighbour_agreement(near: Neighbours, labels: NDArray[np.int64]) -> float:
    """Return the share of the rows' neighbours that are in the row's own cluster."""
    return float((labels[near.indices] == labels[:, None]).mean())


def candidates(finest: int) -> list[int]:
    """Return the numbers of clusters to judge, 2 to ``finest``: all of them at first, then in equal ratios."""
    numbers = list(range(2, min(finest, _ALL_UP_TO) + 1))
    while numbers and (following := max(numbers[-1] + 1, round(numbers[-1] * _STEP))) <= finest:
        numbers.append(following)
    return numbers


def merge_path(centroids: Matrix, sizes: NDArray[np.int64], numbers: list[int]) -> list[Matrix]:
    """Merge centroids pairwise, always the pair that raises the squared error least; return those at every number."""
    keep = sizes > 0
    means, weights = centroids[keep].astype(np.float64), sizes[keep].astype(np.float64)
    squares = np.einsum("ij,ij->i", means, means)
    cost = squares[:, None] + squares - 2.0 * means @ means.T
    cost *= np.outer(weights, weights) / np.add.outer(weights, weights)
    np.fill_diagonal(cost, np.inf)
    alive = np.ones(len(means), dtype=bool)
    found: list[Matrix] = []
    for count in range(len(means), 1, -1):
        if count in numbers:
            found.append(means[alive].astype(np.float32))
        first, second = divmod(int(cost.argmin()), len(means))
        total = weights[first] + weights[second]
        means[first] = (weights[first] * means[first] + weights[second] * means[second]) / total
        weights[first], alive[second] = total, False
        towards = ((means - means[first]) ** 2).sum(axis=1) * weights * total / (weights + total)
        towards[~alive] = np.inf
        towards[first] = np.inf
        cost[first], cost[:, first] = towards, towards
        cost[second], cost[:, second] = np.inf, np.inf
    return found[::-1]


def silhouettes(unit: Matrix, labels: NDArray[np.int64], *, threads: int = 0) -> Floats:
    """Return every row's silhouette under the cosine distance, exact and without the matrix of all pairs.

    With unit rows the mean distance of x to a cluster is 1 - x·S/n, where S is the sum of its n members, so that
    Rousseeuw's coefficient (1987) needs only the clusters' sums. Labels must be 0 to clusters - 1, none empty.
    """
    sizes = np.bincount(labels).astype(np.float64)
    values = np.zeros(len(unit))
    if len(sizes) < 2:
        return values
    sums = label_sums(unit, labels.astype(np.int32), len(sizes), threads=threads).astype(np.float32).T

    def judge(block: slice) -> None:
        own_label = labels[block]
        rows = np.arange(len(own_label))
        towards = unit[block] @ sums
        own_size = sizes[own_label]
        own = np.maximum((own_size - towards[rows, own_label]) / np.maximum(own_size - 1, 1), 0.0)
        others = np.maximum(1.0 - towards / sizes, 0.0)
        others[rows, own_label] = np.inf
        nearest = others.min(axis=1)
        wider = np.maximum(np.maximum(own, nearest), 1e-6)  # what float32 can tell apart: less is rounding
        values[block] = np.where(own_size > 1, (nearest - own) / wider, 0.0)

    with single_blas():
        run(judge, blocks(len(unit), _BLOCK), threads)
    return values


def cosine_silhouette(unit: Matrix, labels: NDArray[np.int64]) -> float:
    """Return the mean silhouette under the cosine distance."""
    return float(silhouettes(unit, labels).mean())


def _unit(rows: Matrix) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return normalise(np.where(lengths > 0, rows, 1.0).astype(np.float32))
