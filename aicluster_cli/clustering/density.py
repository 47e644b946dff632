"""HDBSCAN made to work on embeddings: a smoothed neighbour graph, its densest groups, and a tree to cut them from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.geometry import (
    OUTLIER,
    all_alike,
    by_size,
    centres,
    distance_to_own,
    margin,
    nearest_two,
    renumber,
)
from aicluster_cli.clustering.hierarchy import Tree, choose_cut, coarser_cuts, granularity_curve, ward_tree
from aicluster_cli.clustering.neighbours import Neighbours, nearest_neighbours, vote
from aicluster_cli.clustering.outliers import find_outliers, outlier_scores
from aicluster_cli.clustering.parallel import single_blas
from aicluster_cli.clustering.result import Clustering
from aicluster_cli.clustering.space import compress, smooth

if TYPE_CHECKING:
    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.geometry import Floats, Labels

NEIGHBOURS = 15
SMOOTHING = 2
VOTES = 2
_BLOCK = 4096
_APART = 2.5  # unit vectors are at most 2 apart: components of the graph meet above every real distance


@dataclass(frozen=True)
class DensityFit:
    """The dense groups of HDBSCAN's condensed tree; arrays of shape (rows,).

    Attributes
    ----------
    labels
        -1 for rows that fell out of the tree above a group.
    probabilities
        0 to 1.
    """

    labels: Labels
    probabilities: Floats


@single_blas()  # its sums, and so near ties, would depend on the number of threads
def cluster(
    matrix: Matrix,
    *,
    min_cluster_size: int,
    min_samples: int,
    cluster_selection_method: str,
    granularity: float,
    max_noise: float,
    random_state: int,
) -> Clustering:
    """Cluster the rows by HDBSCAN in cosine geometry, with a number of clusters chosen from the hierarchy.

    Parameters
    ----------
    matrix
        float32, shape (rows, dimension), of any length, without zero rows.
    min_cluster_size
        Fewest rows of a dense group; 0 chooses the logarithm of the rows.
    min_samples
        Neighbours that make a row dense.
    cluster_selection_method
        Which groups of the condensed tree the hierarchy is built on: ``leaf`` the finest, ``eom`` the most stable.
    granularity
        0 for the chosen number of clusters; each whole step up doubles and each step down halves it.
    max_noise
        Largest share of the rows that are outliers: the strangest ones.

    Raises
    ------
    TooFewRowsError
        If there are fewer rows than ``min_cluster_size``.
    """
    size = min_cluster_size or max(5, round(float(np.log(len(matrix)))))
    if len(matrix) < min_cluster_size or len(matrix) < 2:
        raise TooFewRowsError(f"{len(matrix)} usable, min_cluster_size is {max(min_cluster_size, 2)}")
    whole = normalise(matrix)
    unit = compress(whole)
    near = nearest_neighbours(unit, max(NEIGHBOURS, min_samples), random_state=random_state)
    space = smooth(unit, near, times=SMOOTHING)
    fit = fit_groups(space, near, size, min_samples, cluster_selection_method)
    leaves = _nearest_leaf(space, fit.labels)
    tree = ward_tree(space, leaves)
    curve = granularity_curve(unit, leaves, tree, near, random_state=random_state)
    chosen = choose_cut(curve, granularity, tree.leaves)
    details: dict[str, object] = {
        "algorithm": "hdbscan",
        "dimension": int(matrix.shape[1]),
        "components": int(unit.shape[1]),
        "exact_neighbours": near.exact,
        "min_cluster_size": size,
        "raw_noise_share": round(float((fit.labels == OUTLIER).mean()), 5),
        "leaves": tree.leaves,
        "granularity_curve": curve.points(),
    }
    return _finish(whole, unit, near, fit, leaves, tree, chosen, max_noise, details)


def fit_groups(
    space: Matrix, neighbours: Neighbours, min_cluster_size: int, min_samples: int, cluster_selection_method: str
) -> DensityFit:
    """Find the dense groups of HDBSCAN's condensed tree (Campello, Moulavi, Sander 2013) on the neighbour graph.

    The spanning tree is that of mutual reachability over neighbours only, as its short edges lie among them (McInnes
    and Healy 2017 prune the same way by tree search): a matrix of all pairs, or a search tree that fails in many
    dimensions, is not needed.
    """
    rows = len(space)
    if all_alike(space):
        return DensityFit(np.zeros(rows, dtype=np.int64), np.ones(rows))
    from hdbscan._hdbscan_linkage import label
    from hdbscan.hdbscan_ import _tree_to_labels

    edges = _spanning_tree(space, neighbours, min(min_samples, rows - 1))
    with np.errstate(all="ignore"):
        labels, probabilities, *_ = _tree_to_labels(space, label(edges), min_cluster_size, cluster_selection_method)
    return DensityFit(labels.astype(np.int64), np.clip(np.nan_to_num(probabilities, nan=1.0), 0.0, 1.0))


def _spanning_tree(space: Matrix, neighbours: Neighbours, min_samples: int) -> Floats:
    """Return the edges (row, row, distance) of the minimum spanning tree, shortest first, shape (rows - 1, 3)."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    rows, k = neighbours.indices.shape
    distance = np.empty((rows, k))
    for start in range(0, rows, _BLOCK):
        block = slice(start, start + _BLOCK)
        cosine = np.einsum("ij,ikj->ik", space[block], space[neighbours.indices[block]])
        distance[block] = np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0))
    core = np.sort(distance, axis=1)[:, min(min_samples, k) - 1]
    one, other = np.repeat(np.arange(rows), k), neighbours.indices.ravel()
    reach = np.maximum(np.maximum(distance.ravel(), core[one]), core[other]) + 1e-9  # a stored 0 would be no edge
    graph = csr_matrix((reach, (one, other)), shape=(rows, rows))
    tree = minimum_spanning_tree(graph.maximum(graph.T)).tocoo()
    edges = np.column_stack([tree.row, tree.col, tree.data])
    parts, part = connected_components(tree, directed=False)
    if parts > 1:
        first = np.unique(part, return_index=True)[1]
        links = np.column_stack([np.full(parts - 1, first[0]), first[1:], np.full(parts - 1, _APART)])
        edges = np.vstack([edges, links])
    ordered: Floats = np.ascontiguousarray(edges[np.argsort(edges[:, 2], kind="stable")], dtype=np.float64)
    return ordered


def _nearest_leaf(space: Matrix, labels: Labels) -> Labels:
    """Return a leaf for every row, noise going to the nearest; where there is no leaf all rows are one."""
    if labels.max() == OUTLIER:
        return np.zeros(len(labels), dtype=np.int64)
    centre = centres(space, labels)
    leaf = labels.copy()
    noise = np.flatnonzero(labels == OUTLIER)
    for start in range(0, len(noise), _BLOCK):
        some = noise[start : start + _BLOCK]
        leaf[some] = (space[some] @ centre.T).argmax(axis=1)
    return leaf


def _finish(
    whole: Matrix,
    unit: Matrix,
    near: Neighbours,
    fit: DensityFit,
    leaves: Labels,
    tree: Tree,
    chosen: int,
    max_noise: float,
    details: dict[str, object],
) -> Clustering:
    own_cluster = tree.cut(chosen)
    everyone = vote(near, own_cluster[leaves], rounds=VOTES)
    distance = nearest_two(unit, centres(unit, everyone))[1]
    scores = outlier_scores(near, everyone, distance)
    outlier = find_outliers(scores, everyone, max_noise)
    labels = np.where(outlier, OUTLIER, everyone)
    numbers = by_size(labels)
    labels = renumber(labels, numbers)
    raw = renumber(np.where(fit.labels == OUTLIER, OUTLIER, everyone), numbers)

    centre = centres(whole, labels)
    nearest, first, second = nearest_two(whole, centre)
    own = distance_to_own(whole, centre, np.where(labels == OUTLIER, nearest, labels))
    moved = (raw == OUTLIER) & (labels != OUTLIER)
    strengths = np.where(moved, margin(own, np.where(nearest == labels, second, first)), fit.probabilities)
    strengths[outlier] = 0.0
    some_leaf = np.unique(own_cluster, return_index=True)[1]  # the tree is nested: any leaf tells its cluster's level
    levels = [np.where(outlier, OUTLIER, level[some_leaf][everyone]) for level in coarser_cuts(tree, chosen)]
    levels = [renumber(level, by_size(level)) for level in levels]
    details |= {
        "n_clusters": int(labels.max()) + 1,
        "outliers": int(outlier.sum()),
        "moved_rows": int(moved.sum()),
        "n_clusters_by_level": [int(level.max()) + 1 for level in levels],
    }
    table = np.column_stack(levels) if levels else np.empty((len(unit), 0), dtype=np.int64)
    return Clustering(labels, strengths, own, raw, scores, details, table)
