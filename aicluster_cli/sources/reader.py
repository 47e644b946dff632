"""Read what a user names as a stream of Arrow record batches, in bounded memory. Light until something is opened."""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Protocol

from aicluster_cli.sources.limits import MAX_BATCH_BYTES, MAX_BATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from aicluster_cli.sources.digest import RowDigest
    from aicluster_cli.sources.files import Input
    from aicluster_cli.sources.spec import SourceSpec


class Table(Protocol):
    """Rows of one format: a schema at once, then a check of everything that can be checked, then the rows."""

    schema: pa.Schema

    def verify(self) -> None:
        """Raise InputError for what is wrong with the input as a whole."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in order, anew at each call."""


def open_source(spec: SourceSpec, *, stdin: BinaryIO, spool: Path) -> Source:
    """Open and check what ``spec`` names.

    Parameters
    ----------
    stdin
        Where ``-`` reads from.
    spool
        An existing folder for temporary files (standard input, decompressed copies, DuckDB's spill). It must outlive
        the source; the caller removes it.

    Raises
    ------
    UsageError
        If ``spec`` contradicts itself, the query is not one SELECT, or standard input is a terminal.
    InputError
        If the input cannot be read, has no rows, or lacks a column or has it in an unusable type.
    OutputError
        If the spool cannot be written.
    """
    from aicluster_cli.sources.files import no_rows, resolve
    from aicluster_cli.sources.schemas import check_columns

    spec.check()
    source = None if spec.input is None else resolve(spec, stdin=stdin, spool=spool)
    table = None if source is None else _table(source, spec, spool)
    name = source.name if source else "query"
    if spec.query is not None:
        from aicluster_cli.sources.sql import QueryTable

        if table is not None:
            table.verify()
            name = f"query over {name}"
        table = QueryTable(spec.query, table, spec, spool)
    assert table is not None  # noqa: S101 - check() saw to it that something is named
    check_columns(table.schema, spec, name)
    table.verify()
    batches = _bounded(table.batches())
    first = next(batches, None)
    if first is None:
        raise no_rows(name)
    files, form = (source.paths, source.format) if source else ((), "query")
    hashed = source if source and spec.query is None else None
    return Source(name, files, "query" if spec.query is not None else form, table, hashed, chain([first], batches))


class Source:
    """An input that is opened and checked.

    Attributes
    ----------
    name
        For people: ``tickets.csv``, ``3 files of data/*.parquet``, ``standard input``, ``query``, ``query over …``.
    files
        Absolute paths of the files read; empty for standard input and for a query without an input.
    format
        One of ``FORMATS``, or ``query``.
    schema
        The input's own columns and types.
    """

    def __init__(
        self,
        name: str,
        files: tuple[str, ...],
        format: str,  # noqa: A002 - the word for it
        table: Table,
        hashed: Input | None,
        opened: Iterator[pa.RecordBatch],
    ) -> None:
        self.name = name
        self.files = files
        self.format = format
        self.schema: pa.Schema = table.schema
        self._table = table
        self._hashed = hashed
        self._opened: Iterator[pa.RecordBatch] | None = opened
        self._hash: str | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in order, in batches of at most 8192 rows and about 64 MB.

        Can be called again to read from the start; a query is then run again.

        Raises
        ------
        InputError
            On rows that cannot be read, naming file and line where they are known.
        """
        batches = self._opened if self._opened is not None else _bounded(self._table.batches())
        self._opened = None
        return batches if self._hashed is not None else self._digested(batches)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the content, 64 hexadecimal digits.

        Of one file: of its bytes as they lie on disk, as ``sha256sum`` prints it. Of several: of their hashes in
        reading order. Of a query: of the columns and rows of its result, however they are cut into batches; valid
        once ``batches`` has been read to its end, RuntimeError before.
        """
        if self._hash is None and self._hashed is not None:
            self._hash = _hash_of_files([file.original for file in self._hashed.files])
        if self._hash is None:
            raise RuntimeError("the content hash of a query is known once all its rows have been read")
        return self._hash

    def _digested(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from aicluster_cli.sources.digest import RowDigest

        digest: RowDigest = RowDigest(self.schema)
        for batch in batches:
            digest.update(batch)
            yield batch
        self._hash = digest.hexdigest()


def _table(source: Input, spec: SourceSpec, spool: Path) -> Table:
    if source.format == "parquet":
        from aicluster_cli.sources.columnar import ParquetTable

        return ParquetTable(source, spool)
    if source.format == "jsonl":
        from aicluster_cli.sources.jsonlines import JsonLinesTable

        return JsonLinesTable(source, spec, spool)
    from aicluster_cli.sources.delimited import DelimitedTable

    return DelimitedTable(source)


def _bounded(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = MAX_BATCH_ROWS
        if batch.nbytes > MAX_BATCH_BYTES:
            rows = max(1, min(rows, batch.num_rows * MAX_BATCH_BYTES // batch.nbytes))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _hash_of_files(paths: list[Path]) -> str:
    hashes = []
    for path in paths:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
