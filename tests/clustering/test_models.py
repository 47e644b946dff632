from __future__ import annotations

import inspect
import json

import numpy as np
import pandas as pd
import pytest
from blobs import blobs_with_outliers

from aicluster_cli.clustering.models import AIClusterDeep, AIClusterKMeans
from aicluster_cli.clustering.params import DEEP_PARAMS, KMEANS_PARAMS, ParameterError, defaults
from aicluster_cli.clustering.schema import OUTPUT_NAMES

MODELS = [(AIClusterKMeans, KMEANS_PARAMS), (AIClusterDeep, DEEP_PARAMS)]
METHODS = ["predict", "predict_array"]
SETTINGS = [(AIClusterKMeans, {"n_clusters": 5}), (AIClusterKMeans, {}), (AIClusterDeep, {"max_noise": 0.05})]


def frame_of(values, dtype="object"):
    embeddings = pd.Series(values, dtype=dtype)
    return pd.DataFrame({"ID": [str(row) for row in range(len(values))], "EMBEDDING": embeddings})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("model", "params"), MODELS)
def test_the_signature_has_the_parameters_and_their_defaults(model, params, method):
    found = list(inspect.signature(getattr(model, method)).parameters.values())[2:]
    assert {parameter.name: parameter.default for parameter in found} == defaults(params)
    assert [parameter.name for parameter in found] == [param.name for param in params]
    assert [parameter.annotation for parameter in found] == [param.type for param in params]
    assert {parameter.kind for parameter in found} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(("model", "_params"), MODELS)
def test_both_methods_are_partitioned_and_there_is_no_other(model, _params):
    built = model()
    assert sorted(built._get_partitioned_methods()) == METHODS
    assert sorted(method.__name__ for method in built._get_infer_methods()) == METHODS


@pytest.mark.parametrize(("model", "given"), SETTINGS)
def test_text_and_arrays_give_the_same_rows(model, given):
    matrix, _ = blobs_with_outliers()
    rows = [*matrix, None, np.zeros(32, dtype=np.float32), np.ones(31, dtype=np.float32)]
    texts = [None if row is None else json.dumps([float(value) for value in row]) for row in rows]
    from_arrays = model().predict_array(frame_of(rows), **given)
    from_text = model().predict(frame_of(texts), **given)
    pd.testing.assert_frame_equal(from_text, from_arrays)
    assert tuple(from_text.columns) == OUTPUT_NAMES
    assert from_text["CLUSTER_ID"].max() >= 4
    assert from_text["REASON"].notna().sum() == 3


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_missing_embedding_in_any_spelling_is_null(missing):
    texts = ["[1, 0]", missing, "[0, 1]"]
    arrays = [np.array([1.0, 0.0]), missing, np.array([0.0, 1.0])]
    for dtype in ("object", "string"):
        found = AIClusterKMeans().predict(frame_of(texts, dtype), n_clusters=2)
        assert found["REASON"].tolist() == [None, "null embedding", None]
    found = AIClusterKMeans().predict_array(frame_of(arrays), n_clusters=2)
    assert found["REASON"].tolist() == [None, "null embedding", None]


@pytest.mark.parametrize(
    ("model", "given", "rows"),
    [(AIClusterKMeans, {"n_clusters": 5}, 4), (AIClusterDeep, {"min_cluster_size": 5}, 4), (AIClusterDeep, {}, 1)],
)
def test_too_few_rows_come_out_with_their_reason(model, given, rows):
    found = model().predict(frame_of([f"[{row}, 1]" for row in range(rows)]), **given)
    assert found["REASON"].str.startswith(f"too few rows: {rows} usable, ").tolist() == [True] * rows
    assert found["CLUSTER_ID"].isna().all()


def test_one_row_is_a_cluster_of_its_own_for_kmeans():
    found = AIClusterKMeans().predict(frame_of(["[1, 2]"]))
    assert found["CLUSTER_ID"].tolist() == [0]
    assert found["REASON"].tolist() == [None]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("model", "given"),
    [(AIClusterKMeans, {"n_clusters": 1}), (AIClusterDeep, {"max_noise": 2.0}), (AIClusterDeep, {"min_samples": True})],
)
def test_parameters_are_checked_before_anything_else(model, given, method):
    with pytest.raises(ParameterError, match=f"^{next(iter(given))} must be "):
        getattr(model(), method)(frame_of(["oops"]), **given)


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_reaches_the_algorithm(method):
    matrix = np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32)
    rows = list(matrix) if method == "predict_array" else [json.dumps(row.tolist()) for row in matrix]

    def details(model, **given):
        return json.loads(getattr(model(), method)(frame_of(rows), **given)["DETAILS"][0])

    assert details(AIClusterKMeans, n_clusters=np.int64(7))["n_clusters"] == 7
    assert details(AIClusterKMeans, n_clusters=7, max_iter=2)["n_iter"] == 2
    start = details(AIClusterKMeans, n_clusters=7)["inertia"]
    assert details(AIClusterKMeans, n_clusters=7, random_state=1)["inertia"] != start
    assert details(AIClusterKMeans, n_clusters=7, n_init=5)["inertia"] < start
    assert details(AIClusterKMeans, n_clusters=7)["smoothing"] == "on"
    assert details(AIClusterKMeans, n_clusters=7, smoothing="off")["smoothing"] == "off"
    usual = details(AIClusterDeep, min_cluster_size=3, min_samples=1, max_noise=1.0)
    assert usual["n_clusters"] > 1
    assert details(AIClusterDeep, min_cluster_size=3, min_samples=1, max_noise=0.0)["outliers"] == 0
    assert details(AIClusterDeep, min_cluster_size=3, min_samples=1, granularity=-9)["n_clusters"] == 2
    for changed in ({"min_cluster_size": 6}, {"min_samples": 3}, {"cluster_selection_method": "eom"}):
        given = {"min_cluster_size": 3, "min_samples": 1, "max_noise": 1.0, **changed}
        assert details(AIClusterDeep, **given)["raw_noise_share"] != usual["raw_noise_share"]
