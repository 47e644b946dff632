"""Attaching the clusters to the rows they came from, in the source's own order and with its own types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aicluster_cli.clustering.schema import OUTPUT_NAMES
from aicluster_cli.errors import InputError, RunError
from aicluster_cli.results.partitions import Groups, group_rows, one_zero, partition_column_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


def joined_schema(source: pa.Schema, table: pa.Table) -> pa.Schema:
    """Return the schema of the joined rows: the source's columns, then those of ``table`` bar its partition column.

    Raises
    ------
    InputError
        If a source column has the name of an output column, or the partition column is not in the source.
    """
    import pyarrow as pa

    partition_column = partition_column_of(table)
    check_source_names(source.names)
    if partition_column is not None and partition_column not in source.names:
        raise InputError(
            f"the source has no column {partition_column}, which its rows were clustered by",
            hint="join with the same --input and --query as the run",
        )
    ours = [field for field in table.schema if field.name != partition_column]
    return pa.schema([*source, *ours])


def check_source_names(names: Iterable[str]) -> None:
    """Check, before any work begins, that the clusters can be attached to columns of these names.

    Raises
    ------
    InputError
        If one of them is the name of an output column.
    """
    taken = [name for name in names if name in OUTPUT_NAMES]
    if taken:
        renamed = ", ".join(f"{name} AS source_{name.lower()}" for name in taken)
        raise InputError(
            f"the source has a column {', '.join(taken)}, which is the name of an output column",
            hint=f"rename it: --query 'SELECT * RENAME ({renamed}) FROM input'",  # noqa: S608 - words for a person
        )


def join(source: Iterable[tuple[pa.Array[Any], pa.RecordBatch]], table: pa.Table) -> Iterator[pa.RecordBatch]:
    """Attach the rows of ``table`` to the source's rows.

    The n-th source row with an id (of a partition, if there are partitions) gets the n-th output row with that id;
    a null id counts as an id. So rows with a duplicate or missing id keep a row each.

    Parameters
    ----------
    source
        The ROW_ID of each row of a batch, and the batch.
    table
        Output rows, with or without DETAILS, in any order.

    Yields
    ------
    pyarrow.RecordBatch
        The source's batches with the columns of `joined_schema`.

    Raises
    ------
    InputError
        As `joined_schema`.
    RunError
        If the source and the table do not have the same rows.
    """
    import pyarrow as pa

    partition_column = partition_column_of(table)
    ours = table.select([name for name in table.column_names if name != partition_column]).combine_chunks()
    rows = _RowFinder(table, partition_column)
    for ids, batch in source:
        schema = joined_schema(batch.schema, table)
        partition = batch.column(partition_column) if partition_column is not None else None
        found = ours.take(rows.find(ids, partition))
        columns = [*batch.columns, *(plain(column) for column in found.columns)]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
    rows.check_all_found()


class _RowFinder:
    """Finds for each key the next row of the table that has it, each row once.

    A key is the pair of an id and a partition, as one number. ``_order`` has the table's rows sorted by key and, within
    a key, as they stand; ``_next`` says for each key where in it the next row is, ``_end`` where its rows end.
    """

    def __init__(self, table: pa.Table, partition_column: str | None) -> None:
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        ids = plain(table.column("ROW_ID")).cast(pa.large_string())
        # pandas keeps its hash table between batches, where Arrow would build one for each.
        self._ids = pd.Index(ids.unique().drop_null().to_numpy(zero_copy_only=False), dtype=object)
        self._partition_column = partition_column
        self._partitions: Groups = group_rows(table, partition_column)
        keys = self._partitions.codes * (len(self._ids) + 1) + self._id_codes(ids)
        self._order = np.argsort(keys, kind="stable")
        self._keys, starts = np.unique(keys[self._order], return_index=True)
        self._next = starts.astype(np.int64)
        self._end = np.append(self._next[1:], len(keys))

    def find(self, ids: pa.Array[Any], partition: pa.Array[Any] | None) -> npt.NDArray[np.int64]:
        import numpy as np
        import pyarrow as pa

        id_codes = self._id_codes(ids.cast(pa.large_string()))
        partition_codes = np.zeros(len(ids), dtype=np.int64) if partition is None else self._partition_codes(partition)
        known = (id_codes >= 0) & (partition_codes >= 0)
        wanted = partition_codes * (len(self._ids) + 1) + id_codes
        slots = np.minimum(np.searchsorted(self._keys, wanted), max(len(self._keys) - 1, 0))
        if not known.all() or (len(wanted) and not (len(self._keys) and (self._keys[slots] == wanted).all())):
            raise _other_source()
        places = self._next[slots] + _occurrences(slots)
        if (places >= self._end[slots]).any():
            raise _other_source()
        np.add.at(self._next, slots, 1)
        return np.asarray(self._order[places], dtype=np.int64)

    def check_all_found(self) -> None:
        left = int((self._end - self._next).sum())
        if left:
            raise RunError(f"the results hold {left} rows more than the source", hint=_SAME_SOURCE)

    def _id_codes(self, ids: pa.Array[Any]) -> npt.NDArray[np.int64]:
        """Return each id's number; -1 for one that the table lacks, one past the last for null."""
        import numpy as np

        codes: npt.NDArray[np.int64] = self._ids.get_indexer(ids.to_numpy(zero_copy_only=False)).astype(np.int64)
        codes[ids.is_null().to_numpy(zero_copy_only=False)] = len(self._ids)
        return codes

    def _partition_codes(self, partition: pa.Array[Any]) -> npt.NDArray[np.int64]:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        values = self._partitions.values
        spelt_out = one_zero(plain(pa.chunked_array([partition])))
        try:
            codes: Any = pc.index_in(spelt_out.cast(values.type), value_set=values)
        except pa.ArrowException as error:
            raise RunError(
                f"{self._partition_column} is {partition.type} in the source and {values.type} in the results",
                hint=_SAME_SOURCE,
            ) from error
        return np.asarray(codes.fill_null(-1), dtype=np.int64)


_SAME_SOURCE = "join with the same --input and --query as the run, on unchanged files"


def _other_source() -> RunError:
    return RunError("the source holds rows that the results do not", hint=_SAME_SOURCE)


def _occurrences(slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return how many equal numbers stand before each number."""
    import numpy as np

    order = np.argsort(slots, kind="stable")
    arranged = slots[order]
    starts = np.flatnonzero(np.diff(arranged, prepend=-1))
    lengths = np.diff(np.append(starts, len(slots)))
    counts = np.empty(len(slots), dtype=np.int64)
    counts[order] = np.arange(len(slots)) - np.repeat(starts, lengths)
    return counts
