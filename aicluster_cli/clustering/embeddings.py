"""From embeddings as they arrive to one float32 matrix, with a reason for every row that is not an embedding."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from aicluster_cli.clustering.parallel import blocks, run
from aicluster_cli.clustering.plain import from_array, wrong_length
from aicluster_cli.clustering.schema import MAX_DIMENSION, MIN_DIMENSION, Verdict
from aicluster_cli.clustering.texts import arrow_texts, parse_texts, python_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from aicluster_cli.clustering.texts import Texts

    Matrix = NDArray[np.float32]
    Vector = NDArray[np.float32]

_BLOCK = 4096  # rows a step where a whole matrix of bool or float64 would be a burden


@dataclass(frozen=True)
class ParsedRows:
    """One vector or one reason for each row, in the rows' order.

    Attributes
    ----------
    matrix
        float32, shape (rows, dimension of most rows so far). A row that has a reason, or another length, is undefined.
    reasons
        Why a row holds no vector; None where it holds one.
    others
        The vectors of another length than the matrix, by row.
    """

    matrix: Matrix
    reasons: list[str | None]
    others: dict[int, Vector] = field(default_factory=dict)

    @property
    def vectors(self) -> list[Vector | None]:
        """One float32 array for each row, views where possible; None where there is a reason."""
        return [
            None if reason is not None else self.others.get(row, self.matrix[row])
            for row, reason in enumerate(self.reasons)
        ]


@dataclass(frozen=True)
class Embeddings:
    """The rows that can be clustered, and why the others cannot.

    Attributes
    ----------
    matrix
        float32, shape (usable rows, dimension), C-contiguous and not normalised.
    usable
        bool, shape (rows,): the rows that are in ``matrix``, in order.
    reasons
        One entry for each row: None where usable, else a verdict with its particulars.
    """

    matrix: Matrix
    usable: NDArray[np.bool_]
    reasons: list[str | None]


def parse_json(texts: Sequence[Any] | pd.Series[Any], *, threads: int = 0) -> ParsedRows:
    """Parse embeddings given as JSON text: Python strings or a pandas Series, anything else standing for null.

    Strict JSON, but for ``NaN`` and ``Infinity``, which Python and NumPy write: they are read, so that the verdict can
    name them. Numbers go through float64 to the nearest float32. 0 threads stands for one a processor.
    """
    collected = RowCollector(len(texts))
    collected.add_json(texts, threads=threads)
    return collected.finish()


def parse_arrow(column: Any, *, threads: int = 0) -> ParsedRows:
    """Parse an Arrow array or chunked array of JSON text, or of lists of numbers.

    Lists of float32 that are all of one length, in one chunk, are not copied: the matrix is a read-only view of them.
    """
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    if len(chunks) == 1 and (view := _list_view(chunks[0])) is not None:
        return view
    collected = RowCollector(len(column))
    for chunk in chunks:
        collected.add_arrow(chunk, threads=threads)
    return collected.finish()


def parse_arrays(rows: Sequence[Any]) -> ParsedRows:
    """Parse embeddings given as arrays: NumPy arrays or sequences of numbers, None for a missing one."""
    collected = RowCollector(len(rows))
    collected.add_arrays(rows)
    return collected.finish()


class RowCollector:
    """Collects rows chunk by chunk in one preallocated matrix, so that text never has to be in memory as a whole.

    Parameters
    ----------
    rows
        How many rows will come. More may: then the matrix grows, which takes a copy.
    """

    def __init__(self, rows: int) -> None:
        self._expected = rows
        self._matrix: Matrix | None = None
        self._reasons: list[str | None] = []
        self._others: dict[int, Vector] = {}

    def add_json(self, texts: Any, *, threads: int = 0) -> None:
        """Add rows given as JSON text: Python strings or a pandas Series."""
        for source in python_texts(texts):
            self._add_texts(source, threads)

    def add_arrow(self, chunk: Any, *, threads: int = 0) -> None:
        """Add rows given as an Arrow array of JSON text or of lists of numbers."""
        import pyarrow as pa

        if pa.types.is_dictionary(chunk.type):
            chunk = chunk.dictionary_decode()
        if pa.types.is_nested(chunk.type):
            view = _list_view(chunk)
            return self._add_parsed(view) if view is not None else self.add_arrays(_arrow_rows(chunk))
        for source in arrow_texts(chunk):
            self._add_texts(source, threads)
        return None

    def add_arrays(self, rows: Iterable[Any]) -> None:
        """Add rows given as NumPy arrays or sequences of numbers."""
        for row in rows:
            self._place(len(self._reasons), from_array(row))

    def finish(self) -> ParsedRows:
        """Return the rows added. The collector must not be used again."""
        if self._matrix is None:
            return ParsedRows(np.zeros((len(self._reasons), 0), dtype=np.float32), self._reasons)
        return ParsedRows(self._matrix[: len(self._reasons)], self._reasons, self._others)

    def _add_texts(self, source: Texts, threads: int) -> None:
        start = len(self._reasons)
        if self._matrix is None:
            dimension = source.likely_dimension()
            if dimension:
                self._allocate(dimension)
        parsed: dict[int, Vector | str]
        if self._matrix is None:
            parsed = source.parse_plainly(range(source.rows))
        else:
            self._reserve(start + source.rows)
            parsed = parse_texts(source, self._matrix[start : start + source.rows], threads)
        self._reasons.extend([None] * source.rows)
        for row, value in parsed.items():
            self._place(start + row, value)

    def _add_parsed(self, view: ParsedRows) -> None:
        start = len(self._reasons)
        if self._matrix is None and view.matrix.shape[1]:
            self._allocate(view.matrix.shape[1])
        if self._matrix is not None and view.matrix.shape[1] == self._matrix.shape[1]:
            self._reserve(start + len(view.reasons))
            self._matrix[start : start + len(view.reasons)] = view.matrix
            self._reasons.extend(view.reasons)
            return
        for row, vector in enumerate(view.vectors):
            reason = view.reasons[row]
            self._place(start + row, reason if vector is None else vector.copy())  # type: ignore[arg-type]

    def _place(self, row: int, value: Vector | str) -> None:
        if row == len(self._reasons):
            self._reasons.append(None)
        if isinstance(value, str):
            self._reasons[row] = str(value)
            return
        if self._matrix is None:
            self._allocate(len(value))
        assert self._matrix is not None  # noqa: S101
        self._reserve(row + 1)
        if len(value) == self._matrix.shape[1]:
            self._matrix[row] = value
        else:
            self._others[row] = value

    def _allocate(self, dimension: int) -> None:
        self._matrix = np.empty((max(self._expected, len(self._reasons)), dimension), dtype=np.float32)

    def _reserve(self, rows: int) -> None:
        if self._matrix is not None and rows > len(self._matrix):
            larger = np.empty((max(rows, 2 * len(self._matrix)), self._matrix.shape[1]), dtype=np.float32)
            larger[: len(self._matrix)] = self._matrix
            self._matrix = larger


def assemble(ids: Sequence[str | None], parsed: ParsedRows) -> Embeddings:
    """Judge every row and put the usable ones into one matrix.

    The dimension is the most common length among the vectors (of equally common ones the first to appear), so that a
    single wrong row at the top cannot condemn all others. The memory of ``parsed.matrix`` is used again: do not read
    ``parsed`` afterwards.

    Parameters
    ----------
    ids
        The rows' ids. Every copy of an id that occurs twice is unusable, since no result could be told apart.
    parsed
        The rows' vectors.

    Raises
    ------
    ValueError
        If there are more or fewer ids than rows.
    """
    if len(ids) != len(parsed.reasons):
        raise ValueError(f"{len(ids)} ids for {len(parsed.reasons)} rows")
    parsed = _with_common_length(parsed)
    reasons = [None if reason is None else str(reason) for reason in parsed.reasons]
    for row, vector in parsed.others.items():
        reasons[row] = wrong_length(len(vector), parsed.matrix.shape[1])
    copies = Counter(ids)
    for row, row_id in enumerate(ids):
        if row_id is None:
            reasons[row] = str(Verdict.NULL_ID)
        elif copies[row_id] > 1:
            reasons[row] = f"{Verdict.DUPLICATE_ID}: {copies[row_id]} rows have it"
    for row, verdict in _judge_values(parsed.matrix, reasons):
        reasons[row] = str(verdict)
    usable = np.array([reason is None for reason in reasons], dtype=bool)
    return Embeddings(_compact(parsed.matrix, usable), usable, reasons)


def normalise(matrix: Matrix, *, threads: int = 0) -> Matrix:
    """Return the rows scaled to unit length, so that Euclidean and cosine geometry agree: ‖a-b‖² = 2(1 - cos)."""
    unit = np.empty(matrix.shape, dtype=np.float32)

    def scale(block: slice) -> None:
        rows = matrix[block]
        with np.errstate(over="ignore", under="ignore"):
            squares = np.einsum("ij,ij->i", rows, rows)
        unsafe = (squares < 1e-30) | ~np.isfinite(squares)
        if unsafe.any():  # squares of float32 below 1e-19 or above 1e19 leave float32's range
            wide = rows.astype(np.float64)
            unit[block] = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        else:
            np.divide(rows, np.sqrt(squares)[:, None], out=unit[block])

    run(scale, blocks(len(matrix), _BLOCK), threads)
    return unit


def _list_view(chunk: Any) -> ParsedRows | None:
    """Return an Arrow array of equally long lists as a view of its numbers; None if it is anything else."""
    import pyarrow as pa

    kind = chunk.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return None
    if not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)) or not len(chunk):
        return None
    if pa.types.is_fixed_size_list(kind):
        dimension = kind.list_size
        values = chunk.values[chunk.offset * dimension : (chunk.offset + len(chunk)) * dimension]
    else:
        offsets = chunk.offsets.to_numpy()
        dimension = int(offsets[1] - offsets[0])
        if (np.diff(offsets) != dimension).any():
            return None
        values = chunk.values[int(offsets[0]) : int(offsets[-1])]
    if values.null_count or not MIN_DIMENSION <= dimension <= MAX_DIMENSION:
        return None
    with np.errstate(over="ignore"):
        matrix = values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(len(chunk), dimension)
    reasons: list[str | None] = [None] * len(chunk)
    if chunk.null_count:
        for row in np.flatnonzero(chunk.is_null().to_numpy(zero_copy_only=False)):
            reasons[row] = str(Verdict.NULL_EMBEDDING)
    return ParsedRows(matrix, reasons)


def _arrow_rows(chunk: Any) -> Iterable[Any]:
    for scalar in chunk:
        values = scalar.values if scalar.is_valid and hasattr(scalar, "values") else None
        simple = values is not None and not values.null_count and values.type.num_fields == 0
        row = values.to_numpy(zero_copy_only=False) if simple and values is not None else scalar.as_py()
        yield row


def _with_common_length(parsed: ParsedRows) -> ParsedRows:
    """Return the rows with the matrix for the most common length, of equally common ones the first to appear."""
    if not parsed.others:
        return parsed
    width = parsed.matrix.shape[1]
    lengths = Counter(
        len(parsed.others[row]) if row in parsed.others else width
        for row, reason in enumerate(parsed.reasons)
        if reason is None
    )
    dimension = max(lengths, key=lengths.__getitem__)
    if dimension == width:
        return parsed
    matrix = np.zeros((len(parsed.reasons), dimension), dtype=np.float32)
    others: dict[int, Vector] = {}
    for row, vector in enumerate(parsed.vectors):
        if vector is not None and len(vector) == dimension:
            matrix[row] = vector
        elif vector is not None:
            others[row] = vector
    return ParsedRows(matrix, parsed.reasons, others)


def _judge_values(matrix: Matrix, reasons: Sequence[str | None]) -> Iterable[tuple[int, Verdict]]:
    for block in blocks(len(matrix), _BLOCK):
        rows = matrix[block]
        finite = np.asarray(np.isfinite(rows).all(axis=1))
        sound = np.logical_and(finite, rows.any(axis=1))
        for row in np.flatnonzero(~sound):
            if reasons[block.start + int(row)] is None:
                yield block.start + int(row), Verdict.ZERO_VECTOR if finite[row] else Verdict.NOT_FINITE


def _compact(matrix: Matrix, usable: NDArray[np.bool_]) -> Matrix:
    """Return the usable rows, moved up in place where the matrix is the collector's own."""
    kept = np.flatnonzero(usable)
    if len(kept) == len(matrix):
        return np.ascontiguousarray(matrix)
    if not matrix.flags.writeable:
        return matrix[kept]
    for block in blocks(len(kept), _BLOCK):
        matrix[block] = matrix[kept[block]]
    return matrix[: len(kept)]
