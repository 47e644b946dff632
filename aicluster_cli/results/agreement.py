"""How well clusters agree with labels that are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aicluster_cli.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


@dataclass(frozen=True)
class Agreement:
    """Agreement of clusters with known labels; 1 is perfect, and for ``ari`` and ``ami`` 0 is what chance gives.

    ``rows`` were compared; ``unclustered_rows`` (null cluster) and then ``unlabelled_rows`` (null label) were left out.
    """

    v_measure: float
    ari: float
    ami: float
    rows: int
    unclustered_rows: int
    unlabelled_rows: int


def agreement(labels: Sequence[str | None], clusters: pa.Array[Any] | pa.ChunkedArray[Any]) -> Agreement:
    """Compare clusters with known labels; all outliers count as one cluster.

    V-measure: Rosenberg and Hirschberg 2007. ARI: Hubert and Arabie 1985. AMI: Vinh, Epps and Bailey 2010.

    Parameters
    ----------
    labels
        The known label of each row, or None.
    clusters
        The CLUSTER_ID of each row, int64; null rows are left out and counted.

    Raises
    ------
    ValueError
        If the two differ in length.
    RunError
        If no row has both a label and a cluster.
    """
    from sklearn import metrics

    if len(labels) != len(clusters):
        raise ValueError(f"{len(labels)} labels for {len(clusters)} clusters")
    clustered = [pair for pair in zip(labels, clusters.to_pylist(), strict=True) if pair[1] is not None]
    compared = [pair for pair in clustered if pair[0] is not None]
    if not compared:
        raise RunError("no row has both a label and a cluster", hint="name a column that holds the known labels")
    known, found = zip(*compared, strict=True)
    return Agreement(
        v_measure=float(metrics.v_measure_score(known, found)),
        ari=float(metrics.adjusted_rand_score(known, found)),
        ami=float(metrics.adjusted_mutual_info_score(known, found)),
        rows=len(compared),
        unclustered_rows=len(labels) - len(clustered),
        unlabelled_rows=len(clustered) - len(compared),
    )
