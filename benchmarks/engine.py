"""The engine under measurement. The only module here that knows how ``aicluster_cli`` is called."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from benchmarks.metrics import Labels, Matrix

RUN_FROM = "from aicluster_cli.cli.main import main; main()"


def has_graph() -> bool:
    """Return whether the third model, communities of the neighbour graph, is there."""
    return importlib.util.find_spec("aicluster_cli.clustering.graph") is not None


def kmeans(matrix: Matrix, n_clusters: int, seed: int, *, smoothing: bool = True) -> Labels:
    """Return the labels of AI_CLUSTER_KMEANS with default parameters; ``n_clusters`` 0 lets it choose."""
    from aicluster_cli.clustering import kmeans as engine
    from aicluster_cli.clustering.params import KMEANS_PARAMS, defaults

    params: dict[str, Any] = defaults(KMEANS_PARAMS) | {"n_clusters": n_clusters, "random_state": seed}
    if not smoothing and "smoothing" in inspect.signature(engine.cluster).parameters:
        params["smoothing"] = "off"
    return engine.cluster(matrix, **params).labels


def deep(matrix: Matrix, seed: int) -> Labels:
    """Return the labels of AI_CLUSTER_DEEP with default parameters, -1 for an outlier."""
    from aicluster_cli.clustering import density
    from aicluster_cli.clustering.params import DEEP_PARAMS, defaults

    params: dict[str, Any] = defaults(DEEP_PARAMS) | {"random_state": seed}
    return density.cluster(matrix, **params).labels


def graph(matrix: Matrix, seed: int) -> Labels:
    """Return the labels of AI_CLUSTER_GRAPH with default parameters, -1 for an outlier."""
    from aicluster_cli.clustering import params as known

    module = importlib.import_module("aicluster_cli.clustering.graph")
    chosen: dict[str, Any] = known.defaults(known.GRAPH_PARAMS) if hasattr(known, "GRAPH_PARAMS") else {}
    labels: Labels = module.cluster(matrix, **chosen | {"random_state": seed}).labels
    return labels


def parse(column: pa.ChunkedArray[Any]) -> Matrix:
    """Return the float32 matrix of a column of JSON text in which every row is an embedding."""
    from aicluster_cli.clustering import embeddings

    if hasattr(embeddings, "parse_arrow"):
        matrix: Matrix = embeddings.parse_arrow(column).matrix
        return matrix
    return np.vstack([vector for vector in embeddings.parse_json(column.to_pylist()).vectors if vector is not None])


def parse_file(path: Path) -> Matrix:
    """Return the float32 matrix of a parquet file's ``embedding`` column of JSON text, read in batches."""
    import pyarrow.parquet as pq

    from aicluster_cli.clustering import embeddings

    file = pq.ParquetFile(path)
    batches = (batch.column(0) for batch in file.iter_batches(2048, columns=["embedding"]))
    if hasattr(embeddings, "RowCollector"):
        collector = embeddings.RowCollector(file.metadata.num_rows)
        for batch in batches:
            collector.add_arrow(batch)
        matrix: Matrix = collector.finish().matrix
        return matrix
    parsed = [embeddings.parse_json(batch.to_pylist()).vectors for batch in batches]
    return np.vstack([vector for vectors in parsed for vector in vectors if vector is not None])


def embed(texts: list[str]) -> Matrix:
    """Return the vectors of the model that embeds text on this machine."""
    from aicluster_cli.sources.embedder import load_embedder

    vectors: Matrix = load_embedder().embed(texts)
    return vectors


def run_command(source: Path, n_clusters: int) -> None:
    """Run ``aicluster run kmeans`` on a parquet file of JSON text, to a labelled parquet file beside it."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile.yaml"
        profile.write_text(f"platform: local\nroot: {source.parent / 'aicluster'}\n", encoding="utf-8")
        arguments = ["run", "kmeans", "--profile", str(profile), "--quiet", "--input", str(source)]
        arguments += ["--id-column", "id", "--embedding-column", "embedding", "--set", f"n_clusters={n_clusters}"]
        arguments += ["--output", str(Path(folder) / "labels.parquet")]
        subprocess.run([sys.executable, "-c", RUN_FROM, *arguments], check=True, stdout=subprocess.DEVNULL)
