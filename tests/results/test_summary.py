import numpy as np
import pyarrow as pa
import pytest

from aicluster_cli.errors import RunError
from aicluster_cli.results.summary import describe_clusters, summarise

NAN = float("nan")


def test_every_row_is_clustered_an_outlier_or_bad(rows):
    table = rows(list("abcdef"), [0, 0, 3, -1, None, None])
    summary = summarise(table, None)
    assert (summary.rows, summary.clustered_rows, summary.clusters) == (6, 3, 2)
    assert (summary.outliers, summary.bad_rows) == (1, 2)
    assert summary.outlier_share == 0.25
    assert summary.bad_share == pytest.approx(1 / 3)
    assert summary.partitions == ()


def test_reasons_are_counted_by_verdict_the_most_frequent_first(rows):
    reasons = ["zero vector", "wrong length: 3, not 256", "wrong length: 4, not 256", "blank text", None, None]
    summary = summarise(rows(list("abcdef"), [None] * 5 + [0], REASON=reasons), None)
    assert list(summary.reasons.items()) == [
        ("wrong length", 2),
        ("blank text", 1),
        ("no reason given", 1),
        ("zero vector", 1),
    ]


def test_a_reason_beside_a_cluster_is_not_a_bad_row(rows):
    assert summarise(rows(["a"], [0], REASON=["blank text"]), None).reasons == {}


def test_partitions_are_counted_alone_and_in_order(rows):
    region = ["s", None, "n", "s", "n", "n", None]
    table = rows(list("abcdefg"), [0, 0, 0, 1, -1, None, None], region=region, REASON=[None] * 5 + ["x: 1", "y"])
    summary = summarise(table, "region")
    assert [(p.value, p.rows, p.clustered_rows, p.clusters, p.outliers, p.bad_rows) for p in summary.partitions] == [
        ("n", 3, 1, 1, 1, 1),
        ("s", 2, 2, 2, 0, 0),
        (None, 2, 1, 1, 0, 1),
    ]
    assert [dict(p.reasons) for p in summary.partitions] == [{"x": 1}, {}, {"y": 1}]
    assert (summary.rows, summary.clusters, summary.outliers, summary.bad_rows) == (7, 4, 1, 2)
    assert summary.reasons == {"x": 1, "y": 1}


def test_a_partition_that_is_null_throughout_is_one_partition(rows):
    [only] = summarise(rows(["a", "b"], region=pa.nulls(2, pa.string())), "region").partitions
    assert (only.value, only.rows) == (None, 2)


def test_no_rows_and_no_usable_rows(rows):
    empty = summarise(rows([]), None)
    assert (empty.rows, empty.clusters, empty.outlier_share, empty.bad_share) == (0, 0, 0.0, 0.0)
    assert summarise(rows([], region=pa.array([], pa.string())), "region").partitions == ()
    assert summarise(rows(["a"], [None]), None).outlier_share == 0.0


def test_a_cluster_number_that_means_nothing_is_an_error(rows):
    with pytest.raises(RunError, match="2 rows do not sum up: 1 clustered, 0 outliers, 0 bad"):
        summarise(rows(["a", "b"], [0, -2]), None)


def test_results_without_details_are_enough(rows):
    table = rows(["a", "b"], [0, 1]).drop_columns(["DETAILS"])
    assert summarise(table, None).clusters == 2
    assert len(describe_clusters(table, None)) == 2


def test_counts_of_many_partitions_and_clusters_are_those_of_counting_by_hand(rows):
    random = np.random.default_rng(3)
    clusters = [None if c == -2 else int(c) for c in random.integers(-2, 6, 2000)]
    region = random.integers(0, 40, 2000).tolist()
    summary = summarise(rows([str(i) for i in range(2000)], clusters, region=region), "region")
    for partition in summary.partitions:
        own = [c for c, r in zip(clusters, region, strict=True) if r == partition.value]
        assert partition.rows == len(own)
        assert partition.clusters == len({c for c in own if c is not None and c >= 0})
        assert partition.outliers == own.count(-1)
        assert partition.bad_rows == own.count(None)


def test_clusters_are_described_by_number_without_outliers(rows):
    table = rows(list("abcde"), [1, 0, 1, -1, None])
    described = describe_clusters(table, None)
    assert [(c.cluster, c.rows, c.share) for c in described] == [(0, 1, 0.2), (1, 2, 0.4)]
    assert all(c.keywords == () and c.examples == () and c.partition is None for c in described)


def test_clusters_of_partitions_are_described_apart(rows):
    table = rows(list("abcde"), [0, 0, 0, 1, 0], region=["s", "n", "n", "n", None])
    texts = pa.array(["parcel late", "card lost", "card stolen", "refund please", "login broken"])
    described = describe_clusters(table, texts)
    assert [(c.partition, c.cluster, c.rows) for c in described] == [
        ("n", 0, 2),
        ("n", 1, 1),
        ("s", 0, 1),
        (None, 0, 1),
    ]
    assert [c.keywords[0] for c in described[:2]] == ["card", "refund"]
    assert described[0].share == pytest.approx(2 / 3)
    assert [c.examples for c in described[2:]] == [("parcel late",), ("login broken",)]


def test_examples_are_the_texts_nearest_the_centre(rows):
    table = rows(list("abcdef"), [0] * 6, DISTANCE=[0.5, 0.1, None, 0.3, NAN, 0.2])
    [cluster] = describe_clusters(table, pa.array(list("uvwxyz")), examples=3)
    assert cluster.examples == ("v", "z", "x")
    [cluster] = describe_clusters(table, pa.array(list("uvwxyz")), examples=9)
    assert cluster.examples == ("v", "z", "x", "u", "w", "y")


def test_examples_are_different_texts_ties_in_row_order_and_never_blank(rows):
    texts = pa.array(["late", "", "early", "late", None, "  ", "lost", "early"])
    table = rows(list("abcdefgh"), [0] * 8, DISTANCE=[0.2, 0.0, 0.2, 0.1, 0.0, 0.0, 0.2, 0.2])
    [cluster] = describe_clusters(table, texts)
    assert cluster.examples == ("late", "early", "lost")


def test_texts_in_chunks_are_those_of_the_rows(rows):
    table = rows(list("abc"), [0, 1, 2])
    texts = pa.chunked_array([["one"], ["two", "three"]])
    assert [c.examples for c in describe_clusters(table, texts)] == [("one",), ("two",), ("three",)]


def test_texts_of_another_length_are_refused(rows):
    with pytest.raises(ValueError, match="1 texts for 2 rows"):
        describe_clusters(rows(["a", "b"]), pa.array(["x"]))


def test_a_run_with_nothing_clustered_has_no_clusters(rows):
    assert describe_clusters(rows(["a", "b"], [None, -1]), pa.array(["x", "y"])) == []
