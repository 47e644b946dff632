from __future__ import annotations

import numpy as np
import pytest

from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.neighbours import nearest_neighbours, vote


def points(rows=3000, clusters=40):
    generator = np.random.default_rng(1)
    centre = generator.standard_normal((clusters, 32))
    noise = generator.standard_normal((rows, 32))
    return normalise((centre[generator.integers(0, clusters, rows)] + 0.7 * noise).astype(np.float32))


def test_exact_neighbours_are_those_of_all_pairs():
    unit = points(500)
    found = nearest_neighbours(unit, 7, random_state=0)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    assert found.exact
    np.testing.assert_allclose(found.similarities, -np.sort(-cosine, axis=1)[:, :7], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosine, found.indices, axis=1), found.similarities, atol=1e-6)


def test_cells_find_nearly_all_and_never_the_row_itself():
    unit = points()
    exact = nearest_neighbours(unit, 10, random_state=0)
    cells = nearest_neighbours(unit, 10, random_state=0, exact_rows=100)
    hit = [len(np.intersect1d(one, other)) for one, other in zip(exact.indices, cells.indices, strict=True)]
    assert not cells.exact
    assert np.mean(hit) / 10 > 0.95
    assert not (cells.indices == np.arange(len(unit))[:, None]).any()
    taken = np.einsum("ij,ikj->ik", unit, unit[cells.indices])
    np.testing.assert_allclose(cells.similarities, taken, atol=1e-5)


def test_no_more_neighbours_than_there_are_rows():
    assert nearest_neighbours(points(4), 15, random_state=0).indices.shape == (4, 3)


def test_a_vote_turns_a_stray_row_and_never_empties_a_cluster():
    unit = points(400, clusters=2)
    near = nearest_neighbours(unit, 10, random_state=0)
    side = (unit @ unit[0] > 0.3).astype(np.int64)
    wrong = side.copy()
    wrong[5] = 1 - side[5]
    assert (vote(near, wrong, rounds=1)[5]) == side[5]
    alone = side.copy()
    alone[7] = 2
    assert (vote(near, alone, rounds=3) == 2).sum() == 1


def test_cells_give_the_same_on_any_number_of_threads():
    unit = points()
    one, two = (nearest_neighbours(unit, 10, random_state=3, exact_rows=100, threads=threads) for threads in (1, 2))
    assert np.array_equal(one.indices, two.indices)
    assert np.array_equal(one.similarities, two.similarities)


def test_cells_hold_rows_enough_even_where_all_rows_are_alike():
    alike = np.tile(points(1), (600, 1))
    found = nearest_neighbours(alike, 15, random_state=0, exact_rows=100)
    assert not (found.indices == np.arange(600)[:, None]).any()
    assert found.similarities == pytest.approx(1, abs=1e-6)


def test_neighbours_of_identical_rows_are_the_first_ones():
    found = nearest_neighbours(np.tile(np.float32([[1, 0]]), (300, 1)), 3)
    assert found.indices[0].tolist() == [1, 2, 3]
    assert found.indices[10].tolist() == [0, 1, 2]
