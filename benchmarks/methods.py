"""Every way of clustering that is measured: the project's own models and their peers.

A peer runs with the settings a user would take from its documentation; each is given rows of unit length, since few
normalise by themselves. The tuples at the end say which command measures which.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.metrics import Labels, Matrix

    Fit = Callable[[Matrix, int, int], Labels]

INSTALL = "pip install -e '.[bench]'"
FAISS_PASSES = 25


@dataclass(frozen=True)
class Method:
    """One way of clustering.

    Attributes
    ----------
    fit
        From unit rows, the true number of classes and a seed to labels, -1 for noise.
    modules
        What must be importable; imported before the clock of the first call starts, on a clock of its own.
    max_rows
        Above this it would take hours, or more memory than a workstation has; 0 for no limit.
    """

    name: str
    fit: Fit = field(repr=False)
    modules: tuple[str, ...]
    max_rows: int = 0

    def missing(self) -> list[str]:
        """Return the modules that are not installed."""
        return [module for module in self.modules if not importable(module)]

    def load(self) -> None:
        """Import what the method needs."""
        for module in self.modules:
            importlib.import_module(module)


def importable(module: str) -> bool:
    """Return whether the module is installed, without importing it (its parent packages are)."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def threads() -> int:
    """Return how many threads this process was given."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def _sklearn_kmeans(n_init: int) -> Fit:
    def fit(unit: Matrix, k: int, seed: int) -> Labels:
        from sklearn.cluster import KMeans

        return _ints(KMeans(k, n_init=n_init, random_state=seed).fit_predict(unit))

    return fit


def _mini_batch(unit: Matrix, k: int, seed: int) -> Labels:
    from sklearn.cluster import MiniBatchKMeans

    return _ints(MiniBatchKMeans(k, n_init=3, random_state=seed).fit_predict(unit))


def _faiss(points_per_centroid: int) -> Fit:
    def fit(unit: Matrix, k: int, seed: int) -> Labels:
        import faiss

        faiss.omp_set_num_threads(threads())
        most = points_per_centroid or len(unit)
        model = faiss.Kmeans(unit.shape[1], k, niter=FAISS_PASSES, seed=seed, max_points_per_centroid=most)
        model.train(unit)
        return _ints(model.index.search(unit, 1)[1][:, 0])

    return fit


def _sklearn_hdbscan(unit: Matrix, _k: int, _seed: int) -> Labels:
    from sklearn.cluster import HDBSCAN

    return _ints(HDBSCAN(min_cluster_size=10, algorithm="brute", n_jobs=threads(), copy=True).fit_predict(unit))


def _hdbscan(unit: Matrix, _k: int, _seed: int) -> Labels:
    from hdbscan import HDBSCAN

    return _ints(HDBSCAN(min_cluster_size=10, core_dist_n_jobs=threads()).fit_predict(unit))


def _fast_hdbscan(unit: Matrix, _k: int, _seed: int) -> Labels:
    from fast_hdbscan import HDBSCAN

    return _ints(HDBSCAN(min_cluster_size=10).fit_predict(unit))


def _evoc(unit: Matrix, _k: int, seed: int) -> Labels:
    from evoc import EVoC

    return _ints(EVoC(base_min_cluster_size=10, random_state=seed).fit_predict(unit))


def _bertopic(unit: Matrix, _k: int, _seed: int) -> Labels:
    """Cluster as BERTopic does by default; like there, UMAP has no seed, since a seed would cost its threads."""
    from hdbscan import HDBSCAN
    from umap import UMAP

    reducer = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", low_memory=False)
    clusterer = HDBSCAN(min_cluster_size=10, metric="euclidean", prediction_data=True, core_dist_n_jobs=threads())
    return _ints(clusterer.fit_predict(reducer.fit_transform(unit)))


def _ints(labels: Any) -> Labels:
    return np.asarray(labels, dtype=np.int64)


_OURS = "aicluster_cli.clustering"
KMEANS = Method("aicluster kmeans", lambda unit, k, seed: engine.kmeans(unit, k, seed), (f"{_OURS}.kmeans",))
KMEANS_PLAIN = Method(
    "aicluster kmeans",
    lambda unit, k, seed: engine.kmeans(unit, k, seed, smoothing=False),
    (f"{_OURS}.kmeans",),
)
KMEANS_CHOSEN = Method(
    "aicluster kmeans, k chosen", lambda unit, _k, seed: engine.kmeans(unit, 0, seed), (f"{_OURS}.kmeans",)
)
DEEP = Method("aicluster deep", lambda unit, _k, seed: engine.deep(unit, seed), (f"{_OURS}.density",))
GRAPH = Method("aicluster graph", lambda unit, _k, seed: engine.graph(unit, seed), (f"{_OURS}.graph",))

SKLEARN_1 = Method("scikit-learn KMeans, n_init 1", _sklearn_kmeans(1), ("sklearn.cluster",))
SKLEARN_10 = Method("scikit-learn KMeans, n_init 10", _sklearn_kmeans(10), ("sklearn.cluster",), 100_000)
MINI_BATCH = Method("scikit-learn MiniBatchKMeans", _mini_batch, ("sklearn.cluster",))
FAISS = Method("faiss KMeans, 25 passes", _faiss(0), ("faiss",))
FAISS_SAMPLED = Method("faiss KMeans, 25 passes, 256 points a centroid", _faiss(256), ("faiss",))
SKLEARN_HDBSCAN = Method("scikit-learn HDBSCAN", _sklearn_hdbscan, ("sklearn.cluster",), 20_000)
HDBSCAN = Method("hdbscan", _hdbscan, ("hdbscan",), 20_000)
FAST_HDBSCAN = Method("fast_hdbscan", _fast_hdbscan, ("fast_hdbscan",), 100_000)
EVOC = Method("EVoC", _evoc, ("evoc",), 100_000)
BERTOPIC = Method("BERTopic default (UMAP + HDBSCAN)", _bertopic, ("umap", "hdbscan"), 100_000)

_GRAPHS = (GRAPH,) if engine.has_graph() else ()
FOR_QUALITY = (
    *(KMEANS, KMEANS_CHOSEN, DEEP, *_GRAPHS),
    *(SKLEARN_1, SKLEARN_10, MINI_BATCH, FAISS),
    *(SKLEARN_HDBSCAN, HDBSCAN, FAST_HDBSCAN, EVOC, BERTOPIC),
)
FOR_KMEANS_SPEED = (KMEANS_PLAIN, SKLEARN_1, SKLEARN_10, MINI_BATCH, FAISS, FAISS_SAMPLED)
FOR_DEEP_SPEED = (DEEP, *_GRAPHS, SKLEARN_HDBSCAN, HDBSCAN, FAST_HDBSCAN, EVOC, BERTOPIC)
GROUPS = {"quality": FOR_QUALITY, "kmeans": FOR_KMEANS_SPEED, "deep": FOR_DEEP_SPEED}
