"""K-Means: as good as scikit-learn's best, and the same labels for any number of threads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from aicluster_cli.clustering.choose import candidates, choose_n_clusters, merge_path
from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.kmeans import cluster, fit_kmeans
from aicluster_cli.clustering.lloyd import label_sums, lloyd_pass
from aicluster_cli.clustering.neighbours import nearest_neighbours
from aicluster_cli.clustering.space import smooth

pytestmark = pytest.mark.filterwarnings("error")


def topics(rows, classes, dimension=32, spread=0.6, seed=0):
    generator = np.random.default_rng(seed)
    means = normalise(generator.standard_normal((classes, dimension)).astype(np.float32))
    truth = generator.integers(0, classes, rows)
    noise = generator.standard_normal((rows, dimension)).astype(np.float32) * spread / np.sqrt(dimension)
    return normalise(means[truth] + noise), truth


def test_one_pass_is_the_nearest_centroid_and_its_sums():
    rows, _ = topics(5000, 7)
    centroids = rows[:7] * 0.9
    done = lloyd_pass(rows, centroids)
    squares = ((rows[:, None] - centroids) ** 2).sum(axis=2)
    assert (done.labels == squares.argmin(axis=1)).all()
    assert np.allclose(done.distances, squares.min(axis=1), atol=1e-5)
    for label in range(7):
        assert np.allclose(done.sums[label], rows[done.labels == label].sum(axis=0), atol=1e-2)
    means = done.sums / done.sizes[:, None]
    assert done.inertia == pytest.approx(((rows - means[done.labels]) ** 2).sum(), rel=1e-5)
    assert np.allclose(label_sums(rows, done.labels, 7), done.sums, atol=1e-3)


@pytest.mark.parametrize(("rows", "clusters"), [(3000, 12), (9000, 40), (30_000, 8)])
def test_inertia_is_within_half_a_percent_of_the_best_of_ten(rows, clusters):
    unit, _ = topics(rows, clusters + 5, spread=1.0)
    best = KMeans(clusters, n_init=10, random_state=0).fit(unit).inertia_
    fit = fit_kmeans(unit, n_clusters=clusters, random_state=3)
    assert fit.inertia <= best * 1.005
    members = [((unit[fit.labels == c] - fit.centroids[c]) ** 2).sum() for c in range(clusters)]
    assert fit.inertia == pytest.approx(sum(members), rel=1e-4)


@pytest.mark.parametrize("smoothing", ["on", "off"])
def test_labels_do_not_depend_on_threads_or_repetition(smoothing):
    rows, _ = topics(5000, 20, dimension=64, spread=1.2)
    runs = [cluster(rows, n_clusters=20, random_state=5, smoothing=smoothing, threads=threads) for threads in (1, 2, 1)]
    for other in runs[1:]:
        assert (other.labels == runs[0].labels).all()
        assert (other.distances == runs[0].distances).all()
        assert other.details == runs[0].details


def test_ids_go_by_size_and_strengths_and_distances_are_in_range():
    rows, truth = topics(4000, 6)
    found = cluster(rows, n_clusters=6, random_state=0)
    sizes = np.bincount(found.labels)
    assert (np.diff(sizes) <= 0).all()
    assert adjusted_rand_score(truth, found.labels) > 0.99
    assert ((found.strengths >= 0) & (found.strengths <= 1)).all()
    centre = normalise(np.stack([rows[found.labels == c].sum(axis=0) for c in range(6)]))
    expected = 1 - (rows * centre[found.labels]).sum(axis=1)
    assert np.allclose(found.distances, expected, atol=1e-5)
    json.dumps(found.details)


def test_smoothing_auto_is_recorded_and_stops_at_its_limit(monkeypatch):
    rows, _ = topics(900, 4)
    assert cluster(rows, n_clusters=4, random_state=0).details["smoothing"] == "on"
    monkeypatch.setattr("aicluster_cli.clustering.kmeans.SMOOTH_UP_TO", 899)
    assert cluster(rows, n_clusters=4, random_state=0).details["smoothing"] == "off"
    assert cluster(rows, n_clusters=4, random_state=0, smoothing="on").details["smoothing"] == "on"
    with pytest.raises(ValueError, match="auto, on or off"):
        cluster(rows, n_clusters=4, random_state=0, smoothing="yes")


def test_smoothing_draws_rows_towards_their_own_class():
    rows, truth = topics(4000, 12, dimension=48, spread=1.2)
    smoothed = smooth(rows, nearest_neighbours(rows, 15), times=2)

    def own_cosine(space):
        centre = normalise(np.stack([space[truth == c].sum(axis=0) for c in range(12)]))
        return float((space * centre[truth]).sum(axis=1).mean())

    assert own_cosine(smoothed) > own_cosine(rows) + 0.1
    assert own_cosine(smooth(rows, nearest_neighbours(rows, 15), times=1)) < own_cosine(smoothed)


def test_smoothed_rows_are_of_unit_length_even_without_neighbours():
    rows = np.concatenate([np.eye(40, dtype=np.float32), -np.eye(40, dtype=np.float32)])
    smoothed = smooth(rows, nearest_neighbours(rows, 5), times=2)
    assert np.allclose(np.linalg.norm(smoothed, axis=1), 1, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 3), st.booleans())
def test_any_small_table_gets_valid_labels(rows, clusters, distinct, signed):
    generator = np.random.default_rng(rows * 100 + clusters)
    matrix = generator.standard_normal((rows, 5)).astype(np.float32)
    if distinct:
        matrix = matrix[generator.integers(0, min(distinct, rows), rows)]
    if signed:
        matrix[::2] = -matrix[0]
    if rows < clusters:
        with pytest.raises(TooFewRowsError):
            cluster(matrix, n_clusters=clusters, random_state=0)
        return
    found = cluster(matrix, n_clusters=clusters, random_state=0)
    assert set(found.labels.tolist()) == set(range(found.details["n_clusters"]))
    assert found.details["n_clusters"] <= clusters
    assert np.isfinite(found.strengths).all()
    assert np.isfinite(found.distances).all()


def test_fewer_distinct_rows_than_clusters_are_told():
    rows = np.repeat(np.eye(3, dtype=np.float32), 50, axis=0)
    found = cluster(rows, n_clusters=5, random_state=0)
    assert found.details["n_clusters"] == 3
    assert "3 of the 5" in found.details["note"]


@pytest.mark.parametrize("classes", [2, 4, 9, 24, 60])
def test_the_number_of_clusters_is_found(classes):
    rows, _ = topics(2000, classes, dimension=96, spread=1.0, seed=classes)
    chosen = choose_n_clusters(rows, random_state=0)
    assert classes * 0.8 <= chosen.n_clusters <= classes * 1.25
    assert chosen.sampled_rows == 2000
    assert [k for k, _, _ in chosen.curve] == candidates(chosen.curve[-1][0])


def test_merging_takes_the_cheapest_pair_first():
    means = np.float32([[0, 0], [1, 0], [5, 0], [5, 3]])
    path = merge_path(means, np.array([1, 1, 1, 1]), [2, 3])
    assert [len(step) for step in path] == [2, 3]
    assert path[1].tolist() == [[0.5, 0], [5, 0], [5, 3]]
