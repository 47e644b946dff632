"""Synthetic embeddings whose right answer is known."""

from __future__ import annotations

import numpy as np


def directions(count, dimension, seed=0):
    """Unit vectors that are far apart: random ones are nearly orthogonal in a high dimension."""
    found = np.random.default_rng(seed).normal(size=(count, dimension))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def blobs(clusters, rows_each, dimension=32, spread=0.3, seed=0):
    """Shuffled rows of any length around well separated directions: the float32 matrix, and the cluster of each row."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(clusters), rows_each))
    rows = directions(clusters, dimension, seed)[truth] + rng.normal(size=(len(truth), dimension)) * (
        spread / np.sqrt(dimension)
    )
    return (rows * rng.uniform(0.1, 10, size=(len(truth), 1))).astype(np.float32), truth


def blobs_with_outliers(clusters=5, rows_each=60, outliers=30, dimension=32, seed=0):
    """Blobs, and rows of random direction among them: the matrix, and which rows are the outliers."""
    matrix, _ = blobs(clusters, rows_each, dimension, seed=seed)
    rng = np.random.default_rng(seed + 1)
    matrix = np.vstack([matrix, rng.normal(size=(outliers, dimension)).astype(np.float32)])
    order = rng.permutation(len(matrix))
    return matrix[order], order >= clusters * rows_each


def unit(matrix):
    """The rows at unit length, in double precision."""
    wide = matrix.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def mean_directions(matrix, labels):
    """The unit-length mean direction of every cluster, computed the plain way."""
    return np.array([unit(unit(matrix)[labels == label].mean(axis=0)[None])[0] for label in range(labels.max() + 1)])
