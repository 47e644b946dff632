from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from blobs import blobs, directions, mean_directions, unit
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from aicluster_cli.clustering import choose, kmeans
from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError

pytestmark = pytest.mark.filterwarnings("error")


def run(matrix, n_clusters=0, random_state=42, **given):
    return kmeans.cluster(matrix, n_clusters=n_clusters, random_state=random_state, **given)


@pytest.mark.parametrize("seed", range(6))
def test_the_silhouette_is_that_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    rows, clusters = int(rng.integers(20, 400)), int(rng.integers(2, 12))
    matrix = rng.normal(size=(rows, int(rng.integers(2, 80)))).astype(np.float32)
    labels = rng.integers(0, clusters, size=rows)
    labels[:clusters] = np.arange(clusters)
    labels[0], labels[labels == 0] = clusters, 1  # cluster 0 is empty from here on, and the last holds one row
    _, labels = np.unique(labels, return_inverse=True)
    expected = silhouette_score(matrix, labels, metric="cosine")
    assert choose.cosine_silhouette(normalise(matrix), labels) == pytest.approx(expected, abs=1e-4)


def test_the_silhouette_of_good_clusters_is_that_of_all_pairs():
    matrix, truth = blobs(5, 40)
    expected = silhouette_score(matrix, truth, metric="cosine")
    assert expected > 0.8
    assert choose.cosine_silhouette(normalise(matrix), truth) == pytest.approx(expected, abs=1e-4)


def test_rows_alone_in_their_cluster_count_as_zero():
    rows = normalise(np.array([[1, 0], [1, 0.01], [0, 1]], dtype=np.float32))
    expected = silhouette_score(rows, [0, 0, 1], metric="cosine")
    assert choose.cosine_silhouette(rows, np.array([0, 0, 1])) == pytest.approx(expected, abs=1e-4)
    assert choose.cosine_silhouette(rows, np.arange(3)) == 0


def test_one_cluster_has_no_silhouette():
    assert choose.cosine_silhouette(normalise(blobs(1, 10)[0]), np.zeros(10, dtype=np.int64)) == 0


def test_rounding_is_not_mistaken_for_structure():
    rng = np.random.default_rng(0)
    same = rng.normal(size=64) * rng.uniform(0.1, 10, size=(60, 1))
    unit_rows = normalise(same.astype(np.float32))
    assert len(np.unique(unit_rows, axis=0)) > 5
    for clusters in (2, 3, 5):
        fit = kmeans.fit_kmeans(unit_rows, n_clusters=clusters, random_state=0, n_init=1, max_iter=100)
        assert abs(choose.cosine_silhouette(unit_rows, fit.labels)) < 0.2


@pytest.mark.parametrize("clusters", [3, 8, 20])
def test_the_number_of_well_separated_clusters_is_found(clusters):
    matrix, truth = blobs(clusters, 30, seed=clusters)
    found = run(matrix)
    assert found.labels.max() + 1 == clusters
    assert adjusted_rand_score(truth, found.labels) == 1
    curve = dict(found.details["silhouette_by_n_clusters"])
    assert max(curve, key=curve.get) == clusters == found.details["n_clusters"]
    assert "note" not in found.details


@pytest.mark.parametrize("rows", [9, 30, 90, 300])
@pytest.mark.parametrize("dimension", [3, 16, 300])
def test_three_distinct_vectors_are_three_clusters(rows, dimension):
    vectors = directions(3, dimension).astype(np.float32)
    found = run(vectors[np.arange(rows) % 3])
    assert found.labels.tolist() == [0, 1, 2] * (rows // 3)
    assert [candidate for candidate, _ in found.details["silhouette_by_n_clusters"]] == [2, 3]
    assert found.distances == pytest.approx(0, abs=1e-6)


def test_candidates_have_rows_enough_and_spread_out_above():
    details = run(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)).details
    for name in ("silhouette_by_n_clusters", "neighbour_agreement_by_n_clusters"):
        assert [candidate for candidate, _ in details[name]] == [2, 3, 4, 5, 6, 7, 8]
    assert choose.candidates(1) == []
    assert choose.candidates(24) == list(range(2, 25))
    numbers = choose.candidates(500)
    assert numbers[:23] == choose.candidates(24)
    assert max(high / low for low, high in pairwise(numbers[22:])) < 1.2


def test_a_large_table_is_sampled_to_choose_the_number_and_clustered_whole(monkeypatch):
    monkeypatch.setattr(choose, "SAMPLE_ROWS", 800)
    truth = np.arange(choose.SAMPLE_ROWS + 500) % 5
    found = run(directions(5, 16).astype(np.float32)[truth])
    assert found.details["sampled_rows"] == choose.SAMPLE_ROWS
    assert len(found.labels) == len(truth)
    assert adjusted_rand_score(truth, found.labels) == 1


@pytest.mark.parametrize("clusters", [2, 6, 11])
def test_as_many_clusters_as_asked_for_numbered_by_size(clusters):
    found = run(np.random.default_rng(1).normal(size=(200, 12)).astype(np.float32), n_clusters=clusters)
    sizes = np.bincount(found.labels)
    assert len(sizes) == clusters == found.details["n_clusters"]
    assert sizes.min() > 0
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert np.array_equal(found.raw_labels, found.labels)
    assert found.outlier_scores is None


def test_fewer_rows_than_clusters_are_refused():
    with pytest.raises(TooFewRowsError, match=r"^4 usable, 5 clusters asked for$"):
        run(directions(4, 8).astype(np.float32), n_clusters=5)
    assert run(directions(5, 8).astype(np.float32), n_clusters=5).labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("n_clusters", [0, 2, 7])
@pytest.mark.parametrize("dimension", [2, 64, 700])
def test_identical_rows_are_one_cluster_and_a_note(n_clusters, dimension):
    found = run(np.tile(directions(1, dimension).astype(np.float32), (40, 1)), n_clusters=n_clusters)
    assert found.labels.tolist() == [0] * 40
    assert found.strengths == pytest.approx(1)
    assert found.distances == pytest.approx(0, abs=1e-6)
    assert "clusters" in found.details["note"]
    assert found.details["n_clusters"] == 1


def test_rows_of_one_direction_and_many_lengths_are_one_cluster():
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=64) * rng.uniform(0.1, 10, size=(60, 1))).astype(np.float32)
    assert run(rows).labels.tolist() == [0] * 60


def test_fewer_distinct_vectors_than_clusters_get_a_note():
    found = run(directions(3, 8).astype(np.float32)[np.arange(30) % 3], n_clusters=5)
    assert found.details["n_clusters"] == 3
    assert found.details["note"] == "3 of the 5 clusters asked for: the rows hold no more distinct vectors"


@pytest.mark.parametrize("rows", [1, 2])
def test_rows_too_few_to_choose_from_are_one_cluster_and_a_note(rows):
    found = run(directions(rows, 4).astype(np.float32))
    assert found.labels.tolist() == [0] * rows
    assert "too few" in found.details["note"]
    assert found.details["silhouette_by_n_clusters"] == []


def test_distances_and_strengths_are_those_of_the_centres():
    tight, broad = blobs(3, 50, dimension=8, spread=0.2)[0], np.random.default_rng(0).normal(size=(300, 8))
    matrix = np.vstack([tight, broad]).astype(np.float32)
    found = run(matrix, n_clusters=6)
    pairs = 1 - unit(matrix) @ mean_directions(matrix, found.labels).T
    assert (pairs.argmin(axis=1) != found.labels).any()  # Euclidean centroids are not mean directions
    own = pairs[np.arange(len(matrix)), found.labels]
    assert found.distances == pytest.approx(own, abs=1e-6)
    pairs[np.arange(len(matrix)), found.labels] = np.inf
    assert found.strengths == pytest.approx(np.clip(1 - own / pairs.min(axis=1), 0, 1), abs=1e-5)
    assert ((found.strengths >= 0) & (found.strengths <= 1)).all()


def test_the_length_of_a_row_does_not_matter():
    matrix, _ = blobs(6, 40, spread=0.9)
    factors = 10.0 ** np.random.default_rng(0).uniform(-20, 20, size=(len(matrix), 1))
    assert np.array_equal(run(matrix, n_clusters=6).labels, run((matrix * factors).astype(np.float32), 6).labels)


@pytest.mark.parametrize("n_clusters", [0, 9])
def test_the_same_seed_gives_the_same_labels_on_any_number_of_threads(n_clusters):
    matrix, _ = blobs(9, 40, spread=0.6)
    labels = []
    for threads in (1, 2, 2):
        with threadpool_limits(threads):
            labels.append(run(matrix, n_clusters=n_clusters).labels)
    assert np.array_equal(labels[0], labels[1])
    assert np.array_equal(labels[1], labels[2])


def test_another_seed_may_give_other_clusters():
    matrix = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    found = [run(matrix, 10, random_state=seed).labels for seed in (1, 1, 2)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_restarts_keep_the_best():
    matrix = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    once, often = (run(matrix, 10, n_init=restarts).details["inertia"] for restarts in (1, 8))
    assert often < once


def test_passes_are_limited():
    matrix = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    assert run(matrix, 10, max_iter=1).details["n_iter"] == 1
    assert run(matrix, 10, max_iter=100).details["n_iter"] > 1


def test_a_fit_tells_its_centroids_and_squared_error():
    rows = normalise(blobs(4, 30)[0])
    fit = kmeans.fit_kmeans(rows, n_clusters=4, random_state=0, n_init=1, max_iter=100)
    means = np.array([rows[fit.labels == label].mean(axis=0) for label in range(4)])
    assert fit.centroids == pytest.approx(means, abs=1e-5)
    assert fit.inertia == pytest.approx(((rows - means[fit.labels]) ** 2).sum(), rel=1e-4)


def test_a_fit_has_a_centroid_for_each_label_only():
    rows = directions(3, 8).astype(np.float32)[np.arange(30) % 3]
    fit = kmeans.fit_kmeans(rows, n_clusters=5, random_state=0, n_init=1, max_iter=100)
    assert sorted(set(fit.labels)) == [0, 1, 2]
    assert fit.centroids[fit.labels] == pytest.approx(rows, abs=1e-6)
    assert len(fit.centroids) == 3


def test_the_details_are_json():
    details = run(blobs(3, 20, dimension=16)[0]).details
    assert json.loads(json.dumps(details, allow_nan=False))["dimension"] == 16
    assert details["algorithm"] == "kmeans"
