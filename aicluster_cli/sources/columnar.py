"""Parquet files, types and values verbatim, a few rows at a time however large their row groups are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import parquet

from aicluster_cli.errors import InputError
from aicluster_cli.sources.files import plain_copy, reading
from aicluster_cli.sources.limits import MAX_BATCH_BYTES, MAX_BATCH_ROWS
from aicluster_cli.sources.schemas import check_same, plain_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aicluster_cli.sources.files import Input, InputFile

_BUFFER = 1 << 20


class ParquetTable:
    """One or several Parquet files with the same columns.

    Raises
    ------
    InputError
        If a file is not Parquet, is cut short, or has other columns than the first.
    """

    def __init__(self, source: Input, spool: Path) -> None:
        # Parquet is read from its end, which a compressed stream does not offer.
        self.files = tuple(plain_copy(file, spool) if file.compression else file for file in source.files)
        self.schema = _schema_of(self.files[0])
        for file in self.files[1:]:
            check_same(self.files[0].label, self.schema, file.label, _schema_of(file))

    def verify(self) -> None:
        """Do nothing: the footers have been read, and the pages are checked as they are."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files in order."""
        for file in self.files:
            with _opened(file) as opened:
                rows = _rows_at_once(opened.metadata)
                for batch in opened.iter_batches(batch_size=rows):
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)


def _schema_of(file: InputFile) -> pa.Schema:
    with _opened(file) as opened:
        return plain_schema(opened.schema_arrow)


@contextmanager
def _opened(file: InputFile) -> Iterator[parquet.ParquetFile]:
    # Without pre-buffering and with a small buffer a row group is read page by page, not all at once.
    try:
        with reading(file), file.path.open("rb"):
            pass
        with parquet.ParquetFile(file.path, pre_buffer=False, buffer_size=_BUFFER) as opened:
            yield opened
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file.label} is not whole Parquet: {error}",
            hint="write or fetch the file again; if it is of another format say so with --input-format",
        ) from error


def _rows_at_once(metadata: parquet.FileMetaData) -> int:
    widest = 1
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.num_rows:
            widest = max(widest, group.total_byte_size // group.num_rows)
    return int(max(1, min(MAX_BATCH_ROWS, MAX_BATCH_BYTES // widest)))
