"""HDBSCAN on embeddings: what a person may rely on, whatever the data."""

import inspect
import json
from itertools import pairwise

import numpy as np
import pytest
from blobs import blobs_with_outliers, mean_directions, unit
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from aicluster_cli.clustering import density
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.params import DEEP_PARAMS, defaults

pytestmark = pytest.mark.filterwarnings("error")

DEFAULTS = defaults(DEEP_PARAMS)


def topics(clusters=12, rows=80, strays=0, dimension=64, seed=0, spread=0.6):
    generator = np.random.default_rng(seed)
    centre = generator.standard_normal((clusters, dimension))
    labels = np.repeat(np.arange(clusters), rows)
    matrix = centre[labels] + spread * generator.standard_normal((len(labels), dimension))
    stray = generator.standard_normal((strays, dimension))
    matrix, labels = np.vstack([matrix, stray]), np.concatenate([labels, np.full(strays, -1)])
    order = generator.permutation(len(labels))
    return matrix[order].astype(np.float32), labels[order]


def run(matrix, **given):
    return density.cluster(matrix, **(DEFAULTS | given))


def test_topics_are_found_with_no_parameter_given():
    matrix, labels = topics()
    found = run(matrix)
    inside = found.labels >= 0
    assert found.details["n_clusters"] == 12
    assert adjusted_rand_score(labels[inside], found.labels[inside]) > 0.98
    assert inside.mean() > 0.95


def test_strays_are_outliers_and_topics_are_not():
    matrix, labels = topics(strays=40)
    found = run(matrix)
    stray = labels < 0
    assert (found.labels[stray] < 0).mean() > 0.8
    assert (found.labels[~stray] < 0).mean() < 0.02


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_length_of_vectors_does_not_matter(scale):
    matrix, _ = topics(strays=40)
    assert (run(matrix * np.float32(scale)).labels == run(matrix).labels).mean() > 0.995


def test_max_noise_zero_moves_every_row_and_keeps_the_raw_labels():
    matrix, _ = topics(strays=40)
    found = run(matrix, max_noise=0.0)
    assert found.labels.min() == 0
    assert (found.raw_labels < 0).any()
    kept = found.raw_labels >= 0
    assert (found.raw_labels[kept] == found.labels[kept]).all()


def test_max_noise_limits_the_outliers_and_keeps_the_strangest():
    matrix, _ = topics(strays=40)
    found = run(matrix, max_noise=0.01)
    outlier = found.labels < 0
    assert outlier.sum() == int(0.01 * len(matrix))
    assert found.outlier_scores[outlier].min() >= np.sort(found.outlier_scores)[-outlier.sum()]


def test_granularity_is_monotone():
    matrix, _ = topics(clusters=30, spread=1.0)
    runs = [run(matrix, granularity=step, max_noise=0.0) for step in (-3.0, -2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 2.0)]
    counts = [found.details["n_clusters"] for found in runs]
    assert counts == sorted(counts)
    assert counts[0] < counts[4] < counts[-1]


def is_nested(fine, coarse):
    pairs = np.unique(np.column_stack([fine, coarse]), axis=0)
    return len(pairs) == len(np.unique(fine))


def test_levels_are_coarser_and_each_holds_whole_clusters():
    matrix, _ = topics(clusters=40, rows=40, strays=20)
    found = run(matrix)
    tower = [found.labels, *found.levels.T]
    assert len(tower) >= 3
    for fine, coarse in pairwise(tower):
        inside = fine >= 0
        assert ((coarse >= 0) == inside).all()
        assert is_nested(fine[inside], coarse[inside])
        assert coarse.max() < fine.max()


def test_ids_go_by_size():
    matrix, _ = topics()
    found = run(np.vstack([matrix, topics(clusters=1, rows=150, seed=5)[0]]))
    sizes = np.bincount(found.labels[found.labels >= 0])
    assert (np.diff(sizes) <= 0).all()


def test_same_answer_twice_and_on_any_number_of_threads():
    from threadpoolctl import threadpool_limits

    matrix, _ = topics(clusters=30, dimension=300, strays=50)
    answers = []
    for threads in (1, 2, 2):
        with threadpool_limits(threads):
            answers.append(run(matrix))
    for other in answers[1:]:
        assert (answers[0].labels == other.labels).all()
        assert (answers[0].levels == other.levels).all()
        np.testing.assert_allclose(answers[0].outlier_scores, other.outlier_scores, atol=1e-5)


@pytest.mark.parametrize("dimension", [2, 30, 31, 256, 1024])
@pytest.mark.parametrize("rows", [2, 10, 300])
def test_identical_rows_are_one_cluster_without_outliers(rows, dimension):
    row = np.random.default_rng(dimension).normal(size=dimension).astype(np.float32)
    found = run(np.tile(row, (rows, 1)))
    assert (found.labels == 0).all()
    assert np.isfinite(found.strengths).all()
    assert found.distances == pytest.approx(np.zeros(rows), abs=1e-5)


def test_rows_of_one_direction_and_many_lengths_are_one_cluster():
    generator = np.random.default_rng(0)
    row = generator.normal(size=64).astype(np.float32)
    found = run(row * generator.uniform(0.1, 100, size=(200, 1)).astype(np.float32))
    assert (found.labels == 0).all()


@pytest.mark.parametrize("max_noise", [0.0, 0.05, 1.0])
def test_distances_are_those_of_the_final_centres(max_noise):
    matrix, _ = blobs_with_outliers()
    found = run(matrix, max_noise=max_noise)
    pairs = 1 - unit(matrix) @ mean_directions(matrix, found.labels).T
    own = np.where(found.labels == -1, pairs.min(axis=1), pairs[np.arange(len(matrix)), found.labels])
    assert found.distances == pytest.approx(own, abs=1e-5)


def test_strengths_lie_between_zero_and_one_and_are_zero_for_outliers():
    matrix, _ = blobs_with_outliers()
    found = run(matrix)
    assert ((found.strengths >= 0) & (found.strengths <= 1)).all()
    assert (found.labels == -1).any()
    assert (found.strengths[found.labels == -1] == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_planted_outliers_score_higher(seed):
    matrix, outliers = blobs_with_outliers(seed=seed)
    scores = run(matrix).outlier_scores
    assert roc_auc_score(outliers, scores) > 0.9
    assert np.isfinite(scores).all()
    assert scores.min() >= 0


@pytest.mark.parametrize("method", ["leaf", "eom"])
def test_topics_are_found_on_either_kind_of_groups(method):
    matrix, labels = topics(clusters=6)
    found = run(matrix, cluster_selection_method=method, max_noise=0.0)
    assert adjusted_rand_score(labels, found.labels) > 0.98


@pytest.mark.parametrize("min_samples", [2, 5, 100])
def test_more_neighbours_than_rows_are_allowed(min_samples):
    matrix = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
    assert len(run(matrix, min_cluster_size=2, min_samples=min_samples).labels) == 12


def test_rows_opposite_each_other_are_answered():
    matrix = np.vstack([np.tile([1.0, 0.0], (20, 1)), np.tile([-1.0, 0.0], (20, 1))]).astype(np.float32)
    found = run(matrix, max_noise=0.0)
    assert len(set(found.labels[:20])) == 1
    assert found.labels[0] != found.labels[-1]


def test_the_details_are_json():
    matrix, _ = topics()
    details = json.loads(json.dumps(run(matrix).details))
    assert details["n_clusters"] == 12
    assert details["granularity_curve"][0][0] == 2


def test_the_private_functions_of_hdbscan_are_as_we_use_them():
    from hdbscan._hdbscan_linkage import label
    from hdbscan.hdbscan_ import _tree_to_labels

    taken = list(inspect.signature(_tree_to_labels).parameters)[:4]
    message = "hdbscan has changed inside; see density.fit_groups"
    assert taken == ["X", "single_linkage_tree", "min_cluster_size", "cluster_selection_method"], message
    assert label(np.array([[0.0, 1.0, 0.5]])).shape == (1, 4), message


def test_many_copies_of_few_rows_are_their_clusters():
    generator = np.random.default_rng(0)
    matrix = np.repeat(generator.standard_normal((4, 32)), 60, axis=0).astype(np.float32)
    found = run(matrix)
    assert found.details["n_clusters"] == 4
    assert (found.labels >= 0).all()


@pytest.mark.parametrize("rows", [2, 3, 6, 20])
def test_a_handful_of_rows_is_answered(rows):
    matrix = np.random.default_rng(0).standard_normal((rows, 16)).astype(np.float32)
    found = run(matrix)
    assert len(found.labels) == rows
    assert found.levels.shape[0] == rows
    assert np.isfinite(found.strengths).all()


def test_too_few_rows_say_what_was_needed():
    matrix = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    with pytest.raises(TooFewRowsError, match="5 usable, min_cluster_size is 10"):
        run(matrix, min_cluster_size=10)
    with pytest.raises(TooFewRowsError):
        run(matrix[:1])
