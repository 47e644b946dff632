import pyarrow as pa
import pytest

from aicluster_cli.errors import RunError
from aicluster_cli.results.agreement import agreement


def test_the_same_groups_under_other_names_agree_perfectly():
    found = agreement(["a", "a", "b", "c"], pa.array([5, 5, 0, 1]))
    assert (found.v_measure, found.ari, found.ami) == pytest.approx((1, 1, 1))
    assert (found.rows, found.unclustered_rows, found.unlabelled_rows) == (4, 0, 0)


def test_figures_of_a_case_worked_by_hand():
    # Of 15 pairs of rows, 6 share a label, 3 a cluster and 2 both; chance would give 6 * 3 / 15.
    found = agreement(["a", "a", "a", "b", "b", "b"], pa.array([0, 0, 1, 1, 2, 2]))
    assert found.ari == pytest.approx((2 - 6 * 3 / 15) / ((6 + 3) / 2 - 6 * 3 / 15))
    assert found.v_measure == pytest.approx(2 * (2 / 3) * 0.4206198 / (2 / 3 + 0.4206198), abs=1e-6)
    assert 0 < found.ami < found.v_measure


def test_outliers_are_one_cluster():
    labels = ["a", "a", "b", "b"]
    assert agreement(labels, pa.array([0, 0, -1, -1])).ari == pytest.approx(1)
    assert agreement(["a", "b", "c", "c"], pa.array([-1, -1, 0, 0])).ari < 1


def test_rows_without_a_cluster_or_a_label_are_left_out_and_counted():
    found = agreement(["a", "a", "b", None, "b", None], pa.array([0, 0, 1, 1, None, None]))
    assert found.ari == pytest.approx(1)
    assert (found.rows, found.unclustered_rows, found.unlabelled_rows) == (3, 2, 1)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(RunError, match="no row has both a label and a cluster"):
        agreement(["a", None], pa.array([None, 0]))


def test_lengths_must_be_equal():
    with pytest.raises(ValueError, match="1 labels for 2 clusters"):
        agreement(["a"], pa.chunked_array([[0], [1]]))
