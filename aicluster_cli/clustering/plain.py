"""The plain parser: one row in, its vector or the reason why there is none. It alone words the reasons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from aicluster_cli.clustering.schema import MAX_DIMENSION, MIN_DIMENSION, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


def from_json(text: object) -> Vector | str:
    """Parse one embedding given as JSON text: a float32 vector, or a verdict with its particulars.

    Strict JSON, but for ``NaN`` and ``Infinity``, which Python and NumPy write: they are read, so that the verdict can
    name them. Numbers go through float64 to the nearest float32.
    """
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


def from_array(row: Any) -> Vector | str:
    """Read one embedding given as a NumPy array or a sequence of numbers: a float32 vector, or a verdict."""
    if row is None or (isinstance(row, float | np.floating) and row != row):
        return Verdict.NULL_EMBEDDING
    if isinstance(row, np.ndarray) and row.ndim != 1:
        return Verdict.NESTED
    if isinstance(row, np.ndarray) and row.dtype.kind in "fiu":
        return _narrow(row)
    if isinstance(row, list | tuple | np.ndarray):
        return _from_list(list(row))
    return f"{Verdict.NOT_AN_ARRAY}: {type(row).__name__}"


_JSON = json.JSONDecoder(parse_int=float)  # Python's own integers refuse more than 4300 digits
_JSON_NAMES = {dict: "an object", str: "a string", bool: "a boolean", float: "a number"}


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
    return wrong_length(len(vector))


def wrong_length(length: int, dimension: int | None = None) -> str:
    """Return the reason for a vector of a length that no embedding, or none of this table, has."""
    expected = f"{MIN_DIMENSION} to {MAX_DIMENSION}" if dimension is None else str(dimension)
    return f"{Verdict.WRONG_LENGTH}: {length}, not {expected}"
