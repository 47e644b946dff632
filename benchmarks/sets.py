"""Labelled sets: parquet files with the columns ``label`` and ``embedding``, and perhaps ``text``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import engine
from benchmarks.metrics import OUTLIER

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from benchmarks.metrics import Labels, Matrix

OUTLIER_LABEL = "oos"
_SAMPLE_SEED = 0


@dataclass(frozen=True)
class LabelledSet:
    """One set: float32 rows of unit length, and int64 classes, -1 for a true outlier."""

    name: str
    unit: Matrix
    truth: Labels

    @property
    def classes(self) -> int:
        """How many classes there are, outliers left out."""
        return len(np.unique(self.truth[self.truth != OUTLIER]))


class NoSetError(Exception):
    """The folder holds nothing to measure."""


def find_sets(folder: Path) -> list[Path]:
    """Return the parquet files of a folder that have both columns.

    Raises
    ------
    NoSetError
        If there is none.
    """
    import pyarrow.parquet as pq

    needed = {"label", "embedding"}
    paths = [path for path in sorted(folder.glob("*.parquet")) if needed <= set(pq.read_schema(path).names)]
    if not paths:
        raise NoSetError(f"{folder} holds no parquet file with the columns label and embedding")
    return paths


def load_set(path: Path, *, rows: int = 0, text: bool = False) -> LabelledSet:
    """Load one set, or a seeded sample of ``rows`` of it; rows without a direction (all zeros) are left out.

    Parameters
    ----------
    path
        Labels of any type, null or ``oos`` for an outlier; embeddings as lists of numbers or as JSON text.
    rows
        0 for all.
    text
        Embed the column ``text`` instead of taking ``embedding``.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["label", "text" if text else "embedding"])
    if 0 < rows < len(table):
        table = table.take(np.sort(np.random.default_rng(_SAMPLE_SEED).choice(len(table), rows, replace=False)))
    if text:
        matrix, name = engine.embed([value or "" for value in table["text"].to_pylist()]), f"{path.stem} (wordllama)"
    else:
        matrix, name = _matrix(table["embedding"]), path.stem
    norms = np.linalg.norm(matrix, axis=1)
    good = norms > 0
    return LabelledSet(name, matrix[good] / norms[good, None], classes_of(table["label"].to_pylist())[good])


def has_text(path: Path) -> bool:
    """Return whether the file has a column ``text``."""
    import pyarrow.parquet as pq

    return "text" in pq.read_schema(path).names


def classes_of(labels: list[object]) -> Labels:
    """Return the labels as numbers in the order of their text, -1 for null and ``oos``."""
    texts = [None if label is None or str(label) == OUTLIER_LABEL else str(label) for label in labels]
    numbers = {text: number for number, text in enumerate(sorted({text for text in texts if text is not None}))}
    return np.array([OUTLIER if text is None else numbers[text] for text in texts], dtype=np.int64)


def _matrix(column: pa.ChunkedArray[Any]) -> Matrix:
    import pyarrow as pa

    if not pa.types.is_nested(column.type):
        return engine.parse(column)
    lists: Any = column.combine_chunks()
    flat: Matrix = lists.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1).astype(np.float32, copy=False)
