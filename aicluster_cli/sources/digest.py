"""A hash of rows that depends on names, types and values, not on how the rows were cut into batches."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

if TYPE_CHECKING:
    from hashlib import _Hash


class RowDigest:
    """Feed batches of one schema in order, then take ``hexdigest``."""

    def __init__(self, schema: pa.Schema) -> None:
        # Each kind of content (nulls, lengths, bytes) of each column has a hash of its own, so that what is fed
        # is the same sequence of bytes wherever a batch ends.
        self._hashes: defaultdict[str, _Hash] = defaultdict(hashlib.sha256)
        self._hashes["schema"].update(repr([(field.name, str(field.type)) for field in schema]).encode())

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of ``batch``."""
        for index, column in enumerate(batch.columns):
            self._feed(str(index), column)

    def hexdigest(self) -> str:
        """Return the hash of everything fed so far, as 64 hexadecimal digits."""
        whole = hashlib.sha256()
        for path in sorted(self._hashes):
            whole.update(f"{path}={self._hashes[path].hexdigest()}\n".encode())
        return whole.hexdigest()

    def _feed(self, path: str, array: Any) -> None:
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        if types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if types.is_string_view(array.type) or types.is_binary_view(array.type):
            array = array.cast(pa.large_binary())  # views cannot be filtered
        self._hashes[f"{path}/valid"].update(_fixed_bytes(array.is_valid().cast(pa.uint8())))
        kind = array.type
        if types.is_null(kind):
            return
        array = array.drop_null()
        if types.is_struct(kind):
            for index, child in enumerate(array.flatten()):
                self._feed(f"{path}.{index}", child)
        elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            self._hashes[f"{path}/length"].update(_fixed_bytes(pc.list_value_length(array).cast(pa.int64())))
            self._feed(f"{path}[]", array.flatten())
        elif types.is_boolean(kind):
            self._hashes[path].update(_fixed_bytes(array.cast(pa.uint8())))
        elif types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind):
            self._hashes[path].update(_fixed_bytes(array))
        elif pa.types.is_binary(kind) or is_stringlike(kind):
            self._feed_strings(path, array.cast(pa.large_binary()))
        else:
            written = pa.array([repr(item) for item in array.to_pylist()], pa.large_string())
            self._feed_strings(path, written.cast(pa.large_binary()))

    def _feed_strings(self, path: str, array: Any) -> None:
        self._hashes[f"{path}/length"].update(_fixed_bytes(pc.binary_length(array)))
        _, offsets, data = array.buffers()
        if len(array) == 0 or data is None:
            return
        ends = memoryview(offsets).cast("q")[array.offset : array.offset + len(array) + 1]
        self._hashes[path].update(memoryview(data)[ends[0] : ends[-1]])


def is_stringlike(kind: pa.DataType) -> bool:
    """Whether ``kind`` is one of Arrow's variable-length string or binary types."""
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_large_binary, types.is_binary_view)
    return any(test(kind) for test in tests)


def _fixed_bytes(array: Any) -> memoryview:
    """Return the bytes of the values of ``array``, which has a fixed width and no nulls."""
    width = array.type.byte_width
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return memoryview(b"")
    return memoryview(data)[array.offset * width : (array.offset + len(array)) * width]
