from __future__ import annotations

import pytest

from aicluster_cli.clustering.catalog import MODELS, find_model
from aicluster_cli.clustering.params import DEEP_PARAMS, KMEANS_PARAMS


def test_both_models_have_their_name_alias_algorithm_and_parameters():
    told = [(model.name, model.alias, model.algorithm, model.params) for model in MODELS]
    assert told == [
        ("AI_CLUSTER_KMEANS", "kmeans", "kmeans", KMEANS_PARAMS),
        ("AI_CLUSTER_DEEP", "deep", "hdbscan", DEEP_PARAMS),
    ]
    assert all(model.meaning for model in MODELS)


@pytest.mark.parametrize("name", ["kmeans", "KMeans", "AI_CLUSTER_KMEANS", "ai_cluster_kmeans"])
def test_a_model_is_found_by_name_and_alias_in_any_case(name):
    assert find_model(name) is MODELS[0]


@pytest.mark.parametrize("name", ["", "k-means", "hdbscan", "AI_CLUSTER"])
def test_another_name_finds_nothing(name):
    assert find_model(name) is None
