"""A tree over many small clusters, the cut of it to show, and coarser cuts above that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.geometry import Floats, Labels
    from aicluster_cli.clustering.neighbours import Neighbours

SAMPLE_ROWS = 4_000
_CUTS = 48  # candidates, evenly spread on the scale of log(clusters)
_LEVELS = 3
_COARSER = 3.0  # a level has a third of the clusters below it: an editor's table of contents, not a dendrogram
_BLOCK = 8192


@dataclass(frozen=True)
class Tree:
    """Merges of ``leaves`` clusters down to one.

    Attributes
    ----------
    leaves
        Number of clusters at the start.
    merges
        int64, shape (leaves - 1, 2): at each step the second cluster joins the first, which keeps its number.
    heights
        float64, shape (leaves - 1,): the squared error each merge adds; never falling.
    """

    leaves: int
    merges: NDArray[np.int64]
    heights: Floats

    def cut(self, clusters: int) -> Labels:
        """Return the cluster of each leaf, from 0, where ``clusters`` of them are left."""
        own = np.arange(self.leaves, dtype=np.int64)
        for kept, gone in self.merges[: self.leaves - clusters]:
            own[own == gone] = kept
        return np.unique(own, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class Curve:
    """Cuts of a tree and how good they are: all of shape (cuts,), ``n_clusters`` rising.

    Attributes
    ----------
    silhouettes
        Mean cosine silhouette: are clusters compact and apart?
    modularities
        Modularity on the neighbour graph: do neighbours share a cluster more often than chance would have it?
    """

    n_clusters: NDArray[np.int64]
    silhouettes: Floats
    modularities: Floats

    def points(self) -> list[tuple[int, float, float]]:
        """Return (clusters, silhouette, modularity) as JSON values."""
        both = np.round([self.silhouettes, self.modularities], 4).tolist()
        return list(zip(self.n_clusters.tolist(), *both, strict=True))


def ward_tree(space: Matrix, labels: Labels) -> Tree:
    """Merge clusters so that each merge adds the least squared error (Ward 1963).

    Parameters
    ----------
    space
        float32, shape (rows, dimension).
    labels
        int64, shape (rows,): 0 and up, every number in use.
    """
    leaves = int(labels.max()) + 1
    sizes = np.bincount(labels).astype(np.float64)
    means = _sums(space, labels, leaves) / sizes[:, None]
    merges, heights = _merge_all(_ward_distances(means, sizes), means, sizes)
    return Tree(leaves, merges, np.maximum.accumulate(heights))  # rounding may set one back by a hair


def granularity_curve(unit: Matrix, labels: Labels, tree: Tree, neighbours: Neighbours, *, random_state: int) -> Curve:
    """Judge cuts from two clusters to all leaves by silhouette (Rousseeuw 1987) and modularity (Newman, Girvan 2004).

    With rows of unit length the mean distance of x to a cluster is 1 - x·S/n, where S is the sum of its n members: one
    product of a sample with the leaves' sums serves every cut, since sums of merged clusters add up; so do the edges
    between them.

    Parameters
    ----------
    unit
        float32, shape (rows, dimension), rows of unit length: the data as given, not the smoothed ones, which look
        better separated than they are.
    labels
        int64, shape (rows,): each row's leaf.
    """
    sample = np.arange(len(unit))
    if len(unit) > SAMPLE_ROWS:
        sample = np.sort(np.random.default_rng(random_state).choice(len(unit), SAMPLE_ROWS, replace=False))
    sizes = np.bincount(labels, minlength=tree.leaves).astype(np.float64)
    towards = (unit[sample] @ _sums(unit, labels, tree.leaves).T.astype(np.float32)).astype(np.float64)
    edges = _edges_between(neighbours, labels, tree.leaves)
    wanted = sorted({round(cut) for cut in np.geomspace(2, max(2, tree.leaves), _CUTS).tolist()})
    wanted = [cut for cut in wanted if cut <= tree.leaves]
    own = np.arange(tree.leaves)
    step, silhouettes, modularities = 0, [], []
    for clusters in reversed(wanted):
        while tree.leaves - step > clusters:
            kept, gone = tree.merges[step]
            own[own == gone] = kept
            sizes[kept] += sizes[gone]
            towards[:, kept] += towards[:, gone]
            edges[kept] += edges[gone]
            edges[:, kept] += edges[:, gone]
            step += 1
        alive, number = np.unique(own, return_inverse=True)
        silhouettes.append(_mean_silhouette(towards[:, alive], sizes[alive], number[labels[sample]]))
        modularities.append(_modularity(edges[np.ix_(alive, alive)]))
    return Curve(np.array(wanted, dtype=np.int64), np.array(silhouettes[::-1]), np.array(modularities[::-1]))


def choose_cut(curve: Curve, granularity: float, leaves: int) -> int:
    """Return the number of clusters: the best sum of both criteria, times two for each step of ``granularity``.

    Both run from -1 to 1 and fail in opposite ways: the silhouette keeps rising as clusters shrink to near-duplicates,
    modularity cannot tell small clusters apart (its resolution limit: Fortunato, Barthélemy 2007).
    """
    if not len(curve.n_clusters):
        return 1
    best = int(curve.n_clusters[(curve.silhouettes + curve.modularities).argmax()])
    return int(np.clip(round(best * 2.0**granularity), min(2, leaves), leaves))


def coarser_cuts(tree: Tree, n_clusters: int) -> list[Labels]:
    """Return up to three coarser cuts, finest first, each the cluster of every leaf; each has a third of the last."""
    cuts = []
    clusters = n_clusters
    for _ in range(_LEVELS):
        clusters = round(clusters / _COARSER)
        if clusters < 2:
            break
        cuts.append(tree.cut(clusters))
    return cuts


def _edges_between(neighbours: Neighbours, labels: Labels, clusters: int) -> Floats:
    """Return the weight of the neighbour graph's edges between clusters, shape (clusters, clusters)."""
    one = np.repeat(labels, neighbours.indices.shape[1])
    other = labels[neighbours.indices.ravel()]
    weights = np.maximum(neighbours.similarities.ravel(), 0.0).astype(np.float64)
    between = np.bincount(one * clusters + other, weights=weights, minlength=clusters * clusters).astype(np.float64)
    between = between.reshape(clusters, clusters)
    both: Floats = between + between.T
    return both


def _modularity(edges: Floats) -> float:
    total = edges.sum()
    if total <= 0:
        return 0.0
    return float(np.trace(edges) / total - ((edges.sum(axis=1) / total) ** 2).sum())


def _sums(rows: Matrix, labels: Labels, clusters: int) -> Floats:
    from scipy.sparse import csr_matrix

    members = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(clusters, len(labels)))
    sums = np.zeros((clusters, rows.shape[1]))
    for start in range(0, rows.shape[1], 64):  # float64 copies of a few columns at a time
        columns = slice(start, start + 64)
        sums[:, columns] = members @ rows[:, columns].astype(np.float64)
    return sums


def _ward_distances(means: Floats, sizes: Floats) -> Floats:
    square = np.einsum("ij,ij->i", means, means)
    distance: Floats = np.maximum(square[:, None] + square - 2 * means @ means.T, 0)
    distance *= np.outer(sizes, sizes) / (sizes[:, None] + sizes)
    np.fill_diagonal(distance, np.inf)
    return distance


def _merge_all(distance: Floats, means: Floats, sizes: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Merge the closest pair until one is left, keeping each cluster's nearest other at hand (Müllner 2011)."""
    leaves = len(means)
    merges, heights = np.empty((max(leaves - 1, 0), 2), np.int64), np.empty(max(leaves - 1, 0))
    nearest, gap = distance.argmin(axis=1), distance.min(axis=1)
    alive = np.ones(leaves, dtype=bool)
    for step in range(leaves - 1):
        first = int(gap.argmin())
        kept, gone = sorted((first, int(nearest[first])))
        merges[step], heights[step] = (kept, gone), gap[first]
        total = sizes[kept] + sizes[gone]
        means[kept] = (sizes[kept] * means[kept] + sizes[gone] * means[gone]) / total
        sizes[kept] = total
        alive[gone] = False
        distance[gone], distance[:, gone], gap[gone] = np.inf, np.inf, np.inf
        others = np.flatnonzero(alive)
        others = others[others != kept]
        apart = means[others] - means[kept]
        fresh = np.einsum("ij,ij->i", apart, apart) * (total * sizes[others] / (total + sizes[others]))
        distance[kept, others] = distance[others, kept] = fresh
        closer = fresh < gap[others]
        nearest[others[closer]], gap[others[closer]] = kept, fresh[closer]
        lost = others[~closer & np.isin(nearest[others], (kept, gone))]
        for cluster in (*lost, kept):
            nearest[cluster] = distance[cluster].argmin()
            gap[cluster] = distance[cluster, nearest[cluster]]
    return merges, heights


def _mean_silhouette(towards: Floats, sizes: Floats, labels: Labels) -> float:
    if len(sizes) < 2:
        return 0.0
    rows, size = np.arange(len(labels)), sizes[labels]
    inside = np.maximum((size - towards[rows, labels]) / np.maximum(size - 1, 1), 0.0)
    outside = np.maximum(1.0 - towards / sizes, 0.0)
    outside[rows, labels] = np.inf
    next_ = outside.min(axis=1)
    wider = np.maximum(np.maximum(inside, next_), 1e-6)  # what float32 can tell apart: less is rounding
    return float(np.where(size > 1, (next_ - inside) / wider, 0.0).mean())
