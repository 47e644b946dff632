"""What a clustering says about the usable rows of one partition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aicluster_cli.clustering.geometry import Floats, Labels


@dataclass(frozen=True)
class Clustering:
    """Labels and figures of ``rows`` usable rows; every array has shape (rows,).

    Attributes
    ----------
    labels
        0 and up by falling size, -1 for an outlier.
    strengths
        0 to 1.
    distances
        Cosine distance to the cluster's centre, an outlier's to the nearest centre; NaN where there is no cluster.
    raw_labels
        The labels before outliers were moved, in the numbers of ``labels``.
    outlier_scores
        Higher is stranger; None where the model has none.
    details
        What the model has to say about the whole partition, as JSON values.
    levels
        int64, shape (rows, up to 3): coarser labels, finest first, each cluster of one within one of the next; -1 for
        an outlier; None where the model has no hierarchy.
    """

    labels: Labels
    strengths: Floats
    distances: Floats
    raw_labels: Labels
    outlier_scores: Floats | None = None
    details: dict[str, Any] = field(default_factory=dict)
    levels: Labels | None = None
