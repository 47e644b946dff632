"""Columns of JSON text, from Arrow, pandas or Python, parsed block by block into rows of a float32 matrix.

With numba a compiled parser reads almost every row; the rows it finds odd, and all rows without numba, go through the
plain parser. Both give the same bits and the same reasons.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from aicluster_cli.clustering.parallel import blocks, run
from aicluster_cli.clustering.plain import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from aicluster_cli.clustering.plain import Vector

    Bytes = NDArray[np.uint8]
    Offsets = NDArray[np.int64]

_BLOCK_BYTES = 4_000_000  # text a step and thread; beyond the caches more is no faster
_COMPILED_FROM = 2_000_000  # bytes; loading numba takes longer than parsing less plainly
_PROBES = 9
_PADDING = b" " * 64


class Texts(Protocol):
    """Rows of JSON text."""

    rows: int
    size: int

    def block(self, rows: slice) -> tuple[Bytes, Offsets]:
        """Return the rows' UTF-8 one after the other, and where each begins; a null or strange row is empty."""

    def text(self, row: int) -> object:
        """Return one row, or what stands for null."""

    def likely_dimension(self) -> int:
        """Return the most common length of some vectors, 0 if none was found."""

    def parse_plainly(self, rows: Iterable[int]) -> dict[int, Vector | str]:
        """Return the vector or the reason of each of the rows."""


class _Texts(ABC):
    rows: int
    size: int

    @abstractmethod
    def text(self, row: int) -> object:
        """Return one row, or what stands for null."""

    def parse_plainly(self, rows: Iterable[int]) -> dict[int, Vector | str]:
        """Return the vector or the reason of each of the rows."""
        return {row: from_json(self.text(row)) for row in rows}

    def likely_dimension(self) -> int:
        """Return the most common length of some vectors spread over the rows, 0 if there is none among them."""
        probes = {int(row) for row in np.linspace(0, max(self.rows - 1, 0), _PROBES)} if self.rows else set()
        lengths = Counter(len(v) for v in self.parse_plainly(sorted(probes)).values() if not isinstance(v, str))
        return max(lengths, key=lengths.__getitem__, default=0)


class _ArrowTexts(_Texts):
    """A string or large_string array; its buffers are read in place."""

    def __init__(self, array: Any) -> None:
        import pyarrow as pa

        self.rows = len(array)
        self._array = array
        _, offsets, data = array.buffers()
        wide = np.int64 if pa.types.is_large_string(array.type) else np.int32
        at = np.frombuffer(offsets, dtype=wide)[array.offset : array.offset + self.rows + 1]
        self._offsets: Offsets = at.astype(np.int64)
        self._data: Bytes = np.frombuffer(data if data is not None else b"", dtype=np.uint8)
        self.size = int(self._offsets[-1] - self._offsets[0])
        self._null = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None

    def block(self, rows: slice) -> tuple[Bytes, Offsets]:
        offsets = self._offsets[rows.start : rows.stop + 1]
        if self._null is not None and self._null[rows].any():
            return self._without_nulls(rows, offsets)
        return self._data, offsets

    def text(self, row: int) -> object:
        try:
            return self._array[row].as_py()
        except UnicodeDecodeError:
            start, stop = self._offsets[row : row + 2]
            return self._data[start:stop].tobytes().decode(errors="replace")

    def _without_nulls(self, rows: slice, offsets: Offsets) -> tuple[Bytes, Offsets]:
        """Return a copy: Arrow leaves the bytes of a null undefined, so they might be an array."""
        assert self._null is not None  # noqa: S101
        pieces = [
            b"" if null else self._data[start:stop].tobytes()
            for null, start, stop in zip(self._null[rows], offsets[:-1], offsets[1:], strict=True)
        ]
        return _joined(pieces)


class _PythonTexts(_Texts):
    """Python strings; whatever is not one stands for null."""

    def __init__(self, texts: Sequence[object]) -> None:
        self.rows = len(texts)
        self._texts = texts
        lengths = [len(text) for text in texts if isinstance(text, str)]
        self.size = sum(lengths)

    def block(self, rows: slice) -> tuple[Bytes, Offsets]:
        ascii_only = [t if isinstance(t, str) and t.isascii() else "" for t in self._texts[rows.start : rows.stop]]
        offsets = np.zeros(len(ascii_only) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in ascii_only], out=offsets[1:])
        return np.frombuffer("".join(ascii_only).encode("ascii") + _PADDING, dtype=np.uint8), offsets

    def text(self, row: int) -> object:
        return self._texts[row]


def arrow_texts(array: Any) -> Iterator[Texts]:
    """Yield an Arrow array of text (or of anything that casts to it) as rows of JSON text."""
    import pyarrow as pa

    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        if pa.types.is_string_view(array.type) or pa.types.is_null(array.type):
            array = array.cast(pa.large_string())
        else:
            yield _PythonTexts(array.to_pylist())
            return
    if len(array):
        yield _ArrowTexts(array)


def python_texts(texts: Any) -> Iterator[Texts]:
    """Yield a sequence or a pandas Series as rows of JSON text, its Arrow memory in place where it has some."""
    backing = getattr(getattr(texts, "array", None), "__arrow_array__", None)
    if backing is not None and str(getattr(texts, "dtype", "object")) != "object":
        import pyarrow as pa

        column = pa.array(texts.array)
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            yield from arrow_texts(chunk)
        return
    rows = texts.tolist() if hasattr(texts, "tolist") else texts
    if len(rows):
        yield _PythonTexts(rows)


def parse_texts(source: Texts, matrix: NDArray[np.float32], threads: int = 0) -> dict[int, Vector | str]:
    """Parse the rows into ``matrix``, shape (rows, dimension), and return what did not fit there.

    Returns
    -------
    dict
        By row, in ascending order, the reason, or the vector if it has another length than the matrix.
    """
    odd = np.ones(source.rows, dtype=bool)
    parse = compiled_parser() if source.size >= _COMPILED_FROM else None
    if parse is not None:
        _parse_compiled(parse, source, matrix, odd, threads)
    left: dict[int, Vector | str] = {}
    for row in np.flatnonzero(odd).tolist():
        value = from_json(source.text(row))
        if isinstance(value, str) or len(value) != matrix.shape[1]:
            left[row] = value
        else:
            matrix[row] = value
    return left


def _parse_compiled(
    parse: Callable[..., None], source: Texts, matrix: NDArray[np.float32], odd: NDArray[np.bool_], threads: int
) -> None:

    def parse_block(rows: slice) -> None:
        data, offsets = source.block(rows)
        parse(data, offsets, 0, len(offsets) - 1, matrix[rows], odd[rows])

    size = max(1, min(_BLOCK_BYTES * source.rows // source.size, -(-source.rows // 8)))
    run(parse_block, blocks(source.rows, size), threads)


def compiled_parser() -> Callable[..., None] | None:
    """Return ``fastjson.parse_rows``, or None where numba is missing or the processor is not little-endian."""
    if sys.byteorder != "little":
        return None
    try:
        from aicluster_cli.clustering.fastjson import parse_rows
    except ImportError:
        return None
    return parse_rows


def _joined(pieces: list[bytes]) -> tuple[Bytes, Offsets]:
    offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.frombuffer(b"".join(pieces) + _PADDING, dtype=np.uint8), offsets
