"""Writing rows: Parquet, CSV and JSON Lines files, whole or not at all, and streams of rows for a pipe."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, cast

from aicluster_cli.errors import OutputError, UsageError
from aicluster_cli.files import atomic_write, ensure_writable_target, output_error
from aicluster_cli.results.cells import csv_cells, csv_quoted, json_cells, tsv_cells, tsv_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

FileForm = Literal["parquet", "csv", "jsonl"]
StreamForm = Literal["csv", "json", "jsonl", "tsv"]

_FILE_FORMS: dict[str, FileForm] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
_TEXT_ROWS = 4096  # rows turned into text at once: a row with an embedding is 20 KB of it
_GROUP_ROWS = 131_072  # a row group in Parquet; small ones compress and read badly
_GROUP_BYTES = 256 << 20


def check_output_path(path: Path) -> FileForm:
    """Return the form of file that the extension of ``path`` stands for.

    Raises
    ------
    UsageError
        If it stands for none.
    """
    form = _FILE_FORMS.get(path.suffix.lower())
    if form is None:
        found = f"ends in {path.suffix}" if path.suffix else "has no extension"
        raise UsageError(
            f"the output {path} {found}; it must end in {', '.join(_FILE_FORMS)}",
            hint=f"for example --output {path.with_suffix('.csv').name or 'clusters.csv'}",
        )
    return form


def write_rows(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, overwrite: bool) -> int:
    """Write rows as Parquet (zstd), CSV or JSON Lines, by the extension of ``path``, whole or not at all.

    Parameters
    ----------
    batches
        The rows, all of ``schema``. Errors raised while reading them pass unchanged and leave nothing behind.
    schema
        Their columns; written even if there are no rows.
    path
        Where to write to; its folder must exist.
    overwrite
        Whether a file that is there already is replaced.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    UsageError
        On another extension.
    OutputError
        If the file exists and ``overwrite`` is false, or cannot be written.
    """
    form = check_output_path(path)
    ensure_writable_target(path, overwrite)
    with atomic_write(path, overwrite=overwrite) as handle:
        if form == "parquet":
            return _write_parquet(batches, schema, handle, path)
        rows = 0
        lines = _csv_lines if form == "csv" else _jsonl_lines
        for text, count in lines(batches, schema):
            handle.write(text.encode())
            rows += count
        return rows


def stream_rows(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    out: TextIO | BinaryIO,
    form: StreamForm,
    header_object: Mapping[str, Any],
) -> int:
    """Write rows to an open stream as they come, and flush it.

    Parameters
    ----------
    batches
        The rows, all of ``schema``.
    schema
        Their columns.
    out
        The stream, of text or of bytes (then UTF-8).
    form
        ``csv`` and ``tsv`` have a header line; ``jsonl`` has one object a line; ``json`` is one object.
    header_object
        What the object of ``json`` holds besides ``rows``; not used for the other forms.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    BrokenPipeError
        If the reader has gone.
    OutputError
        If the stream cannot be written for another reason.
    """
    if form == "json":
        pieces = _json_object(batches, header_object)
    else:
        pieces = {"csv": _csv_lines, "tsv": _tsv_lines, "jsonl": _jsonl_lines}[form](batches, schema)
    write = _encoded_for(out)
    rows = 0
    for text, count in pieces:
        with _stream_errors():
            write(text)
        rows += count
    with _stream_errors():
        out.flush()
    return rows


def _write_parquet(batches: Iterable[pa.RecordBatch], schema: pa.Schema, handle: BinaryIO, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    try:
        writer = pq.ParquetWriter(handle, schema, compression="zstd", write_page_checksum=True)
    except pa.ArrowNotImplementedError as error:
        raise OutputError(
            f"{path} cannot hold a column of the source: {error}",
            hint="cast that column to text in --query, or write .csv or .jsonl",
        ) from error
    with writer:
        for group in _row_groups(batches):
            writer.write_table(group)
            rows += group.num_rows
    return rows


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _csv_lines(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[tuple[str, int]]:
    yield ",".join(csv_quoted(name) for name in schema.names) + "\n", 0
    yield from _separated(batches, ",", csv_cells)


def _tsv_lines(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[tuple[str, int]]:
    yield "\t".join(tsv_plain(name) for name in schema.names) + "\n", 0
    yield from _separated(batches, "\t", tsv_cells)


def _separated(
    batches: Iterable[pa.RecordBatch], separator: str, cells: Callable[[pa.Array[Any]], list[str]]
) -> Iterator[tuple[str, int]]:
    for batch in _slices(batches):
        rows = zip(*(cells(column) for column in batch.columns), strict=True)
        yield "".join(separator.join(row) + "\n" for row in rows), batch.num_rows


def _jsonl_lines(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[tuple[str, int]]:
    for batch in _slices(batches):
        yield "".join(line + "\n" for line in _objects(batch, schema.names)), batch.num_rows


def _json_object(batches: Iterable[pa.RecordBatch], header: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    if "rows" in header:
        raise ValueError("the header object has a key 'rows' of its own")
    opening = json.dumps(dict(header), ensure_ascii=False, allow_nan=False)[:-1]
    yield opening + (", " if header else "") + '"rows": [', 0
    lead = "\n"
    for batch in _slices(batches):
        yield lead + ",\n".join(_objects(batch, batch.schema.names)), batch.num_rows
        lead = ",\n"
    yield ("]}\n" if lead == "\n" else "\n]}\n"), 0


def _objects(batch: pa.RecordBatch, names: Iterable[str]) -> Iterator[str]:
    """Return each row as a JSON object: the keys are the same for all, so they are written out once."""
    keys = [json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in names]
    template = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"
    rows = zip(*(json_cells(column) for column in batch.columns), strict=True)
    return (template % row for row in rows)


def _slices(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _TEXT_ROWS):
            yield batch.slice(start, _TEXT_ROWS)


def _encoded_for(out: TextIO | BinaryIO) -> Callable[[str], object]:
    if isinstance(out, io.TextIOBase):
        return out.write
    binary = cast("BinaryIO", out)
    return lambda text: binary.write(text.encode())


@contextlib.contextmanager
def _stream_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error("standard output", error) from error
