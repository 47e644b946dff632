"""The models there are: their registered names, aliases, algorithms and parameters. Light: standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from aicluster_cli.clustering.params import DEEP_PARAMS, KMEANS_PARAMS, Param


@dataclass(frozen=True)
class ModelInfo:
    """One model: ``name`` is the registered one, ``alias`` the short one for people at a terminal."""

    name: str
    alias: str
    algorithm: str
    params: tuple[Param, ...]
    meaning: str


MODELS: tuple[ModelInfo, ...] = (
    ModelInfo(
        "AI_CLUSTER_KMEANS", "kmeans", "kmeans", KMEANS_PARAMS, "K-Means: a given, or chosen, number of clusters"
    ),
    ModelInfo("AI_CLUSTER_DEEP", "deep", "hdbscan", DEEP_PARAMS, "HDBSCAN: clusters found by themselves, and outliers"),
)


def find_model(name: str) -> ModelInfo | None:
    """Return the model of this name or alias, in any case of letters, or None."""
    wanted = name.casefold()
    return next((model for model in MODELS if wanted in (model.name.casefold(), model.alias)), None)
