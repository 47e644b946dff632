from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from blobs import blobs, blobs_with_outliers, directions, mean_directions, unit
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from threadpoolctl import threadpool_limits

from aicluster_cli.clustering import density, neighbours
from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.neighbours import nearest_neighbours
from aicluster_cli.clustering.outliers import find_outliers, outlier_scores
from aicluster_cli.clustering.params import DEEP_PARAMS, defaults
from aicluster_cli.clustering.space import COMPONENTS, compress, smooth

pytestmark = pytest.mark.filterwarnings("error")


def run(matrix, **changed):
    return density.cluster(matrix, **{**defaults(DEEP_PARAMS), **changed})


def is_nested(fine, coarse):
    return len(np.unique(np.column_stack([fine, coarse]), axis=0)) == len(np.unique(fine))


def test_hdbscan_still_has_the_private_functions_we_call():
    """A canary: an update of hdbscan may change what is private to it without notice."""
    told = "this hdbscan has changed _hdbscan_linkage.label or hdbscan_._tree_to_labels: adapt density.fit_groups to it"
    edges = np.array([[0, 1, 0.1], [2, 3, 0.1], [1, 4, 0.15], [3, 5, 0.15], [0, 2, 2.0]])
    try:
        from hdbscan._hdbscan_linkage import label
        from hdbscan.hdbscan_ import _tree_to_labels

        tree = label(edges)
        labels, probabilities, *_ = _tree_to_labels(np.zeros((6, 2)), tree, 3, "leaf")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        pytest.fail(f"{told} ({error})")
    assert tree.tolist()[-1][2:] == [2.0, 6.0], told
    assert sorted([labels[[0, 1, 4]].tolist(), labels[[2, 3, 5]].tolist()]) == [[0] * 3, [1] * 3], told
    assert probabilities.shape == (6,), told


@pytest.mark.parametrize("dimension", [8, 32, 200])
def test_well_separated_clusters_are_found(dimension):
    matrix, truth = blobs(6, 50, dimension, spread=0.2, seed=dimension)
    found = run(matrix, max_noise=1.0)
    assert found.labels.max() + 1 == 6 == found.details["n_clusters"]
    inside = found.labels >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], found.labels[inside]) == 1


def test_the_leaves_are_no_coarser_than_the_most_stable_groups():
    rng = np.random.default_rng(0)
    parents, children = directions(3, 32), directions(9, 32, seed=1) * 0.35
    truth = np.arange(540) % 9
    matrix = (parents[truth // 3] + children[truth] + rng.normal(size=(540, 32)) * 0.04).astype(np.float32)
    found = {method: run(matrix, cluster_selection_method=method).details for method in ("eom", "leaf")}
    assert found["leaf"]["leaves"] >= found["eom"]["leaves"] >= 3
    assert found["leaf"]["n_clusters"] == 9


def test_no_outlier_is_left_without_noise():
    matrix, outliers = blobs_with_outliers()
    found = run(matrix, max_noise=0.0)
    assert found.labels.min() == 0
    assert found.details["outliers"] == 0
    assert (found.raw_labels == -1).sum() == found.details["moved_rows"] > outliers.sum() / 2


@pytest.mark.parametrize("max_noise", [0.0, 0.01, 0.05, 0.5, 1.0])
def test_outliers_are_limited_to_their_share_and_are_the_strangest_rows(max_noise):
    matrix, _ = blobs_with_outliers(outliers=60)
    everyone, found = run(matrix, max_noise=1.0).labels == -1, run(matrix, max_noise=max_noise)
    noise = found.labels == -1
    assert everyone.mean() > 0.05
    assert noise.sum() == min(everyone.sum(), int(max_noise * len(matrix))) == found.details["outliers"]
    assert everyone[noise].all()
    if noise.any() and max_noise < 1:
        assert found.outlier_scores[noise].min() >= found.outlier_scores[everyone & ~noise].max(initial=0)


def test_planted_outliers_are_outliers_and_members_are_not():
    matrix, planted = blobs_with_outliers()
    noise = run(matrix).labels == -1
    assert noise[planted].mean() > 0.8
    assert noise[~planted].mean() < 0.03


def test_raw_labels_are_in_the_same_numbers():
    matrix, _ = blobs_with_outliers()
    found = run(matrix, max_noise=0.02)
    both = (found.raw_labels >= 0) & (found.labels >= 0)
    assert np.array_equal(found.raw_labels[both], found.labels[both])
    assert np.mean(found.raw_labels == -1) == pytest.approx(found.details["raw_noise_share"], abs=1e-5)
    assert found.details["moved_rows"] == ((found.raw_labels == -1) & (found.labels >= 0)).sum() > 0


def test_clusters_are_numbered_by_their_size_after_outliers_were_moved():
    matrix, _ = blobs_with_outliers(clusters=7, rows_each=40, outliers=80)
    for max_noise in (0.0, 0.1):
        sizes = np.bincount(run(matrix, max_noise=max_noise).labels + 1)[1:]
        assert len(sizes) >= 7
        assert sizes.tolist() == sorted(sizes, reverse=True)


@pytest.mark.parametrize("dimension", [32, 250])  # below and above the components that are kept to find clusters
@pytest.mark.parametrize("max_noise", [0.0, 0.05, 1.0])
def test_distances_are_those_of_the_final_centres(max_noise, dimension):
    matrix, _ = blobs_with_outliers(dimension=dimension)
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
    pairs = 1 - unit(matrix) @ mean_directions(matrix, found.labels).T
    rows = np.arange(len(matrix))
    own = pairs[rows, found.labels]
    pairs[rows, found.labels] = np.inf
    margins = np.clip(1 - own / pairs.min(axis=1), 0, 1)
    assert found.strengths[moved] == pytest.approx(margins[moved], abs=1e-4)
    assert found.strengths[~noise & ~moved].mean() > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_planted_outliers_score_higher(seed):
    matrix, outliers = blobs_with_outliers(seed=seed)
    scores = run(matrix).outlier_scores
    assert roc_auc_score(outliers, scores) > 0.9
    assert np.isfinite(scores).all()
    assert scores.min() >= 0


def test_where_no_group_is_dense_all_rows_are_one_cluster():
    rows = np.random.default_rng(0).normal(size=(60, 30)).astype(np.float32)
    found = run(rows, min_cluster_size=25, min_samples=20, max_noise=0.0)
    assert found.labels.tolist() == [0] * 60
    assert found.details["leaves"] == found.details["n_clusters"] == 1
    assert found.details["raw_noise_share"] == 1
    assert found.raw_labels.tolist() == [-1] * 60
    assert np.isfinite(found.distances).all()


@pytest.mark.parametrize("rows", [10, 50, 300])
@pytest.mark.parametrize("dimension", [2, 30, 31, 256, 1024])
def test_identical_rows_are_one_cluster(rows, dimension):
    found = run(np.tile(directions(1, dimension).astype(np.float32), (rows, 1)))
    assert found.labels.tolist() == found.raw_labels.tolist() == [0] * rows
    assert (found.strengths == 1).all()
    assert found.distances == pytest.approx(0, abs=1e-6)
    assert found.outlier_scores == pytest.approx(0, abs=1e-6)


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
        run(directions(9, 8).astype(np.float32), min_cluster_size=10)
    with pytest.raises(TooFewRowsError, match=r"^1 usable, min_cluster_size is 2$"):
        run(directions(1, 8).astype(np.float32))


@pytest.mark.parametrize("rows", [2, 3, 5, 12])
def test_more_neighbours_than_rows_are_allowed(rows):
    found = run(directions(rows, 40).astype(np.float32), min_cluster_size=2, min_samples=1000)
    assert len(found.labels) == rows


@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_dense_groups_agree_with_the_hdbscan_of_scikit_learn(method):
    matrix, _ = blobs_with_outliers(clusters=8, rows_each=50, outliers=60, dimension=64)
    rows = normalise(matrix)
    near = nearest_neighbours(rows, len(rows) - 1)  # all pairs: the graph holds the whole spanning tree
    ours = density.fit_groups(rows, near, 12, 5, method)
    theirs = HDBSCAN(min_cluster_size=12, min_samples=6, cluster_selection_method=method, copy=True).fit(rows)
    assert adjusted_rand_score(theirs.labels_, ours.labels) > 0.95
    assert ours.labels.max() == 7
    assert (ours.labels == -1).any()
    assert ((ours.probabilities >= 0) & (ours.probabilities <= 1)).all()


def test_many_dimensions_are_compressed_and_few_are_not():
    wide = normalise(np.random.default_rng(0).normal(size=(400, 300)).astype(np.float32))
    assert compress(wide).shape == (400, COMPONENTS)
    assert np.array_equal(compress(wide[:300]), wide[:300])  # no more rows than dimensions
    narrow = np.ascontiguousarray(wide[:, :COMPONENTS])
    assert compress(narrow) is narrow


def test_compressing_keeps_the_cosines_of_what_varies():
    rng = np.random.default_rng(0)
    flat = normalise((rng.normal(size=(500, 100)) @ rng.normal(size=(100, 300))).astype(np.float32))
    space = compress(flat)
    assert space.shape == (500, COMPONENTS)
    assert space @ space.T == pytest.approx(flat @ flat.T, abs=1e-4)


def test_a_row_that_no_axis_holds_keeps_its_direction():
    rows = np.eye(300, dtype=np.float32)[np.arange(700) % 300]
    assert np.array_equal(compress(rows), rows)
    found = run(rows)
    assert np.isfinite(found.distances).all()
    assert np.isfinite(found.strengths).all()


def test_smoothing_draws_rows_to_their_neighbours():
    matrix, truth = blobs(6, 50, spread=1.0)
    rows = normalise(matrix)
    near = nearest_neighbours(rows, 15)

    def own_cosine(space):
        return (unit(space) * mean_directions(space, truth)[truth]).sum(axis=1).mean()

    assert own_cosine(rows) + 0.1 < own_cosine(smooth(rows, near, times=1)) < own_cosine(smooth(rows, near, times=2))
    assert np.array_equal(smooth(rows, near, times=0), rows)


@pytest.mark.parametrize("exact", [True, False])
def test_the_same_seed_gives_the_same_rows_on_any_number_of_threads(exact, monkeypatch):
    if not exact:
        monkeypatch.setattr(neighbours.nearest_neighbours, "__kwdefaults__", {
            **neighbours.nearest_neighbours.__kwdefaults__, "exact_rows": 50
        })  # fmt: skip
    matrix, _ = blobs_with_outliers(clusters=12, dimension=300)
    found = []
    for threads in (1, 2, 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        with threadpool_limits(threads):
            found.append(run(matrix))
    assert found[0].details["exact_neighbours"] == exact
    for other in found[1:]:
        assert np.array_equal(found[0].labels, other.labels)
        assert np.array_equal(found[0].levels, other.levels)
        assert np.array_equal(found[0].strengths, other.strengths)
        assert np.array_equal(found[0].outlier_scores, other.outlier_scores)
        assert found[0].details == other.details


def test_the_length_of_a_row_does_not_matter():
    matrix, _ = blobs_with_outliers()
    factors = 10.0 ** np.random.default_rng(0).uniform(-20, 20, size=(len(matrix), 1))
    assert np.array_equal(run(matrix).labels, run((matrix * factors).astype(np.float32)).labels)


def neighbourhood(similarities, indices):
    return neighbours.Neighbours(np.array(indices, np.int32), np.array(similarities, np.float32), exact=True)


def test_strangeness_needs_sparsity_and_distance_and_grows_between_clusters():
    near = neighbourhood([[1, 1], [1, 0.1], [1, 0.1], [1, 0.1]], [[1, 1], [0, 0], [0, 0], [0, 3]])
    labels, distance = np.array([0, 0, 0, 1]), np.array([0.9, 0.0, 0.4, 0.4])
    assert outlier_scores(near, labels, distance) == pytest.approx([0, 0, 0.6, 0.9], abs=1e-6)


def strangeness(rows, strange):
    """Scores that spread a little, but for the rows that are strange."""
    scores = 0.1 + 0.001 * (np.arange(rows) % 10)
    for row, score in strange.items():
        scores[row] = score
    return scores


@pytest.mark.parametrize(
    ("max_noise", "kept"),
    [(0.0, []), (0.01, [4]), (0.019, [4]), (0.02, [4, 8]), (0.03, [2, 4, 8]), (1.0, [2, 4, 7, 8])],
)
def test_the_strangest_rows_are_outliers(max_noise, kept):
    scores = strangeness(100, {2: 0.5, 4: 0.9, 7: 0.4, 8: 0.8})
    assert np.flatnonzero(find_outliers(scores, np.arange(100) % 2, max_noise)).tolist() == kept


def test_of_equally_strange_rows_the_first_are_outliers():
    scores = strangeness(100, dict.fromkeys(range(50, 60), 0.5))
    assert np.flatnonzero(find_outliers(scores, np.zeros(100, int), 0.03)).tolist() == [50, 51, 52]


def test_a_share_that_is_whole_is_not_lost_to_rounding():
    scores = strangeness(100, dict.fromkeys(range(30), 0.5))
    assert find_outliers(scores, np.zeros(100, int), 0.29).sum() == 29


def test_a_cluster_keeps_its_rows_if_all_of_them_are_strange():
    scores = strangeness(100, {2: 0.5, 4: 0.9, 8: 0.8})
    labels = np.zeros(100, int)
    labels[[4, 8]] = 1
    assert np.flatnonzero(find_outliers(scores, labels, 1.0)).tolist() == [2]


def test_more_granularity_never_gives_fewer_clusters():
    matrix, _ = blobs(30, 60, dimension=64, spread=1.0)
    counts = [run(matrix, granularity=step).details["n_clusters"] for step in (-10, -3, -2, -1, -0.3, 0, 0.5, 1, 10)]
    assert counts == sorted(counts)
    assert counts[0] == 2
    assert counts[3] == pytest.approx(counts[5] / 2, abs=1)
    assert counts[0] < counts[5] < counts[-1]


def test_levels_are_coarser_and_each_holds_whole_clusters():
    matrix, _ = blobs(60, 25, dimension=64)
    strays = np.random.default_rng(5).normal(size=(20, 64)).astype(np.float32)
    found = run(np.vstack([matrix, strays]))
    assert found.levels.shape == (len(matrix) + 20, 3)
    assert found.levels.dtype == np.int64
    assert (found.labels == -1).any()
    assert found.details["n_clusters_by_level"] == (found.levels.max(axis=0) + 1).tolist()
    for fine, coarse in pairwise([found.labels, *found.levels.T]):
        inside = fine >= 0
        assert np.array_equal(coarse >= 0, inside)
        assert is_nested(fine[inside], coarse[inside])
        assert 2 <= coarse.max() + 1 < fine.max() + 1
        sizes = np.bincount(coarse[inside])
        assert sizes.tolist() == sorted(sizes, reverse=True)


def test_few_clusters_have_no_coarser_levels():
    assert run(blobs(3, 40)[0]).levels.shape == (120, 0)


@pytest.mark.parametrize("rows", [*range(2, 14), 30])
@pytest.mark.parametrize("dimension", [2, 16])
def test_a_handful_of_rows_is_answered(rows, dimension):
    generator = np.random.default_rng(rows)
    matrix = generator.normal(size=(rows, dimension)).astype(np.float32)
    matrix[::3] = -matrix[0]
    found = run(matrix)
    assert len(found.labels) == len(found.levels) == rows
    for values in (found.strengths, found.distances, found.outlier_scores):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("dimension", [2, 64, 300])
def test_rows_that_differ_by_rounding_only_are_one_cluster(dimension):
    rng = np.random.default_rng(0)
    rows = directions(1, dimension) * (1 + 1e-7 * rng.normal(size=(80, dimension)))
    assert run(rows.astype(np.float32)).labels.tolist() == [0] * 80


def test_opposite_and_orthogonal_rows_have_finite_figures():
    one = directions(1, 32)
    for rows in (one * np.where(np.arange(60) % 2, 1, -1)[:, None], np.eye(64)[np.arange(100) % 64]):
        found = run(rows.astype(np.float32))
        for values in (found.strengths, found.distances, found.outlier_scores):
            assert np.isfinite(values).all()


def test_the_details_are_json():
    for details in (run(blobs_with_outliers()[0]).details, run(directions(12, 8).astype(np.float32)).details):
        assert json.loads(json.dumps(details, allow_nan=False)).keys() == details.keys()
        assert {"algorithm", "dimension", "components", "n_clusters", "raw_noise_share", "moved_rows"} <= set(details)
