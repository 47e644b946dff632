"""Which rows belong to which partition: a null partition is a group of its own, and so is NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aicluster_cli.clustering.schema import OUTPUT_NAMES
from aicluster_cli.errors import RunError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True)
class Groups:
    """The partitions of a table.

    ``codes`` has one int64 a row, the position of its partition in ``values``, which stand in rising order, NaN and
    null last.
    """

    codes: npt.NDArray[np.int64]
    values: pa.Array[Any]

    def value(self, code: int) -> Any:
        """Return the value of partition ``code`` as a Python object, None for null."""
        return self.values[code].as_py()


def partition_column_of(table: pa.Table) -> str | None:
    """Return the name of the column that is not one of the frozen output columns, if there is one."""
    return next((name for name in table.column_names if name not in OUTPUT_NAMES), None)


def group_rows(table: pa.Table, partition_column: str | None) -> Groups:
    """Return the partition of each row of ``table``; without a partition column, all rows are one.

    Raises
    ------
    RunError
        If the column's values cannot be told apart, as with lists.
    """
    import numpy as np
    import pyarrow as pa

    if partition_column is None:
        return Groups(np.zeros(table.num_rows, dtype=np.int64), pa.nulls(1))
    try:
        column = one_zero(plain(table.column(partition_column)))
        encoded: Any = column.dictionary_encode("encode")
    except pa.ArrowNotImplementedError as error:
        kind = table.schema.field(partition_column).type
        raise RunError(
            f"rows cannot be grouped by {partition_column}, which is {kind}",
            hint="partition by a column of text, numbers, dates or booleans",
        ) from error
    return _in_order(encoded)


def plain(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """Return the column as one array, dictionary-encoded values spelt out."""
    import pyarrow as pa

    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(array, pa.ChunkedArray):  # nothing to combine, or more text than one array holds
        array = pa.concat_arrays(array.cast(_wide(array.type)).chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def one_zero(array: pa.Array[Any]) -> pa.Array[Any]:
    """Return the array with -0.0 as 0.0, which are the same number but not the same bits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(array.type):
        return array
    wide = array.cast(pa.float32()) if pa.types.is_float16(array.type) else array
    return pc.add(wide, pa.scalar(0.0, wide.type))


def _wide(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    wide: dict[pa.DataType, pa.DataType] = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
    return wide.get(kind, kind)


def _in_order(encoded: pa.DictionaryArray[Any, Any]) -> Groups:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values = encoded.dictionary
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    try:
        order = pc.sort_indices(values).to_numpy(zero_copy_only=False)
    except pa.ArrowNotImplementedError:
        return Groups(codes, values)  # a type without an order keeps the order in which its values appear
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Groups(rank[codes], values.take(pa.array(order)))
