"""Reading a finished run: its files, its rows, its rows joined to their source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aicluster_cli.errors import RunError, StillRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from aicluster_cli.records import RunRecord
    from aicluster_cli.results.summary import ClusterSummary
    from aicluster_cli.stored import StoredFile
    from aicluster_cli.workflows.context import Context


@dataclass(frozen=True)
class Rows:
    """Result rows as a stream: their schema and their batches, in the order of the source."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def list_files(context: Context, run_id: str | None) -> tuple[RunRecord, list[StoredFile]]:
    """Return a run's record and the files in its folder."""
    record = context.platform.find_run(run_id)
    return record, context.platform.files(record.run_id).list()


def finished_run(context: Context, run_id: str | None) -> RunRecord:
    """Return the record of a finished run, the newest by default.

    Raises
    ------
    StillRunningError
        If it is still running.
    RunError
        If it failed, was interrupted or does not exist.
    """
    record = context.platform.find_run(run_id)
    if record.status == "running":
        raise StillRunningError(f"the run {record.run_id} is still running", hint=f"aicluster status {record.run_id}")
    if record.status == "interrupted":
        raise RunError(f"the run {record.run_id} was interrupted", hint=f"run it again with --run-id {record.run_id}")
    if record.status == "failed":
        why = f": {record.error['message']}" if record.error else ""
        raise RunError(f"the run {record.run_id} has failed{why}", hint=f"aicluster logs {record.run_id}")
    return record


def result_table(context: Context, record: RunRecord) -> pa.Table:
    """Return all result rows of a finished run, checked, without DETAILS."""
    from aicluster_cli.results.parts import read_parts, split_details

    partition = record.source.partition_column
    table = read_parts(
        context.platform.files(record.run_id), record.run_id, expected_rows=record.rows, partition_column=partition
    )
    return split_details(table)[0]


def result_rows(context: Context, record: RunRecord, *, join: bool) -> Rows:
    """Return the result rows as a stream, joined to the source's own columns if asked."""
    from aicluster_cli.results.join import join as join_rows
    from aicluster_cli.results.join import joined_schema
    from aicluster_cli.workflows.staging import staged_source

    table = result_table(context, record)
    if not join:
        return Rows(table.schema, iter(table.to_batches(max_chunksize=65_536)))
    schema, batches = staged_source(input_folder(context, record))
    return Rows(joined_schema(schema, table), join_rows(batches, table))


def write_output(context: Context, record: RunRecord, path: Path, *, join: bool, overwrite: bool) -> int:
    """Write the result rows to a file, whole or not at all, and return their number."""
    from aicluster_cli.files import ensure_writable_target
    from aicluster_cli.results.write import write_rows

    ensure_writable_target(path, overwrite=overwrite)
    rows = result_rows(context, record, join=join)
    return write_rows(rows.batches, rows.schema, path, overwrite=overwrite)


def clusters(context: Context, record: RunRecord, *, keywords: int = 5, examples: int = 3) -> list[ClusterSummary]:
    """Return every cluster of a run with its size and, where texts were kept, key words and central texts."""
    from aicluster_cli.results.summary import describe_clusters
    from aicluster_cli.workflows.staging import staged_texts

    texts = staged_texts(input_folder(context, record))
    table = result_table(context, record)
    return describe_clusters(table, texts, top_keywords=keywords, examples=examples)


def header(record: RunRecord) -> dict[str, Any]:
    """Return what stands before the rows in JSON."""
    return {"schema": "aicluster.rows/1", "run_id": record.run_id, "model": record.model, "rows_total": record.rows}


def input_folder(context: Context, record: RunRecord) -> Path:
    """Return the folder of a run's kept input."""
    return Path(context.platform.location(record.run_id)) / "input"
