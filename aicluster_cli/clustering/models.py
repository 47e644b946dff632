"""The registered models: CustomModels around the pure functions. The only shipped file that imports snowflake.ml.

Every method is partitioned: the platform promises such a method all rows of a partition in one call, where a plain
function would be fed blocks of rows and would cluster each on its own. Annotations are real types here, not strings,
because snowflake.ml reads them.
"""

from typing import Any

import pandas as pd
from snowflake.ml.model import custom_model

from aicluster_cli.clustering import density, kmeans
from aicluster_cli.clustering.block import cluster_block
from aicluster_cli.clustering.embeddings import ParsedRows, parse_arrays, parse_json
from aicluster_cli.clustering.params import DEEP_PARAMS, KMEANS_PARAMS, check_params
from aicluster_cli.clustering.schema import EMBEDDING, ID


class AIClusterKMeans(custom_model.CustomModel):
    """K-Means: a given number of clusters, or a chosen one. Needs scikit-learn and NumPy only."""

    @custom_model.partitioned_api
    def predict(
        self,
        df: pd.DataFrame,
        *,
        n_clusters: int = 0,
        random_state: int = 42,
        n_init: int = 1,
        max_iter: int = 100,
        smoothing: str = "auto",
    ) -> pd.DataFrame:
        """Cluster embeddings given as JSON text."""
        params = {
            "n_clusters": n_clusters,
            "random_state": random_state,
            "n_init": n_init,
            "max_iter": max_iter,
            "smoothing": smoothing,
        }
        return _kmeans(df, parse_json(df[EMBEDDING]), params)

    @custom_model.partitioned_api
    def predict_array(
        self,
        df: pd.DataFrame,
        *,
        n_clusters: int = 0,
        random_state: int = 42,
        n_init: int = 1,
        max_iter: int = 100,
        smoothing: str = "auto",
    ) -> pd.DataFrame:
        """Cluster embeddings given as arrays."""
        params = {
            "n_clusters": n_clusters,
            "random_state": random_state,
            "n_init": n_init,
            "max_iter": max_iter,
            "smoothing": smoothing,
        }
        return _kmeans(df, parse_arrays(_values(df)), params)


class AIClusterDeep(custom_model.CustomModel):
    """HDBSCAN: clusters found by themselves, and outliers."""

    @custom_model.partitioned_api
    def predict(
        self,
        df: pd.DataFrame,
        *,
        min_cluster_size: int = 0,
        min_samples: int = 5,
        cluster_selection_method: str = "leaf",
        granularity: float = 0.0,
        max_noise: float = 0.1,
        random_state: int = 42,
    ) -> pd.DataFrame:
        """Cluster embeddings given as JSON text."""
        params = {
            "min_cluster_size": min_cluster_size,
            "min_samples": min_samples,
            "cluster_selection_method": cluster_selection_method,
            "granularity": granularity,
            "max_noise": max_noise,
            "random_state": random_state,
        }
        return _deep(df, parse_json(df[EMBEDDING]), params)

    @custom_model.partitioned_api
    def predict_array(
        self,
        df: pd.DataFrame,
        *,
        min_cluster_size: int = 0,
        min_samples: int = 5,
        cluster_selection_method: str = "leaf",
        granularity: float = 0.0,
        max_noise: float = 0.1,
        random_state: int = 42,
    ) -> pd.DataFrame:
        """Cluster embeddings given as arrays."""
        params = {
            "min_cluster_size": min_cluster_size,
            "min_samples": min_samples,
            "cluster_selection_method": cluster_selection_method,
            "granularity": granularity,
            "max_noise": max_noise,
            "random_state": random_state,
        }
        return _deep(df, parse_arrays(_values(df)), params)


def _values(df: pd.DataFrame) -> list[Any]:
    values = df[EMBEDDING].tolist()
    return [None if value is pd.NA else value for value in values]


def _kmeans(df: pd.DataFrame, parsed: ParsedRows, given: dict[str, Any]) -> pd.DataFrame:
    params: dict[str, Any] = check_params(KMEANS_PARAMS, given)
    return cluster_block(df[ID], parsed, lambda matrix: kmeans.cluster(matrix, **params))


def _deep(df: pd.DataFrame, parsed: ParsedRows, given: dict[str, Any]) -> pd.DataFrame:
    params: dict[str, Any] = check_params(DEEP_PARAMS, given)
    return cluster_block(df[ID], parsed, lambda matrix: density.cluster(matrix, **params))
