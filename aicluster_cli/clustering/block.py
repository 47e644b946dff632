"""One block of rows in, the frozen output rows out: what both models share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aicluster_cli.clustering.embeddings import ParsedRows, assemble
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.schema import OUTPUT_COLUMNS, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.result import Clustering

_PANDAS_TYPES = {"text": "object", "int64": "Int64", "double": "float64"}


def cluster_block(ids: pd.Series, parsed: ParsedRows, cluster: Callable[[Matrix], Clustering]) -> pd.DataFrame:
    """Cluster the rows of one partition, and return exactly one output row for each, in order.

    Parameters
    ----------
    ids
        The rows' ids, text or null.
    parsed
        The rows' vectors and reasons.
    cluster
        Clusters the usable rows' matrix; may raise ``TooFewRowsError``, which becomes every usable row's REASON.

    Returns
    -------
    pandas.DataFrame
        The columns of ``schema.OUTPUT_COLUMNS``; nullable integers where null is possible.
    """
    texts = [None if value is None or value is pd.NA or value != value else str(value) for value in ids]
    embeddings = assemble(texts, parsed)
    clustering, reasons = None, embeddings.reasons
    if len(embeddings.matrix):
        try:
            clustering = cluster(embeddings.matrix)
        except TooFewRowsError as error:
            reasons = [reason or f"{Verdict.TOO_FEW_ROWS}: {error}" for reason in reasons]
    frame = _blank(len(texts))
    frame["ROW_ID"] = pd.Series(texts, dtype="object")
    frame["BLOCK_ROWS"] = pd.array([len(texts)] * len(texts), dtype="Int64")
    frame["REASON"] = pd.Series(reasons, dtype="object")
    if clustering is not None:
        _fill(frame, embeddings.usable, clustering)
    return frame


def _blank(rows: int) -> pd.DataFrame:
    missing = {"text": None, "int64": pd.NA, "double": np.nan}
    columns = {
        column.name: pd.Series([missing[column.type]] * rows, dtype=_PANDAS_TYPES[column.type])
        for column in OUTPUT_COLUMNS
    }
    return pd.DataFrame(columns)


def _fill(frame: pd.DataFrame, usable: np.ndarray, clustering: Clustering) -> None:
    frame.loc[usable, "CLUSTER_ID"] = clustering.labels
    frame.loc[usable, "RAW_CLUSTER_ID"] = clustering.raw_labels
    frame.loc[usable, "STRENGTH"] = clustering.strengths
    frame.loc[usable, "DISTANCE"] = clustering.distances
    if clustering.outlier_scores is not None:
        frame.loc[usable, "OUTLIER_SCORE"] = clustering.outlier_scores
    if clustering.levels is not None:
        for level in range(clustering.levels.shape[1]):
            frame.loc[usable, f"LEVEL_{level + 1}"] = clustering.levels[:, level]
    frame.loc[0, "DETAILS"] = json.dumps(clustering.details)
