"""Whole tasks whose peak memory is measured, each from a file on disk to labels."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import engine
from benchmarks.methods import importable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MATRIX, TEXT = "matrix.npy", "text.parquet"
SEED = 42


@dataclass(frozen=True)
class Task:
    """One task on the folder that holds ``MATRIX`` and ``TEXT``, with a number of clusters."""

    name: str
    run: Callable[[Path, int], object] = field(repr=False)
    modules: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Return the modules that are not installed."""
        return [module for module in self.modules if not importable(module)]


def _deep(folder: Path, _k: int) -> None:
    engine.deep(np.load(folder / MATRIX), SEED)


def _kmeans(folder: Path, k: int) -> None:
    engine.kmeans(np.load(folder / MATRIX), k, SEED)


def _kmeans_from_json(folder: Path, k: int) -> None:
    engine.kmeans(engine.parse_file(folder / TEXT), k, SEED)


def _run(folder: Path, k: int) -> None:
    engine.run_command(folder / TEXT, k)


def _pandas(folder: Path, k: int) -> None:
    import pandas as pd
    from sklearn.cluster import KMeans

    frame = pd.read_parquet(folder / TEXT)
    matrix = np.array([json.loads(text) for text in frame["embedding"]])
    frame["cluster"] = KMeans(k, n_init=10, random_state=SEED).fit_predict(matrix)
    frame[["id", "cluster"]].to_parquet(folder / "labels.parquet")


TASKS = (
    Task("aicluster deep, float32 matrix", _deep),
    Task("aicluster kmeans, float32 matrix", _kmeans),
    Task("aicluster kmeans, parquet of JSON text", _kmeans_from_json),
    Task("aicluster run kmeans, parquet of JSON text to labelled parquet", _run, ("snowflake.ml",)),
    Task("pandas + json.loads + KMeans(n_init=10), the same", _pandas, ("pandas",)),
)
