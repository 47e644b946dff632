"""A space in which densities mean something: fewer dimensions, and every row drawn towards its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.clustering.embeddings import normalise

if TYPE_CHECKING:
    from aicluster_cli.clustering.embeddings import Matrix
    from aicluster_cli.clustering.neighbours import Neighbours

COMPONENTS = 192  # the residual carries no cosine a neighbour search would notice, and halves the work of 384
_LEAST_LENGTH = 0.05  # of a row after projection: below, what is left says nothing about its direction
_BLOCK = 4096


def compress(unit: Matrix, components: int = COMPONENTS) -> Matrix:
    """Project rows of unit length onto their first principal axes through the origin, and scale them to unit length.

    The axes are not centred, so that the cosine stays the cosine. They come from the second-moment matrix, which costs
    one pass over the rows whatever their number.

    Parameters
    ----------
    unit
        float32, shape (rows, dimension).
    components
        Most axes to keep; rows of no more dimensions come back as they are, and so do fewer rows than dimensions,
        where finding axes costs more than it saves, and rows of which any lies across all axes.
    """
    if unit.shape[1] <= components or len(unit) <= unit.shape[1]:
        return unit
    moment = np.zeros((unit.shape[1], unit.shape[1]))
    for start in range(0, len(unit), _BLOCK):
        block = unit[start : start + _BLOCK]
        moment += block.T @ block
    axes = np.linalg.eigh(moment)[1][:, : -components - 1 : -1]
    projected = unit @ axes.astype(np.float32)
    if (np.einsum("ij,ij->i", projected, projected) < _LEAST_LENGTH**2).any():
        return unit
    return normalise(projected)


def smooth(unit: Matrix, neighbours: Neighbours, *, times: int) -> Matrix:
    """Replace each row by the similarity-weighted mean of itself and its neighbours, and scale it to unit length.

    A step of the diffusion that spectral methods take to its limit (Coifman and Lafon 2006): what neighbours share
    stays, what is a row's own fades, so that groups close up and the gaps between them clear.

    Parameters
    ----------
    unit
        float32, shape (rows, dimension).
    times
        Steps to take over the same neighbours.
    """
    from scipy.sparse import csr_matrix

    rows, k = neighbours.indices.shape
    weights = np.hstack([np.ones((rows, 1), np.float32), np.maximum(neighbours.similarities, 0)])
    columns = np.hstack([np.arange(rows, dtype=np.int32)[:, None], neighbours.indices])
    step = csr_matrix((weights.ravel(), columns.ravel(), np.arange(0, rows * (k + 1) + 1, k + 1)), shape=(rows, rows))
    for _ in range(times):
        unit = normalise(np.asarray(step @ unit, dtype=np.float32))
    return unit
