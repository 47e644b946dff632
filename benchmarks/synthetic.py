"""Synthetic embeddings that look like a table of text: skewed classes within topics, correlated noise, outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.metrics import OUTLIER

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from benchmarks.metrics import Labels, Matrix

_BLOCK = 10_000
_RANK = 64  # directions in which classes, and the texts of one, differ: embeddings have a low intrinsic dimension
_CLASSES_A_TOPIC = 8
DIGITS = 18


def write_matrix(
    path: Path, rows: int, *, dimension: int = 1024, classes: int = 305, outliers: float = 0.05, seed: int = 7
) -> Labels:
    """Write unit-length float32 rows to an ``.npy`` file, block by block, and return their classes.

    Parameters
    ----------
    path
        Written as float32, shape (rows, dimension).
    classes
        How many; the n-th has a share of about 1/(n + 10), those of one topic are nearer to each other than to others.
    outliers
        The share of rows that lie between three classes of any topic; they have class -1.

    Returns
    -------
    Labels
        int64, shape (rows,).
    """
    generator = np.random.default_rng(seed)
    basis = _directions(generator, _RANK, dimension)
    topics = _directions(generator, -(-classes // _CLASSES_A_TOPIC), _RANK)
    centre = (0.75 * topics[np.arange(classes) % len(topics)] + 0.65 * _directions(generator, classes, _RANK)) @ basis
    width = generator.uniform(0.8, 1.4, classes).astype(np.float32)
    shares = 1 / np.arange(11, classes + 11)
    truth = generator.choice(classes, rows, p=shares / shares.sum()).astype(np.int64)
    truth[generator.random(rows) < outliers] = OUTLIER
    matrix = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dimension))
    for start in range(0, rows, _BLOCK):
        known = truth[start : start + _BLOCK]
        mixed = centre[generator.integers(0, classes, (len(known), 3))].mean(axis=1)
        middle = np.where((known == OUTLIER)[:, None], mixed, centre[known])
        spread = np.where(known == OUTLIER, np.float32(1.4), width[known])[:, None]
        along = generator.standard_normal((len(known), _RANK), np.float32) @ basis * np.float32(_RANK**-0.5)
        around = generator.standard_normal((len(known), dimension), np.float32) * np.float32(0.4 * dimension**-0.5)
        matrix[start : start + _BLOCK] = _unit(middle + spread * (along + around))
    matrix.flush()
    return truth


def json_column(matrix: Matrix) -> pa.Array[Any]:
    """Return the rows as JSON text with ``DIGITS`` digits after the point, as a warehouse hands embeddings over.

    The digits beyond float32's are random: real ones come from float64.
    """
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pa.compute
    generator = np.random.default_rng(len(matrix))
    values = np.clip(matrix.astype(np.float64), -0.999999, 0.999999).ravel()
    whole = np.abs(values * 10.0**DIGITS).astype(np.int64) // 1000 * 1000 + generator.integers(0, 1000, values.size)
    digits = pc.utf8_lpad(pc.cast(pa.array(whole), pa.string()), DIGITS, "0")
    numbers = pc.binary_join_element_wise(pc.if_else(pa.array(values < 0), "-0.", "0."), digits, "")
    offsets: Any = pa.array(np.arange(0, values.size + 1, matrix.shape[1], dtype=np.int32))
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, numbers), ", ")
    texts: pa.Array[Any] = pc.binary_join_element_wise("[", joined, "]", "")
    return texts


def write_json(matrix: Matrix, path: Path) -> int:
    """Write a parquet file with the columns id and embedding (JSON text), and return the bytes of text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, size = pa.schema([("id", pa.string()), ("embedding", pa.string())]), 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(matrix), _BLOCK):
            texts: Any = json_column(np.asarray(matrix[start : start + _BLOCK]))
            ids = pa.array([f"row {row}" for row in range(start, start + len(texts))])
            writer.write_table(pa.table([ids, texts], schema=schema))
            size += sum(map(len, texts.to_pylist()))
    return size


def _directions(generator: np.random.Generator, count: int, dimension: int) -> Matrix:
    return _unit(generator.standard_normal((count, dimension), np.float32))


def _unit(rows: Matrix) -> Matrix:
    unit: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
