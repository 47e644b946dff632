"""HDBSCAN on unit vectors in a reduced space, and a limit on how many rows may stay outliers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.embeddings import normalise
from aicluster_cli.clustering.errors import TooFewRowsError
from aicluster_cli.clustering.geometry import (
    OUTLIER,
    all_alike,
    by_size,
    centres,
    distance_to_own,
    margin,
    nearest_two,
    renumber,
)
from aicluster_cli.clustering.result import Clustering

if TYPE_CHECKING:
    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.geometry import Floats, Labels

COMPONENTS = 30  # above this the densities of embeddings flatten and most rows become noise


@dataclass(frozen=True)
class DensityFit:
    """One fitted HDBSCAN, arrays of shape (rows,): labels, -1 for noise; probabilities and GLOSH scores, 0 to 1."""

    labels: Labels
    probabilities: Floats
    outlier_scores: Floats


def cluster(
    matrix: Matrix,
    *,
    min_cluster_size: int,
    min_samples: int,
    cluster_selection_method: str,
    max_noise: float,
    random_state: int,
) -> Clustering:
    """Cluster the rows by HDBSCAN in cosine geometry; outliers beyond ``max_noise`` go to the nearest cluster.

    Parameters
    ----------
    matrix
        float32, shape (rows, dimension), of any length, without zero rows.
    min_samples
        Neighbours that make a row dense.
    max_noise
        Largest share of the rows that stay outliers: the strangest ones do.

    Raises
    ------
    TooFewRowsError
        If there are fewer rows than ``min_cluster_size``.
    """
    if len(matrix) < min_cluster_size:
        raise TooFewRowsError(f"{len(matrix)} usable, min_cluster_size is {min_cluster_size}")
    unit = normalise(matrix)
    space = reduce(unit, random_state=random_state)
    fit = fit_hdbscan(space, min_cluster_size, min(min_samples, len(unit) - 1), cluster_selection_method)
    details = {
        "algorithm": "hdbscan",
        "dimension": int(matrix.shape[1]),
        "components": int(space.shape[1]),
        "raw_noise_share": round(float((fit.labels == OUTLIER).mean()), 5),
    }
    if fit.labels.max() == OUTLIER:
        details |= {"n_clusters": 0, "moved_rows": 0}
        details["note"] = "no cluster found: every row is an outlier; try a smaller min_cluster_size"
        nowhere = np.full(len(unit), np.nan)
        return Clustering(fit.labels, np.zeros(len(unit)), nowhere, fit.labels, fit.outlier_scores, details)
    return _finish(unit, fit, max_noise, details)


def reduce(unit: Matrix, *, random_state: int) -> Matrix:
    """Project the rows onto their first principal components, at most ``COMPONENTS``."""
    from sklearn.decomposition import PCA

    components = min(COMPONENTS, unit.shape[1], len(unit) - 1)
    if components == unit.shape[1] or all_alike(unit):  # rows without any spread have no components
        return unit
    solver = "randomized" if min(unit.shape) > 2 * COMPONENTS else "full"
    space: Matrix = PCA(components, svd_solver=solver, random_state=random_state).fit_transform(unit)
    return space


def fit_hdbscan(space: Matrix, min_cluster_size: int, min_samples: int, cluster_selection_method: str) -> DensityFit:
    """Fit HDBSCAN (Campello, Moulavi, Sander 2013) with the Euclidean metric, on one thread.

    Rows that are all alike make one cluster, where the package would call them all noise.
    """
    if all_alike(space):
        rows = len(space)
        return DensityFit(np.zeros(rows, dtype=np.int64), np.ones(rows), np.zeros(rows))
    from hdbscan import HDBSCAN

    estimator = HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        cluster_selection_method=cluster_selection_method,
        core_dist_n_jobs=1,
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # identical rows divide by a distance of 0 inside the package
        estimator.fit(space.astype(np.float64))
        scores = np.nan_to_num(estimator.outlier_scores_, nan=0.0)
    probabilities = np.nan_to_num(estimator.probabilities_, nan=1.0)
    return DensityFit(estimator.labels_.astype(np.int64), np.clip(probabilities, 0, 1), np.clip(scores, 0, 1))


def outlier_scores(glosh: Floats, distance: Floats) -> Floats:
    """Return how strange each row is: the geometric mean of GLOSH and the cosine distance to the nearest centre.

    GLOSH (Campello et al. 2015) sees a row that is sparse for its own neighbourhood, the distance one that is far from
    every topic; a true outlier is both.
    """
    scores: Floats = np.sqrt(glosh * distance)
    return scores


def keep_as_outliers(labels: Labels, strangeness: Floats, max_noise: float) -> Labels:
    """Return the rows (ascending) that stay outliers: of the noise the strangest, at most ``max_noise`` of all rows."""
    noise = np.flatnonzero(labels == OUTLIER)
    allowed = int(np.floor(max_noise * len(labels) + 1e-9))
    strangest = noise[np.argsort(-strangeness[noise], kind="stable")[:allowed]]
    return np.sort(strangest)


def _finish(unit: Matrix, fit: DensityFit, max_noise: float, details: dict[str, object]) -> Clustering:
    core = centres(unit, fit.labels)
    nearest, distance, second = nearest_two(unit, core)
    moved = np.where(fit.labels == OUTLIER, nearest, fit.labels)
    scores = outlier_scores(fit.outlier_scores, distance)
    moved[keep_as_outliers(fit.labels, scores, max_noise)] = OUTLIER
    numbers = by_size(moved)
    labels, raw_labels = renumber(moved, numbers), renumber(fit.labels, numbers)

    centre = centres(unit, labels)
    nearest, distance, second = nearest_two(unit, centre)
    own = distance_to_own(unit, centre, np.where(labels == OUTLIER, nearest, labels))
    was_moved = (raw_labels == OUTLIER) & (labels != OUTLIER)
    strengths = np.where(was_moved, margin(own, np.where(nearest == labels, second, distance)), fit.probabilities)
    strengths[labels == OUTLIER] = 0.0
    details |= {"n_clusters": int(labels.max()) + 1, "moved_rows": int(was_moved.sum())}
    return Clustering(labels, strengths, own, raw_labels, scores, details)
