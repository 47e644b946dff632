from __future__ import annotations

import numpy as np
import pytest
from blobs import directions, mean_directions, unit

from aicluster_cli.clustering import geometry
from aicluster_cli.clustering.geometry import (
    all_alike,
    by_size,
    centres,
    cosine_distance,
    distance_to_own,
    margin,
    nearest_two,
    renumber,
)

pytestmark = pytest.mark.filterwarnings("error")

ACROSS_BLOCKS = geometry._BLOCK + 5


def unit_rows(rows, dimension, seed=0):
    return directions(rows, dimension, seed).astype(np.float32)


def labelled(values):
    return np.array(values, dtype=np.int64)


def test_centres_are_mean_directions_of_unit_length():
    rows = unit_rows(ACROSS_BLOCKS, 6)
    labels = labelled(np.random.default_rng(1).integers(0, 4, size=len(rows)))
    assert centres(rows, labels) == pytest.approx(mean_directions(rows, labels), abs=1e-5)
    assert centres(rows, labels).dtype == np.float32


def test_outliers_do_not_pull_a_centre():
    rows = np.array([[1, 0], [0, 1], [0, -1], [-1, 0]], dtype=np.float32)
    assert centres(rows, labelled([0, -1, 1, -1])).tolist() == [[1, 0], [0, -1]]


def test_without_clusters_there_are_no_centres():
    assert centres(unit_rows(3, 4), labelled([-1, -1, -1])).shape == (0, 4)


@pytest.mark.parametrize("dimension", [2, 64, 1024])
def test_the_first_member_stands_for_members_that_cancel_out(dimension):
    member = unit_rows(1, dimension)[0]
    rows = np.array([unit_rows(1, dimension, seed=9)[0], member, -member])
    assert np.array_equal(centres(rows, labelled([0, 1, 1]))[1], geometry.normalise(member[None])[0])


def test_members_that_cancel_out_but_for_rounding_have_the_first_one_as_centre():
    angles = 2 * np.pi * np.arange(3) / 3 + 0.1
    rows = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    assert centres(rows, labelled([0, 0, 0]))[0] == pytest.approx(rows[0], abs=1e-6)


def test_a_weak_mean_direction_is_still_the_mean():
    rows = geometry.normalise(np.array([[1, 1e-3], [-1, 1e-3]], dtype=np.float32))
    assert centres(rows, labelled([0, 0]))[0] == pytest.approx([0, 1], abs=1e-3)


def test_nearest_two_agrees_with_all_pairs_across_blocks():
    rows, middle = unit_rows(ACROSS_BLOCKS, 5), unit_rows(7, 5, seed=1)
    pairs = 1 - unit(rows) @ unit(middle).T
    nearest, first, second = nearest_two(rows, middle)
    ordered = np.sort(pairs, axis=1)
    assert first == pytest.approx(ordered[:, 0], abs=1e-6)
    assert second == pytest.approx(ordered[:, 1], abs=1e-6)
    clear = ordered[:, 1] - ordered[:, 0] > 1e-5
    assert np.array_equal(nearest[clear], pairs.argmin(axis=1)[clear])
    assert clear[geometry._BLOCK :].any()


def test_a_single_centre_has_no_next_one():
    nearest, first, second = nearest_two(unit_rows(4, 3), unit_rows(1, 3, seed=1))
    assert nearest.tolist() == [0] * 4
    assert (first > 0).all()
    assert np.isinf(second).all()


def test_the_distance_to_the_own_centre_is_one_minus_cosine_across_blocks():
    rows, middle = unit_rows(ACROSS_BLOCKS, 5), unit_rows(3, 5, seed=1)
    labels = labelled(np.arange(len(rows)) % 3)
    naive = 1 - (unit(rows) * unit(middle)[labels]).sum(axis=1)
    assert distance_to_own(rows, middle, labels) == pytest.approx(naive, abs=1e-6)


def test_cosine_distances_stay_between_0_and_2():
    rows = unit_rows(200, 300)
    both = np.vstack([rows, -rows])
    distance = cosine_distance(both, rows)
    assert distance.shape == (400, 200)
    assert distance.min() == pytest.approx(0, abs=1e-6)
    assert distance.max() == pytest.approx(2, abs=1e-6)
    assert ((distance >= 0) & (distance <= 2)).all()
    own = distance_to_own(both, rows, labelled(np.tile(np.arange(200), 2)))
    assert ((own >= 0) & (own <= 2)).all()


@pytest.mark.parametrize(
    ("own", "next_", "strength"),
    [
        (0.0, 1.0, 1.0),
        (0.25, 1.0, 0.75),
        (1.0, 1.0, 0.0),
        (1.5, 1.0, 0.0),
        (0.3, np.inf, 1.0),
        (0.0, 0.0, 1.0),
        (0.1, 0.0, 0.0),
    ],
)
def test_the_margin_falls_from_the_centre_to_the_border(own, next_, strength):
    assert margin(np.array([own]), np.array([next_])).tolist() == [strength]


def test_clusters_are_numbered_by_falling_size():
    labels = labelled([0, 1, 1, 2, 2, 2, -1, -1, -1, -1])
    assert by_size(labels).tolist() == [2, 1, 0]


def test_of_equal_clusters_the_one_with_the_smallest_row_comes_first():
    labels = labelled([-1, 3, 1, 0, 3, 1, 0, 2])
    assert by_size(labels).tolist() == [2, 1, 3, 0]


def test_numbers_do_not_depend_on_the_old_ones():
    rng = np.random.default_rng(3)
    labels = labelled(rng.integers(-1, 9, size=300))
    expected = renumber(labels, by_size(labels))
    for _ in range(5):
        shuffled = renumber(labels, labelled(rng.permutation(9)))
        assert np.array_equal(renumber(shuffled, by_size(shuffled)), expected)


def test_renumbering_leaves_outliers_alone():
    assert renumber(labelled([0, -1, 1, 0]), labelled([1, 0])).tolist() == [1, -1, 0, 1]


def test_nothing_but_outliers_can_be_numbered():
    labels = labelled([-1, -1])
    assert renumber(labels, by_size(labels)).tolist() == [-1, -1]


def test_rows_are_alike_up_to_rounding_only():
    rows = np.tile(unit_rows(1, 8), (5, 1))
    assert all_alike(rows)
    assert all_alike(rows + np.float32(2e-6) * unit_rows(5, 8, seed=1))
    assert not all_alike(rows + np.float32(1e-3) * unit_rows(5, 8, seed=1))
    assert all_alike(rows[:1])
