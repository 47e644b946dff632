"""DuckDB, held to local files: no extensions, no network, no view of this program's variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ERRORS: tuple[type[Exception], ...] = (duckdb.Error, pa.ArrowException, OSError)

_SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "allow_persistent_secrets": "false",
}


def connect(spool: Path) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database that spills into ``spool`` and keeps the order of rows."""
    connection = duckdb.connect(":memory:", config={**_SETTINGS, "temp_directory": str(spool / "duckdb")})
    # A progress bar would be drawn over the terminal by DuckDB itself.
    connection.execute("SET enable_progress_bar = false")
    return connection


def stream(connection: duckdb.DuckDBPyConnection, query: str, rows: int) -> pa.RecordBatchReader:
    """Return the result of ``query`` as a reader of batches of ``rows`` rows that never holds the whole result."""
    # Not execute(): its result is copied whole before the first batch (DuckDB 2.0).
    relation = connection.sql(query)
    make = relation.to_arrow_reader if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader
    reader: pa.RecordBatchReader = make(rows)
    return reader


def read(connection: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the batches of ``query``."""
    yield from stream(connection, query, rows)


def message(error: Exception) -> str:
    """Return the first paragraph of what DuckDB says, on one line."""
    paragraph = str(error).strip().split("\n\n")[0]
    return " ".join(paragraph.split())


def text(value: str) -> str:
    """Return ``value`` as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """Return ``value`` as an SQL identifier."""
    return '"' + value.replace('"', '""') + '"'


def paths(files: list[Path]) -> str:
    """Return ``files`` as an SQL list, in which no file name is taken for a pattern."""
    return "[" + ", ".join(text(_literal(str(path))) for path in files) + "]"


def _literal(path: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)
