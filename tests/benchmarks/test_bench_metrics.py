"""The figures of the benchmarks against scikit-learn's and against hand-made ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, v_measure_score

from benchmarks.metrics import OUTLIER, agreement, inertia, judge, move_noise, outlier_figures


@pytest.fixture
def rows():
    """Three directions in a plane and a row between the first two, nearer to the first."""
    angles = np.deg2rad([0, 2, 90, 92, 180, 178, 30])
    return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def random_labels(seed, clusters):
    return np.random.default_rng(seed).integers(-1, clusters, 300)


def test_agreement_is_scikit_learns():
    truth, labels = random_labels(1, 6), random_labels(2, 4)
    assert agreement(truth, labels) == {
        "v": pytest.approx(v_measure_score(truth, labels), abs=1e-5),
        "ami": pytest.approx(adjusted_mutual_info_score(truth, labels), abs=1e-5),
        "ari": pytest.approx(adjusted_rand_score(truth, labels), abs=1e-5),
    }


def test_noise_moves_to_the_nearest_mean_direction(rows):
    labels = np.array([0, 0, 1, 1, 2, 2, OUTLIER])
    assert move_noise(rows, labels).tolist() == [0, 0, 1, 1, 2, 2, 0]
    assert labels[-1] == OUTLIER


def test_noise_moves_to_clusters_whose_numbers_have_gaps(rows):
    labels = np.array([7, 7, OUTLIER, 4, 9, 9, OUTLIER])
    assert move_noise(rows, labels).tolist() == [7, 7, 4, 4, 9, 9, 7]


def test_rows_without_any_cluster_become_one():
    assert move_noise(np.eye(3, dtype=np.float32), np.full(3, OUTLIER)).tolist() == [0, 0, 0]


def test_outlier_figures_by_hand():
    truth = np.array([OUTLIER, OUTLIER, OUTLIER, OUTLIER, 0, 0, 1, 1, 1, 1])
    found = np.array([OUTLIER, OUTLIER, 0, 1, OUTLIER, 0, 1, 1, 1, 1])
    # two hits of three found and four true: 2/3, 1/2, and 2 * 2 / (3 + 4)
    assert outlier_figures(truth, found) == {"precision": 0.66667, "recall": 0.5, "f1": 0.57143}


def test_without_noise_outlier_figures_are_zero():
    assert outlier_figures(np.array([OUTLIER, 0]), np.array([0, 0])) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_a_truth_without_outliers_has_no_outlier_figures():
    assert outlier_figures(np.array([0, 1]), np.array([OUTLIER, 0])) is None


def test_inertia_is_the_squared_distance_to_the_means():
    matrix = np.random.default_rng(3).standard_normal((9000, 5)).astype(np.float32)
    labels = np.random.default_rng(4).integers(0, 7, 9000)
    means = np.array([matrix[labels == cluster].astype(np.float64).mean(axis=0) for cluster in range(7)])
    assert inertia(matrix, labels) == pytest.approx(np.square(matrix - means[labels]).sum(), rel=1e-6)


def test_judge_treats_noise_in_three_ways_and_leaves_true_outliers_out(rows):
    truth = np.array([0, 0, 1, 1, 2, OUTLIER, 0])
    labels = np.array([0, 0, 1, OUTLIER, 2, OUTLIER, OUTLIER])
    found = judge(rows, truth, labels)
    inside = truth != OUTLIER
    assert found["noise_as_one"]["v"] == pytest.approx(v_measure_score(truth[inside], labels[inside]), abs=1e-5)
    assert found["clustered_only"] == {"v": 1.0, "ami": 1.0, "ari": 1.0}
    assert found["noise_moved"] == {"v": 1.0, "ami": 1.0, "ari": 1.0}
    assert found["all_rows"]["noise_as_one"]["v"] == pytest.approx(v_measure_score(truth, labels), abs=1e-5)
    assert found["all_rows"]["noise_moved"]["v"] < 1
    assert (found["clusters"], found["noise_share"]) == (3, round(3 / 7, 5))
    assert found["outliers"] == {"precision": 0.33333, "recall": 1.0, "f1": 0.5}


def test_all_noise_has_no_figures_on_clustered_rows():
    found = judge(np.eye(3, dtype=np.float32), np.array([0, 1, 1]), np.full(3, OUTLIER))
    assert (found["clustered_only"], found["clusters"]) == (None, 0)
