from __future__ import annotations

import json

import numpy as np
import pytest
from blobs import blobs, blobs_with_outliers, directions, mean_directions, unit
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from threadpoolctl import threadpool_limits

from aicluster_cli.clustering import density
from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError

pytestmark = pytest.mark.filterwarnings("error")


def run(matrix, **changed):
    given = {"min_cluster_size": 10, "min_samples": 5, "cluster_selection_method": "eom", "max_noise": 0.1}
    return density.cluster(matrix, **{**given, "random_state": 42, **changed})


@pytest.mark.parametrize("dimension", [8, 32, 200])
def test_well_separated_clusters_are_found(dimension):
    matrix, truth = blobs(6, 50, dimension, spread=0.2, seed=dimension)
    found = run(matrix, max_noise=1.0)
    assert found.labels.max() + 1 == 6 == found.details["n_clusters"]
    inside = found.labels >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], found.labels[inside]) == 1


def test_leaf_finds_no_coarser_clusters_than_eom():
    rng = np.random.default_rng(0)
    parents, children = directions(3, 32), directions(9, 32, seed=1) * 0.35
    truth = np.arange(540) % 9
    matrix = (parents[truth // 3] + children[truth] + rng.normal(size=(540, 32)) * 0.04).astype(np.float32)
    found = {method: run(matrix, cluster_selection_method=method).details["n_clusters"] for method in ("eom", "leaf")}
    assert found["leaf"] == 9 >= found["eom"]


def test_no_outlier_is_left_without_noise():
    matrix, outliers = blobs_with_outliers()
    found = run(matrix, max_noise=0.0)
    assert found.labels.min() == 0
    assert (found.raw_labels == -1).sum() == found.details["moved_rows"] > outliers.sum() / 2


@pytest.mark.parametrize("max_noise", [0.0, 0.01, 0.05, 0.5, 1.0])
def test_noise_is_limited_to_its_share_and_the_strangest_rows_stay(max_noise):
    matrix, _ = blobs_with_outliers(outliers=60)
    found = run(matrix, max_noise=max_noise)
    raw_noise, noise = found.raw_labels == -1, found.labels == -1
    assert raw_noise.mean() > 0.05
    assert noise.sum() == min(raw_noise.sum(), int(max_noise * len(matrix)))
    assert not (noise & ~raw_noise).any()
    moved = raw_noise & ~noise
    if noise.any() and moved.any():
        assert found.outlier_scores[noise].min() >= found.outlier_scores[moved].max()


def test_raw_labels_are_in_the_same_numbers():
    matrix, _ = blobs_with_outliers()
    found = run(matrix, max_noise=0.02)
    before = found.raw_labels >= 0
    assert np.array_equal(found.raw_labels[before], found.labels[before])
    assert np.mean(~before) == pytest.approx(found.details["raw_noise_share"], abs=1e-5)
    assert found.details["moved_rows"] == (~before & (found.labels >= 0)).sum() > 0


def test_clusters_are_numbered_by_their_size_after_outliers_were_moved():
    matrix, _ = blobs_with_outliers(clusters=7, rows_each=40, outliers=80)
    for max_noise in (0.0, 0.1):
        sizes = np.bincount(run(matrix, max_noise=max_noise).labels + 1)[1:]
        assert len(sizes) >= 7
        assert sizes.tolist() == sorted(sizes, reverse=True)


def test_moved_rows_go_to_the_nearest_cluster():
    matrix, _ = blobs_with_outliers()
    found = run(matrix, max_noise=0.0)
    nearest = (unit(matrix) @ mean_directions(matrix, found.raw_labels).T).argmax(axis=1)
    moved = found.raw_labels == -1
    assert moved.any()
    assert np.array_equal(found.labels[moved], nearest[moved])


@pytest.mark.parametrize("max_noise", [0.0, 0.05, 1.0])
def test_distances_are_those_of_the_final_centres(max_noise):
    matrix, _ = blobs_with_outliers()
    found = run(matrix, max_noise=max_noise)
    pairs = 1 - unit(matrix) @ mean_directions(matrix, found.labels).T
    own = np.where(found.labels == -1, pairs.min(axis=1), pairs[np.arange(len(matrix)), found.labels])
    assert found.distances == pytest.approx(own, abs=1e-6)


def test_strengths_are_probabilities_margins_for_moved_rows_and_zero_for_outliers():
    matrix, _ = blobs_with_outliers()
    found = run(matrix, max_noise=0.05)
    noise, moved = found.labels == -1, (found.raw_labels == -1) & (found.labels != -1)
    assert ((found.strengths >= 0) & (found.strengths <= 1)).all()
    assert noise.any()
    assert moved.any()
    assert (found.strengths[noise] == 0).all()
    rest = np.where(found.raw_labels == -1, 0, found.strengths)
    space = density.reduce(normalise(matrix), random_state=42)
    assert rest == pytest.approx(density.fit_hdbscan(space, 10, 5, "eom").probabilities, abs=1e-9)
    pairs = np.sort(1 - unit(matrix) @ mean_directions(matrix, found.labels).T, axis=1)
    assert found.strengths[moved] == pytest.approx((1 - pairs[:, 0] / pairs[:, 1])[moved], abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_planted_outliers_score_higher(seed):
    matrix, outliers = blobs_with_outliers(seed=seed)
    scores = run(matrix).outlier_scores
    assert roc_auc_score(outliers, scores) > 0.9
    assert np.isfinite(scores).all()
    assert scores.min() >= 0


def test_where_no_cluster_is_found_every_row_is_an_outlier_without_a_distance():
    rows = np.random.default_rng(0).normal(size=(60, 30)).astype(np.float32)
    found = run(rows, min_cluster_size=25, min_samples=20)
    assert found.labels.tolist() == found.raw_labels.tolist() == [-1] * 60
    assert np.isnan(found.distances).all()
    assert (found.strengths == 0).all()
    assert found.details["note"].startswith("no cluster found")
    assert found.details["raw_noise_share"] == 1
    assert found.details["n_clusters"] == 0


@pytest.mark.parametrize("rows", [10, 50, 300])
@pytest.mark.parametrize("dimension", [2, 30, 31, 256, 1024])
def test_identical_rows_are_one_cluster(rows, dimension):
    found = run(np.tile(directions(1, dimension).astype(np.float32), (rows, 1)))
    assert found.labels.tolist() == found.raw_labels.tolist() == [0] * rows
    assert (found.strengths == 1).all()
    assert found.distances == pytest.approx(0, abs=1e-6)
    assert (found.outlier_scores == 0).all()


def test_identical_rows_without_any_rounding_are_one_cluster():
    rows = np.zeros((10, 64), dtype=np.float32)
    rows[:, 3] = 2.0
    assert run(rows).labels.tolist() == [0] * 10


def test_rows_of_one_direction_and_many_lengths_are_one_cluster():
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=64) * rng.uniform(0.1, 10, size=(60, 1))).astype(np.float32)
    assert run(rows).labels.tolist() == [0] * 60


@pytest.mark.parametrize("dimension", [3, 100])
def test_a_few_distinct_vectors_are_as_many_clusters(dimension):
    truth = np.arange(120) % 4
    found = run(directions(4, dimension).astype(np.float32)[truth])
    assert adjusted_rand_score(truth, found.labels) == 1
    assert np.isfinite(found.outlier_scores).all()


def test_fewer_rows_than_a_cluster_needs_are_refused():
    with pytest.raises(TooFewRowsError, match=r"^9 usable, min_cluster_size is 10$"):
        run(directions(9, 8).astype(np.float32))


@pytest.mark.parametrize("rows", [2, 3, 5, 12])
def test_more_neighbours_than_rows_are_allowed(rows):
    found = run(directions(rows, 40).astype(np.float32), min_cluster_size=2, min_samples=1000)
    assert len(found.labels) == rows


@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_labels_agree_with_the_hdbscan_of_scikit_learn(method):
    matrix, _ = blobs_with_outliers(clusters=8, rows_each=50, outliers=60, dimension=64)
    space = density.reduce(normalise(matrix), random_state=0)
    ours = density.fit_hdbscan(space, 12, 5, method)
    theirs = HDBSCAN(min_cluster_size=12, min_samples=6, cluster_selection_method=method, copy=True).fit(space)
    assert adjusted_rand_score(theirs.labels_, ours.labels) > 0.95
    assert ours.labels.max() == 7
    assert (ours.labels == -1).any()


def test_rows_are_reduced_to_at_most_thirty_components():
    wide = normalise(np.random.default_rng(0).normal(size=(90, 200)).astype(np.float32))
    assert density.reduce(wide, random_state=0).shape == (90, density.COMPONENTS)
    assert density.reduce(wide[:10], random_state=0).shape == (10, 9)
    narrow = wide[:, :20]
    assert density.reduce(narrow, random_state=0) is narrow


def test_reducing_keeps_the_distances_of_what_varies():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(100, 10)) @ np.linalg.qr(rng.normal(size=(150, 10)))[0].T
    space = density.reduce(flat.astype(np.float32), random_state=0)
    distances = [np.linalg.norm(rows[:50] - rows[50:], axis=1) for rows in (flat, space)]
    assert distances[1] == pytest.approx(distances[0], rel=1e-4)


def test_the_same_seed_gives_the_same_labels_on_any_number_of_threads():
    matrix, _ = blobs_with_outliers(dimension=100)
    found = []
    for threads in (1, 2, 2):
        with threadpool_limits(threads):
            found.append(run(matrix))
    assert np.array_equal(found[0].labels, found[1].labels)
    assert np.array_equal(found[1].labels, found[2].labels)
    assert np.array_equal(found[1].strengths, found[2].strengths)


def test_the_length_of_a_row_does_not_matter():
    matrix, _ = blobs_with_outliers()
    factors = 10.0 ** np.random.default_rng(0).uniform(-20, 20, size=(len(matrix), 1))
    assert np.array_equal(run(matrix).labels, run((matrix * factors).astype(np.float32)).labels)


def test_strangeness_needs_both_sparsity_and_distance():
    glosh, distance = np.array([0.0, 0.9, 0.9, 0.1]), np.array([0.9, 0.0, 0.4, 0.9])
    assert density.outlier_scores(glosh, distance) == pytest.approx([0, 0, 0.6, 0.3])


@pytest.mark.parametrize(
    ("max_noise", "kept"), [(0.0, []), (0.1, [4]), (0.19, [4]), (0.2, [4, 8]), (0.3, [2, 4, 8]), (1.0, [2, 4, 7, 8])]
)
def test_the_strangest_noise_is_kept(max_noise, kept):
    labels = np.array([0, 0, -1, 1, -1, 1, 1, -1, -1, 0])
    strangeness = np.array([0.9, 0.9, 0.3, 0.9, 0.8, 0.9, 0.9, 0.1, 0.5, 0.9])
    assert density.keep_as_outliers(labels, strangeness, max_noise).tolist() == kept


def test_of_equally_strange_rows_the_first_are_kept():
    assert density.keep_as_outliers(np.full(10, -1), np.full(10, 0.5), 0.3).tolist() == [0, 1, 2]


def test_a_share_that_is_whole_is_not_lost_to_rounding():
    assert len(density.keep_as_outliers(np.full(100, -1), np.full(100, 0.5), 0.29)) == 29


def test_the_details_are_json():
    for details in (run(blobs_with_outliers()[0]).details, run(directions(12, 8).astype(np.float32)).details):
        assert json.loads(json.dumps(details, allow_nan=False)) == details
        assert {"algorithm", "dimension", "components", "n_clusters", "raw_noise_share", "moved_rows"} <= set(details)
