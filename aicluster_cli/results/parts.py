"""Reading the parts of a finished run: only its own folder, only when it is complete, and never a broken file."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aicluster_cli.clustering.schema import OUTPUT_COLUMNS, OUTPUT_NAMES, ColumnType
from aicluster_cli.errors import RunError
from aicluster_cli.results.partitions import group_rows, partition_column_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from aicluster_cli.stored import RunFiles, StoredFile

SUCCESS = "_SUCCESS"


def read_parts(files: RunFiles, job: str, *, expected_rows: int | None, partition_column: str | None) -> pa.Table:
    """Return the output rows of a finished run.

    Parameters
    ----------
    files
        The files of the run.
    job
        The job whose folder ``output/<job>/`` is read; no other folder ever is.
    expected_rows
        How many rows were sent; None if unknown.
    partition_column
        The column the rows were clustered by, if any.

    Returns
    -------
    pyarrow.Table
        The columns of ``clustering.schema.OUTPUT_COLUMNS`` in that order and then the partition column with its own
        type; rows in the order of the parts' names.

    Raises
    ------
    RunError
        If the run is not finished, has no parts, a part is empty or broken or has other columns, rows are lost or
        doubled, or a partition was clustered in pieces.
    """
    import pyarrow as pa

    parts = [_read_part(files, part, partition_column) for part in _list_parts(files, job)]
    schema = _common_schema(parts, partition_column)
    table = pa.concat_tables([part.table.cast(schema) for part in parts])
    _check_rows(table.num_rows, expected_rows, job)
    _check_blocks(table, partition_column, job)
    return table


def split_details(table: pa.Table) -> tuple[pa.Table, list[tuple[Any, dict[str, Any]]]]:
    """Return ``table`` without DETAILS, and what DETAILS says of each partition.

    Returns
    -------
    tuple
        The other columns; and one pair for each row with DETAILS, in row order: the value of the partition column
        (None without one) and the parsed JSON object. NaN and Infinity in it become None.

    Raises
    ------
    RunError
        If a DETAILS is not a JSON object.
    """
    import pyarrow.compute as pc

    partition_column = partition_column_of(table)
    said = table.filter(pc.is_valid(table.column("DETAILS")))
    details = []
    for row in range(said.num_rows):
        value = said.column(partition_column)[row].as_py() if partition_column else None
        details.append((value, _parse_details(said.column("DETAILS")[row].as_py(), value)))
    return table.drop_columns(["DETAILS"]), details


@dataclass(frozen=True)
class _Part:
    name: str
    table: pa.Table


def _list_parts(files: RunFiles, job: str) -> list[StoredFile]:
    folder = f"output/{job}/"
    own = {file.name.removeprefix(folder): file for file in files.list() if file.name.startswith(folder)}
    if SUCCESS not in own:
        raise RunError(
            f"run {job} has not finished, or has failed: there is no {folder}{SUCCESS}",
            hint=f"aicluster status {job}, then aicluster logs {job}",
        )
    parts = [own[name] for name in sorted(own) if _is_part(name)]
    if not parts:
        raise RunError(
            f"run {job} has finished but there are no Parquet files in {folder}", hint=f"aicluster logs {job}"
        )
    return parts


def _is_part(name: str) -> bool:
    return name.endswith(".parquet") and "/" not in name and not name.startswith(".")


def _read_part(files: RunFiles, file: StoredFile, partition_column: str | None) -> _Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.size == 0:
        raise _broken(file.name, "it is 0 bytes long")
    try:
        with files.open(file.name) as handle:
            parquet = pq.ParquetFile(handle, page_checksum_verification=True)
            _check_names(file.name, parquet.schema_arrow.names, partition_column)
            table = parquet.read()
    except (pa.ArrowException, OSError) as error:
        raise _broken(file.name, str(error).rstrip(".") or type(error).__name__) from error
    columns = [_typed(file.name, column.name, column.type, table.column(column.name)) for column in OUTPUT_COLUMNS]
    names = list(OUTPUT_NAMES)
    if partition_column is not None:
        columns.append(table.column(partition_column))
        names.append(partition_column)
    return _Part(file.name, pa.table(columns, names=names))


def _broken(name: str, why: str) -> RunError:
    return RunError(
        f"the part {name} cannot be read: {why}",
        hint="fetch the run again if its parts were copied, otherwise run it again under another --run-id",
    )


def _check_names(part: str, names: Sequence[str], partition_column: str | None) -> None:
    expected = [*OUTPUT_NAMES, *([partition_column] if partition_column is not None else [])]
    found = Counter(names)
    for columns, problem in (
        ([name for name in expected if name not in found], "lacks"),
        ([name for name in found if name not in expected], "has unknown columns:"),
        ([name for name, count in found.items() if count > 1], "has more than once"),
    ):
        if columns:
            raise RunError(
                f"the part {part} {problem} {', '.join(columns)}",
                hint=f"its columns must be {', '.join(expected)}: no other files may be put into the run's folder",
            )


def _typed(part: str, name: str, kind: ColumnType, column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    import pyarrow as pa

    wanted = {"text": pa.string(), "int64": pa.int64(), "double": pa.float64()}[kind]
    if not _is_safe(column.type, kind):
        raise RunError(
            f"in the part {part}, {name} is {column.type} and must be {wanted}",
            hint="register the model again with this version of aicluster, then run it again",
        )
    try:
        return column.cast(wanted)
    except pa.ArrowException as error:
        raise _broken(part, f"{name} does not fit {wanted}: {error}") from error


def _is_safe(found: pa.DataType, kind: ColumnType) -> bool:
    """Say whether every value of the type ``found`` means the same as ``kind``, out-of-range integers apart."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(found, pa.DictionaryType):
        found = found.value_type
    if types.is_null(found):
        return True
    if kind == "text":
        return types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    if kind == "double":
        return bool(types.is_floating(found))
    # Snowflake's own numbers without decimals are decimal(n, 0) in Parquet.
    return bool(types.is_integer(found) or (types.is_decimal(found) and found.scale == 0))


def _common_schema(parts: Sequence[_Part], partition_column: str | None) -> pa.Schema:
    """Return the schema that all parts fit; only the partition column's type can differ between them."""
    import pyarrow as pa

    schema = parts[0].table.schema
    for part in parts[1:]:
        try:
            schema = pa.unify_schemas([schema, part.table.schema], promote_options="permissive")
        except pa.ArrowException as error:
            column = str(partition_column)
            found, before = part.table.schema.field(column).type, schema.field(column).type
            raise RunError(
                f"in the part {part.name}, {column} is {found}, and {before} in the parts before it",
                hint="run it again under another --run-id",
            ) from error
    return schema


def _check_rows(rows: int, expected_rows: int | None, job: str) -> None:
    if expected_rows is None or rows == expected_rows:
        return
    why = "rows are lost" if rows < expected_rows else "a part is there twice"
    raise RunError(
        f"run {job} was given {expected_rows} rows and its parts hold {rows}: {why}",
        hint="compare the parts listed by `aicluster fetch --list`, or run it again under another --run-id",
    )


def _check_blocks(table: pa.Table, partition_column: str | None, job: str) -> None:
    """Refuse rows that were clustered a block at a time: labels of different blocks have nothing in common."""
    import numpy as np

    groups = group_rows(table, partition_column)
    sizes = np.bincount(groups.codes, minlength=len(groups.values))[groups.codes]
    blocks: Any = table.column("BLOCK_ROWS")
    wrong = np.flatnonzero(blocks.fill_null(-1).to_numpy() != sizes)
    if not len(wrong):
        return
    first = int(wrong[0])
    where = "" if partition_column is None else f" of {partition_column} = {groups.value(int(groups.codes[first]))!r}"
    block = blocks[first].as_py()
    saw = "no row count at all" if block is None else f"a call that saw {block}"
    raise RunError(
        f"run {job} was clustered in pieces: of the {sizes[first]} rows{where}, some come from {saw}",
        hint="the labels mean nothing: register the model again and run it under another --run-id",
    )


def _parse_details(text: str, value: Any) -> dict[str, Any]:
    try:
        parsed = json.loads(text, parse_constant=lambda _: None)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        where = "" if value is None else f" of the partition {value!r}"
        raise RunError(
            f"the DETAILS{where} are not a JSON object: {text[:80]}",
            hint="register the model again with this version of aicluster, then run it again",
        )
    return parsed
