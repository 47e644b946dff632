"""From embeddings as they arrive to one float32 matrix, with a reason for every row that is not an embedding."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from aicluster_cli.clustering.schema import MAX_DIMENSION, MIN_DIMENSION, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Vector = NDArray[np.float32]

Row = TypeVar("Row")


@dataclass(frozen=True)
class ParsedRows:
    """One vector or one reason for each row, in the rows' order.

    Attributes
    ----------
    vectors
        float32 arrays of any length; None where the row holds no vector.
    reasons
        Why a row holds no vector; None where it holds one.
    """

    vectors: list[Vector | None]
    reasons: list[str | None]


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


def parse_json(texts: Sequence[str | None]) -> ParsedRows:
    """Parse embeddings given as JSON text.

    Strict JSON, but for ``NaN`` and ``Infinity``, which Python and NumPy write: they are read, so that the verdict can
    name them. Numbers go through float64 to the nearest float32.
    """
    return _each(texts, _from_json)


def parse_arrays(rows: Sequence[Any]) -> ParsedRows:
    """Parse embeddings given as arrays: NumPy arrays or sequences of numbers, None for a missing one."""
    return _each(rows, _from_array)


def assemble(ids: Sequence[str | None], parsed: ParsedRows) -> Embeddings:
    """Judge every row and put the usable ones into one matrix.

    The dimension is the most common length among the vectors (of equally common ones the first to appear), so that a
    single wrong row at the top cannot condemn all others.

    Parameters
    ----------
    ids
        The rows' ids. Every copy of an id that occurs twice is unusable, since no result could be told apart.
    parsed
        The rows' vectors.
    """
    reasons = list(parsed.reasons)
    copies = Counter(ids)
    dimension = _common_length(parsed.vectors)
    for at, (row_id, vector) in enumerate(zip(ids, parsed.vectors, strict=True)):
        if row_id is None:
            reasons[at] = Verdict.NULL_ID
        elif copies[row_id] > 1:
            reasons[at] = f"{Verdict.DUPLICATE_ID}: {copies[row_id]} rows have it"
        elif vector is not None and len(vector) != dimension:
            reasons[at] = f"{Verdict.WRONG_LENGTH}: {len(vector)}, not {dimension}"
    usable = np.array([reason is None for reason in reasons], dtype=bool)
    matrix = _stack([vector for vector, good in zip(parsed.vectors, usable, strict=True) if good], dimension)
    verdicts = _judge_values(matrix)
    if verdicts:
        for row, verdict in zip(np.flatnonzero(usable)[list(verdicts)], verdicts.values(), strict=True):
            reasons[row] = verdict
            usable[row] = False
        matrix = np.delete(matrix, list(verdicts), axis=0)
    return Embeddings(matrix, usable, [None if reason is None else str(reason) for reason in reasons])


def normalise(matrix: Matrix) -> Matrix:
    """Return the rows scaled to unit length, so that Euclidean and cosine geometry agree: ‖a-b‖² = 2(1 - cos)."""
    with np.errstate(over="ignore"):
        norms: Matrix = np.linalg.norm(matrix, axis=1, keepdims=True)
    unsafe = (norms < 1e-15) | ~np.isfinite(norms)
    if unsafe.any():  # squares of float32 below 1e-19 or above 1e19 leave float32's range
        norms = np.where(unsafe, np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True), norms)
        return (matrix / norms.astype(np.float64)).astype(np.float32)
    return matrix / norms


def _each(rows: Sequence[Row], parse: Callable[[Row], Vector | str]) -> ParsedRows:
    vectors: list[Vector | None] = []
    reasons: list[str | None] = []
    for row in rows:
        parsed = parse(row)
        good = isinstance(parsed, np.ndarray)
        vectors.append(parsed if good else None)  # type: ignore[arg-type]
        reasons.append(None if good else parsed)  # type: ignore[arg-type]
    return ParsedRows(vectors, reasons)


def _from_json(text: str | None) -> Vector | str:
    if not isinstance(text, str):  # pandas spells a missing text NaN or NA
        return Verdict.NULL_EMBEDDING
    if not text.strip():
        return Verdict.BLANK_EMBEDDING
    try:
        value = _JSON.decode(text)
    except RecursionError:
        return Verdict.NESTED
    except ValueError as error:
        return f"{Verdict.MALFORMED}: {error}"
    if value is None:
        return Verdict.NULL_EMBEDDING
    if not isinstance(value, list):
        return f"{Verdict.NOT_AN_ARRAY}: {_JSON_NAMES[type(value)]}"
    return _from_list(value)


_JSON = json.JSONDecoder(parse_int=float)  # Python's own integers refuse more than 4300 digits
_JSON_NAMES = {dict: "an object", str: "a string", bool: "a boolean", float: "a number"}


def _from_array(row: Any) -> Vector | str:
    if row is None or (isinstance(row, float | np.floating) and row != row):
        return Verdict.NULL_EMBEDDING
    if isinstance(row, np.ndarray) and row.ndim != 1:
        return Verdict.NESTED
    if isinstance(row, np.ndarray) and row.dtype.kind in "fiu":
        return _narrow(row)
    if isinstance(row, list | tuple | np.ndarray):
        return _from_list(list(row))
    return f"{Verdict.NOT_AN_ARRAY}: {type(row).__name__}"


def _from_list(values: list[Any]) -> Vector | str:
    kinds = set(map(type, values))
    if kinds & {list, tuple, dict, np.ndarray}:
        return Verdict.NESTED
    if not all(issubclass(kind, int | float | np.integer | np.floating) and kind is not bool for kind in kinds):
        return Verdict.NOT_A_NUMBER
    try:
        wide = np.array(values, dtype=np.float64)
    except OverflowError:  # an integer beyond float64
        return Verdict.NOT_FINITE
    return _narrow(wide)


def _narrow(values: NDArray[Any]) -> Vector | str:
    with np.errstate(over="ignore"):  # beyond float32 becomes Infinity, which gets its verdict later
        vector: Vector = values.astype(np.float32, copy=False)
    if MIN_DIMENSION <= len(vector) <= MAX_DIMENSION:
        return vector
    return f"{Verdict.WRONG_LENGTH}: {len(vector)}, not {MIN_DIMENSION} to {MAX_DIMENSION}"


def _common_length(vectors: Sequence[Vector | None]) -> int:
    lengths = Counter(len(vector) for vector in vectors if vector is not None)
    return max(lengths, key=lengths.__getitem__, default=0)


def _stack(vectors: list[Vector | None], dimension: int) -> Matrix:
    matrix = np.empty((len(vectors), dimension), dtype=np.float32)
    for at, vector in enumerate(vectors):
        matrix[at] = vector
    return matrix


def _judge_values(matrix: Matrix) -> dict[int, str]:
    finite = np.isfinite(matrix).all(axis=1)
    nonzero = matrix.any(axis=1)
    verdicts: dict[int, str] = {int(at): Verdict.NOT_FINITE for at in np.flatnonzero(~finite)}
    verdicts |= {int(at): Verdict.ZERO_VECTOR for at in np.flatnonzero(finite & ~nonzero)}
    return dict(sorted(verdicts.items()))
