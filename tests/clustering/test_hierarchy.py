from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score, silhouette_score

from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.hierarchy import Curve, choose_cut, granularity_curve, ward_tree
from aicluster_cli.clustering.neighbours import nearest_neighbours


def points(rows=120):
    return normalise(np.random.default_rng(3).standard_normal((rows, 6)).astype(np.float32))


def test_ward_is_scipys_where_every_row_is_a_leaf():
    unit = points()
    tree = ward_tree(unit, np.arange(len(unit)))
    theirs = linkage(unit.astype(np.float64), "ward")
    np.testing.assert_allclose(np.sqrt(2 * tree.heights), theirs[:, 2], rtol=1e-4)
    for clusters in (2, 5, 30):
        assert adjusted_rand_score(tree.cut(clusters), fcluster(theirs, clusters, "maxclust")) == 1.0


def test_silhouette_is_scikit_learns_and_modularity_is_networkx_like():
    unit = points()
    labels = np.random.default_rng(0).integers(0, 9, len(unit))
    tree = ward_tree(unit, labels)
    near = nearest_neighbours(unit, 5, random_state=0)
    curve = granularity_curve(unit, labels, tree, near, random_state=0)
    for clusters, silhouette, modularity in zip(curve.n_clusters, curve.silhouettes, curve.modularities, strict=True):
        cut = tree.cut(int(clusters))[labels]
        assert abs(silhouette - silhouette_score(unit, cut, metric="cosine")) < 1e-4
        assert abs(modularity - slow_modularity(near, cut)) < 1e-9


def slow_modularity(near, labels):
    weights = np.zeros((len(labels), len(labels)))
    for row, (others, values) in enumerate(zip(near.indices, near.similarities, strict=True)):
        weights[row, others] += np.maximum(values, 0)
        weights[others, row] += np.maximum(values, 0)
    degree, total = weights.sum(axis=1), weights.sum()
    same = labels[:, None] == labels
    return ((weights / total - np.outer(degree, degree) / total**2) * same).sum()


def test_each_step_of_granularity_doubles_within_the_tree():
    curve = Curve(np.array([2, 8, 20]), np.array([0.1, 0.3, 0.2]), np.array([0.1, 0.5, 0.4]))
    assert [choose_cut(curve, step, 25) for step in (-9, -1, 0, 1, 9)] == [2, 4, 8, 16, 25]
