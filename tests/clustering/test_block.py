from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from blobs import blobs, blobs_with_outliers

from aicluster_cli.clustering import density, kmeans
from aicluster_cli.clustering.block import cluster_block
from aicluster_cli.clustering.embeddings import parse_arrays, parse_json
from aicluster_cli.clustering.result import Clustering
from aicluster_cli.clustering.schema import OUTPUT_NAMES

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = {
    "ROW_ID": "object",
    "CLUSTER_ID": "Int64",
    "STRENGTH": "float64",
    "DISTANCE": "float64",
    "RAW_CLUSTER_ID": "Int64",
    "OUTLIER_SCORE": "float64",
    "LEVEL_1": "Int64",
    "LEVEL_2": "Int64",
    "LEVEL_3": "Int64",
    "BLOCK_ROWS": "Int64",
    "REASON": "object",
    "DETAILS": "object",
}


def into_two(matrix):
    return kmeans.cluster(matrix, n_clusters=2, random_state=0, n_init=1, max_iter=10)


def by_density(matrix, max_noise=0.1):
    return density.cluster(
        matrix,
        min_cluster_size=10,
        min_samples=5,
        cluster_selection_method="leaf",
        granularity=0.0,
        max_noise=max_noise,
        random_state=0,
    )


def run(ids, texts, cluster=into_two):
    return cluster_block(pd.Series(ids, dtype="object"), parse_json(list(texts)), cluster)


MIXED = {
    "a": "[1, 0]",
    "b": None,
    "c": "[0, 1]",
    "d": "oops",
    "e": "[1, 0.1]",
    "f": "[0, 0]",
    "g": "[0.1, 1]",
    "h": "[1, 2, 3]",
    "i": "[1, 0.05]",
}


def test_one_row_comes_out_for_each_in_order():
    frame = run(MIXED.keys(), MIXED.values())
    assert frame["ROW_ID"].tolist() == list(MIXED)
    assert frame.index.tolist() == list(range(len(MIXED)))
    assert frame["CLUSTER_ID"].tolist() == [0, pd.NA, 1, pd.NA, 0, pd.NA, 1, pd.NA, 0]


def test_a_row_has_either_a_reason_or_a_cluster():
    frame = run(MIXED.keys(), MIXED.values())
    good = [row in "acegi" for row in MIXED]
    assert [reason is None for reason in frame["REASON"]] == good
    assert frame["REASON"].dropna().str.partition(":")[0].tolist() == [
        "null embedding",
        "malformed JSON",
        "zero vector",
        "wrong length",
    ]
    for name in ("CLUSTER_ID", "RAW_CLUSTER_ID", "STRENGTH", "DISTANCE"):
        assert frame[name].notna().tolist() == good


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        pytest.param(MIXED.keys(), MIXED.values(), id="mixed"),
        pytest.param(["a", "b", "c"], ["[1,0]", "[0,1]", "[1,1]"], id="good"),
        pytest.param(["a", "b"], ["oops", None], id="bad"),
        pytest.param(["a"], ["[1,0]"], id="too-few"),
        pytest.param([], [], id="empty"),
    ],
)
def test_columns_and_types_are_always_those_of_the_schema(ids, texts):
    frame = run(ids, texts)
    assert tuple(frame.columns) == OUTPUT_NAMES
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == DTYPES
    assert len(frame) == len(ids)


def test_every_row_tells_how_many_rows_the_call_saw():
    assert run(MIXED.keys(), MIXED.values())["BLOCK_ROWS"].tolist() == [len(MIXED)] * len(MIXED)
    assert run(["a", "b"], ["oops", None])["BLOCK_ROWS"].tolist() == [2, 2]


@pytest.mark.parametrize("first", ["[1, 0]", "oops"])
def test_the_details_are_json_in_the_first_row_only(first):
    frame = run(["x", *MIXED.keys()], [first, *MIXED.values()])
    assert frame["DETAILS"].notna().tolist() == [True] + [False] * len(MIXED)
    details = json.loads(frame["DETAILS"][0])
    assert details["algorithm"] == "kmeans"
    assert details["dimension"] == details["n_clusters"] == 2


def test_without_clustering_there_are_no_details():
    assert run(["a", "b"], ["oops", None])["DETAILS"].isna().all()


def test_too_few_rows_are_the_reason_of_every_usable_row():
    frame = run(["a", "b", "c"], ["oops", "[1, 2]", "[1, 2, 3]"])
    assert frame["REASON"].tolist()[1:] == [
        "too few rows: 1 usable, 2 clusters asked for",
        "wrong length: 3, not 2",
    ]
    assert frame["REASON"][0].startswith("malformed JSON")
    assert frame["CLUSTER_ID"].isna().all()
    assert frame["BLOCK_ROWS"].tolist() == [3, 3, 3]


def test_without_a_usable_row_nothing_is_clustered():
    def never(matrix):
        raise AssertionError(f"called with {len(matrix)} rows")

    assert run(["a", None], ["oops", "[1, 2]"], never)["REASON"].tolist()[1] == "null id"
    assert len(run([], [], never)) == 0


def test_another_fault_of_the_clustering_is_not_swallowed():
    def fault(_matrix):
        raise ValueError("not about the rows")

    with pytest.raises(ValueError, match="not about the rows"):
        run(["a"], ["[1, 2]"], fault)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_a_missing_id_in_any_spelling_is_a_null_id(missing):
    frame = run(["a", missing, "b"], ["[1, 0]", "[1, 1]", "[0, 1]"])
    assert frame["ROW_ID"].tolist() == ["a", None, "b"]
    assert frame["REASON"].tolist() == [None, "null id", None]


def test_ids_of_other_types_become_text():
    frame = cluster_block(pd.Series([7, 8]), parse_json(["[1, 0]", "[0, 1]"]), into_two)
    assert frame["ROW_ID"].tolist() == ["7", "8"]


def test_the_index_of_the_input_does_not_matter():
    ids = pd.Series(["a", "b", "c"], index=[5, 5, 0], dtype="string")
    frame = cluster_block(ids, parse_json(["[1, 0]", "oops", "[0, 1]"]), into_two)
    assert frame["ROW_ID"].tolist() == ["a", "b", "c"]
    assert frame["CLUSTER_ID"].tolist() == [0, pd.NA, 1]


def test_the_figures_of_a_row_are_its_own():
    texts = [json.dumps([float(row), 1.0]) if row % 3 else "oops" for row in range(20)]

    def numbered(matrix):
        values = matrix[:, 0].astype(np.float64)
        labels = values.astype(np.int64)
        return Clustering(labels, values / 100, values / 10, labels + 100, values * 2, {"rows": len(matrix)})

    frame = run([str(row) for row in range(20)], texts, numbered)
    good = frame[frame["REASON"].isna()]
    rows = good["ROW_ID"].astype(int)
    assert rows.tolist() == [row for row in range(20) if row % 3]
    assert (good["CLUSTER_ID"] == rows).all()
    assert (good["RAW_CLUSTER_ID"] == rows + 100).all()
    assert good["STRENGTH"].tolist() == (rows / 100).tolist()
    assert good["DISTANCE"].tolist() == (rows / 10).tolist()
    assert good["OUTLIER_SCORE"].tolist() == (rows * 2).tolist()
    assert json.loads(frame["DETAILS"][0]) == {"rows": len(good)}


def test_outliers_and_their_scores_reach_the_output():
    matrix, _ = blobs_with_outliers()
    frame = cluster_block(pd.Series(range(len(matrix))).astype(str), parse_arrays(list(matrix)), by_density)
    expected = by_density(matrix)
    assert frame["CLUSTER_ID"].tolist() == expected.labels.tolist()
    assert frame["RAW_CLUSTER_ID"].tolist() == expected.raw_labels.tolist()
    assert frame["OUTLIER_SCORE"].tolist() == expected.outlier_scores.tolist()
    assert (frame["CLUSTER_ID"] == -1).any()
    assert frame["REASON"].isna().all()


def test_levels_reach_the_output_from_the_finest_to_the_coarsest():
    matrix, _ = blobs(30, 20, dimension=64)
    strays = np.random.default_rng(0).normal(size=(15, 64)).astype(np.float32)
    rows = [*matrix, np.zeros(64), *strays]
    frame = cluster_block(pd.Series(range(len(rows))).astype(str), parse_arrays(rows), by_density)
    usable, outlier = frame["REASON"].isna(), frame["CLUSTER_ID"].eq(-1).fillna(False)
    assert outlier.any()
    counts = [frame["CLUSTER_ID"].max() + 1]
    for finer, name in pairwise(["CLUSTER_ID", "LEVEL_1", "LEVEL_2"]):
        assert (frame[name].notna() == usable).all()
        assert (frame[name].eq(-1).fillna(False) == outlier).all()
        assert (frame.loc[usable & ~outlier].groupby(finer)[name].nunique() == 1).all()
        counts.append(frame[name].max() + 1)
    assert counts == [30, 10, 3]
    assert frame["LEVEL_3"].isna().all()


def test_a_model_without_outlier_scores_or_levels_leaves_them_null():
    matrix, _ = blobs(2, 10)
    frame = cluster_block(pd.Series(range(20)).astype(str), parse_arrays(list(matrix)), into_two)
    for name in ("OUTLIER_SCORE", "LEVEL_1", "LEVEL_2", "LEVEL_3"):
        assert frame[name].isna().all()


def test_bad_rows_do_not_change_the_clusters_of_the_others():
    matrix, _ = blobs_with_outliers()
    rows = list(matrix)
    alone = cluster_block(pd.Series(range(len(rows))).astype(str), parse_arrays(rows), by_density)
    bad = [None, np.zeros(32), np.full(32, np.nan), np.ones(31)]
    mixed = cluster_block(
        pd.Series(range(len(rows) + 4)).astype(str), parse_arrays([*bad[:2], *rows, *bad[2:]]), by_density
    )
    assert mixed["CLUSTER_ID"].tolist()[2:-2] == alone["CLUSTER_ID"].tolist()
    assert mixed["REASON"].notna().sum() == 4
