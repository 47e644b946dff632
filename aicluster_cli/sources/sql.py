"""One DuckDB SELECT, over files it names itself and over an input as the view ``input``."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from pyarrow import parquet

from aicluster_cli.errors import InputError, UsageError
from aicluster_cli.sources import duck
from aicluster_cli.sources.columnar import ParquetTable
from aicluster_cli.sources.delimited import DelimitedTable
from aicluster_cli.sources.files import spooling
from aicluster_cli.sources.jsonlines import JsonLinesTable
from aicluster_cli.sources.schemas import plain_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aicluster_cli.sources.reader import Table
    from aicluster_cli.sources.spec import SourceSpec

# A vector of DuckDB: larger batches are no faster and hold more.
_ROWS = 2048
_GROUP_BYTES = 32 << 20
_SAMPLE = 10_000

# Which type all filled cells of a CSV column fit, tried in this order. Codes with leading zeros stay text.
_WHOLE = r"-?(0|[1-9][0-9]*)"
_CELL_TYPES = {
    "BOOLEAN": "lower({cell}) IN ('true', 'false')",
    "BIGINT": rf"regexp_full_match({{cell}}, '{_WHOLE}') AND TRY_CAST({{cell}} AS BIGINT) IS NOT NULL",
    "DOUBLE": (
        r"regexp_full_match({cell}, '-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?')"
        rf" AND TRY_CAST({{cell}} AS DOUBLE) IS NOT NULL"
        rf" AND NOT (regexp_full_match({{cell}}, '{_WHOLE}') AND length({{cell}}) > 15)"
    ),
    "DATE": r"regexp_full_match({cell}, '\d{{4}}-\d{{2}}-\d{{2}}') AND TRY_CAST({cell} AS DATE) IS NOT NULL",
    "TIMESTAMP": (
        r"regexp_full_match({cell}, '\d{{4}}-\d{{2}}-\d{{2}}[ T]\d{{2}}:\d{{2}}(:\d{{2}}(\.\d{{1,6}})?)?')"
        " AND TRY_CAST({cell} AS TIMESTAMP) IS NOT NULL"
    ),
}


class QueryTable:
    """The rows of a SELECT.

    Raises
    ------
    UsageError
        If the query is not exactly one statement that reads.
    InputError
        With DuckDB's message, if it cannot be bound or run.
    """

    def __init__(self, query: str, table: Table | None, spec: SourceSpec, spool: Path) -> None:
        self._query = query
        self._spool = spool
        self._connection = duck.connect(spool)
        _check_statement(self._connection, query)
        try:
            if table is not None:
                self._create_view(table, spec)
            _check_reads_only(self._connection, query)
            self._first: pa.RecordBatchReader | None = duck.stream(self._connection.cursor(), query, _ROWS)
        except duck.ERRORS as error:
            raise _fault(error) from error
        self.schema = plain_schema(self._first.schema)

    def verify(self) -> None:
        """Do nothing: DuckDB has bound the query."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Run the query and yield its rows; a second call runs it again."""
        try:
            reader = self._first or duck.stream(self._connection.cursor(), self._query, _ROWS)
            self._first = None
            for batch in reader:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)
        except duck.ERRORS as error:
            raise _fault(error) from error

    def _create_view(self, table: Table, spec: SourceSpec) -> None:
        if isinstance(table, ParquetTable):
            rows = f"SELECT * FROM read_parquet({duck.paths([file.path for file in table.files])})"  # noqa: S608
        elif isinstance(table, JsonLinesTable):
            rows = table.relation(_sql_names(table.schema.names))
        elif isinstance(table, DelimitedTable):
            rows = self._typed_cells(table, spec)
        else:
            raise TypeError(type(table))
        self._connection.execute(f"CREATE VIEW input AS {rows}")

    def _typed_cells(self, table: DelimitedTable, spec: SourceSpec) -> str:
        """Return SQL for the cells of CSV files: typed where every cell of a column allows it, null where empty."""
        names = table.schema.names
        # One reader for CSV: what it checked and unquoted is kept as Parquet, which SQL can scan more than once.
        copy = _spool_cells(table, self._spool)
        cells = f"read_parquet({duck.text(str(copy))})"
        as_text = set(spec.verbatim_columns)
        types = _cell_types(self._connection, cells, [name not in as_text for name in names])
        columns = ", ".join(
            f"CAST(nullif(c{index}, '') AS {types[index]}) AS {duck.name(name)}"
            for index, name in enumerate(_sql_names(names))
        )
        return f"SELECT {columns} FROM {cells}"  # noqa: S608 - names and paths are quoted


def _check_statement(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        statements = connection.extract_statements(query)
    except duck.ERRORS as error:
        raise UsageError(
            f"the query is not SQL that DuckDB reads: {duck.message(error)}",
            hint="texts and files stand in single quotes, names of columns in double quotes",
        ) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        found = "no statement" if not statements else ", ".join(statement.type.name for statement in statements)
        raise UsageError(
            f"the query must be one SELECT; found {found}",
            hint="write one statement that starts with SELECT, FROM, WITH or VALUES",
        )


def _check_reads_only(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse a SELECT that writes: WITH x AS (COPY … TO 'file') counts as a SELECT in DuckDB 2."""
    if not re.search(r"\b(copy|insert|update|delete|merge)\b", query, re.IGNORECASE):
        return
    plans = connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()
    writers = ("COPY", "BATCH_COPY", "INSERT", "BATCH_INSERT", "UPDATE", "DELETE", "MERGE")
    for _, plan in plans:
        for operator in _operators(json.loads(plan)):
            if operator.upper().startswith(writers):
                raise UsageError(f"the query writes ({operator}); it may only read", hint="leave that part out")


def _operators(plan: object) -> Iterator[str]:
    if isinstance(plan, list):
        for part in plan:
            yield from _operators(part)
    elif isinstance(plan, dict):
        yield str(plan.get("name", ""))
        yield from _operators(plan.get("children", []))


def _spool_cells(table: DelimitedTable, spool: Path) -> Path:
    schema = pa.schema([pa.field(f"c{index}", pa.string()) for index in range(len(table.schema))])
    with spooling(spool):
        path = Path(tempfile.mkdtemp(prefix="cells-", dir=spool)) / "cells.parquet"
        with parquet.ParquetWriter(path, schema, compression="snappy") as writer:
            for rows in _grouped(table.batches()):
                writer.write_table(rows.rename_columns(schema.names))
    return path


def _grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Bring batches together, so that a row group of the copy is neither tiny nor huge."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _cell_types(connection: duckdb.DuckDBPyConnection, cells: str, wanted: list[bool]) -> list[str]:
    """Return for each column the first type that all its filled cells fit, VARCHAR where it is not ``wanted``."""
    candidates = {index: list(_CELL_TYPES) if want else [] for index, want in enumerate(wanted)}
    # The first rows rule out most, so that the pass over all rows has little left to try.
    for rows in (f"(SELECT * FROM {cells} LIMIT {_SAMPLE})", cells):  # noqa: S608 - paths are quoted
        asked = [(index, kind) for index, kinds in candidates.items() for kind in kinds]
        if asked:
            tests = ", ".join(
                f"bool_and({_CELL_TYPES[kind].format(cell=f'c{index}')}) FILTER (c{index} <> '')"
                for index, kind in asked
            )
            answers = connection.execute(f"SELECT {tests} FROM {rows}").fetchone() or ()  # noqa: S608
            failed = {pair for pair, fits in zip(asked, answers, strict=True) if fits is False}
            candidates = {
                index: [kind for kind in kinds if (index, kind) not in failed] for index, kinds in candidates.items()
            }
    # A column of empty cells alone fits every type, and so tells nothing.
    return [kinds[0] if kinds and len(kinds) < len(_CELL_TYPES) else "VARCHAR" for kinds in candidates.values()]


def _sql_names(names: list[str]) -> list[str]:
    """Return ``names`` as SQL can tell them apart, one without a name called after its place."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(
                f"the columns {other} and {name} differ only in case, which SQL does not see",
                hint="rename one of them, or leave --query out",
            )
    return [name or f"column{index}" for index, name in enumerate(names)]


def _fault(error: Exception) -> InputError:
    said = duck.message(error)
    hint = ""
    if "extension" in said:
        hint = "extensions and the network stay off: download the file first and name it in quotes"
    elif isinstance(error, duckdb.CatalogException):
        hint = "a file is named in quotes, FROM 'tickets.csv'; the input given with --input is called input"
    return InputError(f"the query failed: {said}", hint=hint)
