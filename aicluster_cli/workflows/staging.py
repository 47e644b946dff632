"""From a source to a run's input: ids, texts, partition and float32 vectors, with a reason for every bad row."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aicluster_cli.clustering.embeddings import parse_arrow
from aicluster_cli.clustering.schema import Verdict
from aicluster_cli.errors import InputError
from aicluster_cli.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from aicluster_cli.clustering.embeddings import Vector
    from aicluster_cli.sources.embedder import Embedder
    from aicluster_cli.sources.reader import Source
    from aicluster_cli.sources.spec import SourceSpec
    from aicluster_cli.workflows.context import Stage

VECTORS = pa.list_(pa.float32())
ROWS_FILE = "rows.parquet"
SOURCE_FILE = "source.parquet"


@dataclass(frozen=True)
class Staged:
    """What was staged: the number of rows."""

    rows: int


def stage_input(
    source: Source, spec: SourceSpec, embedder: Embedder | None, folder: Path, *, keep_source: bool, stage: Stage
) -> Staged:
    """Write ``rows.parquet`` and, if asked, ``source.parquet`` into a run's input folder, batch by batch.

    ``rows.parquet`` holds ROW_ID, TEXT (if there is a text column), EMBEDDING as lists of float32, REASON and
    PARTITION (if there is one); ``source.parquet`` the source's own columns and types, in the same order of rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = 0
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}

        def write(name: str, batch: pa.RecordBatch) -> None:
            if name not in writers:
                file = stack.enter_context(atomic_write(folder / name))
                writers[name] = stack.enter_context(_writer(file, batch.schema))
            writers[name].write_batch(batch)

        for batch in source.batches():
            write(ROWS_FILE, _rows(batch, spec, embedder, rows))
            if keep_source:
                write(SOURCE_FILE, batch)
            rows += len(batch)
            stage.update(len(batch))
    return Staged(rows)


def staged_source(folder: Path) -> tuple[pa.Schema, Iterator[tuple[pa.Array[Any], pa.RecordBatch]]]:
    """Return the schema of a run's kept source, and its batches, each with its rows' ids.

    Raises
    ------
    InputError
        If the run kept no input.
    """
    if not (folder / SOURCE_FILE).is_file():
        raise InputError(
            "the run kept no input, so its source's columns cannot be joined",
            hint="run again without --no-keep-inputs, or with --join and --output at once",
        )
    return pq.read_schema(folder / SOURCE_FILE), _staged_batches(folder)


def staged_texts(folder: Path) -> pa.ChunkedArray[Any] | None:
    """Return the texts of a run's rows in their order, or None where there are none or they were not kept."""
    path = folder / ROWS_FILE
    if not path.is_file() or "TEXT" not in pq.read_schema(path).names:
        return None
    return pq.read_table(path, columns=["TEXT"])["TEXT"]


def _staged_batches(folder: Path) -> Iterator[tuple[pa.Array[Any], pa.RecordBatch]]:
    ids = pq.read_table(folder / ROWS_FILE, columns=["ROW_ID"])["ROW_ID"].combine_chunks()
    with pq.ParquetFile(folder / SOURCE_FILE) as file:
        start = 0
        for batch in file.iter_batches(batch_size=8192):
            yield ids[start : start + len(batch)], batch
            start += len(batch)


def _writer(file: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a writer that does not waste time on dictionaries of vectors."""
    plain: Any = [field.name for field in schema if not pa.types.is_nested(field.type)]
    return pq.ParquetWriter(file, schema, compression="zstd", compression_level=1, use_dictionary=plain)


def _rows(batch: pa.RecordBatch, spec: SourceSpec, embedder: Embedder | None, start: int) -> pa.RecordBatch:
    columns: dict[str, pa.Array[Any]] = {"ROW_ID": _ids(batch, spec.id_column, start)}
    if spec.text_column is not None and embedder is not None:
        texts: Any = batch.column(spec.text_column).cast(pa.string())
        columns["TEXT"] = texts
        columns["EMBEDDING"], columns["REASON"] = _embed(texts, embedder)
    elif spec.embedding_column is not None:
        columns["EMBEDDING"], columns["REASON"] = _read_vectors(batch.column(spec.embedding_column))
    if spec.partition_column is not None:
        columns["PARTITION"] = batch.column(spec.partition_column)
    return pa.RecordBatch.from_pydict(columns)


def _ids(batch: pa.RecordBatch, column: str | None, start: int) -> pa.Array[Any]:
    if column is None:
        return pa.array(np.arange(start, start + len(batch))).cast(pa.string())
    return batch.column(column).cast(pa.string())


def _embed(texts: pa.Array[Any], embedder: Embedder) -> tuple[pa.Array[Any], pa.Array[Any]]:
    values: list[Any] = texts.to_pylist()
    reasons = [_text_reason(text) for text in values]
    wanted = [text for text, reason in zip(values, reasons, strict=True) if reason is None]
    matrix = iter(embedder.embed(wanted) if wanted else ())
    return _columns([next(matrix) if reason is None else None for reason in reasons], reasons)


def _text_reason(text: str | None) -> str | None:
    if text is None:
        return str(Verdict.NULL_TEXT)
    return None if text.strip() else str(Verdict.BLANK_TEXT)


def _read_vectors(column: Any) -> tuple[pa.Array[Any], pa.Array[Any]]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_nested(column.type):
        parsed = parse_arrow(column)
        return _columns(parsed.vectors, parsed.reasons)
    lists = column.cast(VECTORS, safe=False)
    holes = _holes(lists)
    reasons = pc.if_else(holes, pa.scalar(str(Verdict.NOT_A_NUMBER)), pa.scalar(None, pa.string()))
    return pc.if_else(holes, pa.scalar(None, VECTORS), lists), reasons


def _holes(lists: Any) -> pa.Array[Any]:
    """Return which rows have a null inside the vector; a row that is null itself has none."""
    if lists.values.null_count == 0:
        return pa.array(np.zeros(len(lists), dtype=bool))
    empty = lists.values.is_null().to_numpy(zero_copy_only=False)
    before: Any = np.concatenate(([0], np.cumsum(empty)))
    offsets = lists.offsets.to_numpy()
    inside = before[offsets[1:]] > before[offsets[:-1]]
    # What was a fixed-size list may have values under a null row too.
    holes: pa.Array[Any] = pa.array(inside & lists.is_valid().to_numpy(zero_copy_only=False))
    return holes


def _columns(vectors: Sequence[Vector | None], reasons: Sequence[str | None]) -> tuple[pa.Array[Any], pa.Array[Any]]:
    """Return the EMBEDDING and REASON columns; a vector that is None becomes null."""
    offsets: Any = np.cumsum([0, *(0 if vector is None else len(vector) for vector in vectors)], dtype=np.int32)
    missing: Any = np.array([vector is None for vector in vectors], dtype=bool)
    values: Any = np.concatenate([np.empty(0, np.float32), *(vector for vector in vectors if vector is not None)])
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.float32()), mask=pa.array(missing))
    return lists, pa.array(reasons, pa.string())
