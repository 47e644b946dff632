"""Arrow values as the text of CSV, TSV and JSON cells: exact numbers, ISO 8601 times, nested values as JSON."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_NEEDS_QUOTES = re.compile(r'[",\r\n]')
_BREAKS = str.maketrans(dict.fromkeys("\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))


def json_cells(column: pa.Array[Any]) -> list[str]:
    """Return each value as JSON text: NaN and Infinity are null, numbers with decimals exact text in quotes."""
    from pyarrow import types

    column = _unwrapped(column)
    kind = column.type
    if _is_vector(kind):
        return [cell or "null" for cell in _vectors(column)]
    if types.is_boolean(kind) or types.is_nested(kind):
        return [_dumps(value) for value in column.to_pylist()]
    if types.is_floating(kind):
        column = _finite(column)
    texts = _texts(column)
    if _is_number(kind):
        return [text or "null" for text in texts]
    return ["null" if text is None else json.dumps(text, ensure_ascii=False) for text in texts]


def csv_cells(column: pa.Array[Any]) -> list[str]:
    """Return each value as a CSV cell (RFC 4180): a null is empty, an empty text is ``""``."""
    return ["" if text is None else csv_quoted(text) for text in _flat_texts(column)]


def csv_quoted(text: str) -> str:
    """Return ``text`` in quotes if a CSV reader would otherwise take it for something else."""
    return '"' + text.replace('"', '""') + '"' if not text or _NEEDS_QUOTES.search(text) else text


def tsv_cells(column: pa.Array[Any]) -> list[str]:
    """Return each value as a TSV cell: a null is empty, a tab or line break in a text is a space."""
    return ["" if text is None else tsv_plain(text) for text in _flat_texts(column)]


def tsv_plain(text: str) -> str:
    """Return ``text`` on one line and without tabs."""
    return text.translate(_BREAKS)


def _flat_texts(column: pa.Array[Any]) -> Sequence[str | None]:
    from pyarrow import types

    column = _unwrapped(column)
    if _is_vector(column.type):
        return _vectors(column)
    if types.is_nested(column.type):
        return [None if value is None else _dumps(value) for value in column.to_pylist()]
    return _texts(column)


def _unwrapped(column: pa.Array[Any]) -> pa.Array[Any]:
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if isinstance(column.type, pa.BaseExtensionType):
        # UUID and JSON say best themselves what their values look like.
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.large_string())
    return column


def _texts(column: pa.Array[Any]) -> list[str | None]:
    """Return the text of each value of a column that is not nested."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        pass
    elif types.is_float16(kind):
        column = _with_point(column.cast(pa.float32()).cast(pa.string()))
    elif types.is_floating(kind):
        column = _with_point(column.cast(pa.string()))
    elif types.is_timestamp(kind):
        column = _iso_times(column)
    elif types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    elif types.is_duration(kind) or types.is_interval(kind):
        return [None if value is None else str(value) for value in column.to_pylist()]
    else:
        column = pc.cast(column, pa.string())
    texts: list[str | None] = column.to_pylist()
    return texts


def _with_point(texts: pa.Array[Any]) -> pa.Array[Any]:
    """Return ``1`` as ``1.0``, lest a reader takes a column of whole floats for one of integers."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(texts, r"^(-?\d+)$", r"\1.0")


def _iso_times(column: pa.Array[Any]) -> pa.Array[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    texts = pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
    return pc.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1")


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    whole_decimal = types.is_decimal(kind) and kind.scale == 0
    return bool(types.is_integer(kind) or types.is_floating(kind) or whole_decimal)


def _finite(column: pa.Array[Any]) -> pa.Array[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    finite: pa.Array[Any] = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    return finite


def _is_vector(kind: Any) -> bool:
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and (types.is_integer(kind.value_type) or types.is_floating(kind.value_type)))


def _vectors(column: pa.Array[Any]) -> list[str | None]:
    """Return lists of numbers as JSON text, all numbers at once: an embedding is a thousand of them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    # Flattened and not `.values`, which of a slice would be the numbers of the whole column.
    numbers = pc.list_flatten(column)
    texts = (_finite(numbers) if types.is_floating(numbers.type) else numbers).cast(pa.large_string())
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    filled: Any = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), texts.fill_null("null"))
    joined: Any = pc.binary_join(filled, pa.scalar(",", pa.large_string()))
    nulls = column.is_null().to_pylist()
    return [None if null else f"[{text}]" for null, text in zip(nulls, joined.to_pylist(), strict=True)]


def _dumps(value: Any) -> str:
    return json.dumps(_jsonable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") and not isinstance(value, timedelta) else str(value)
