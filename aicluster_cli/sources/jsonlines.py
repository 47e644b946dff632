"""JSON Lines: the whole file decides about its columns, and no value is lost to a guessed type.

DuckDB's own reader guesses a type for each column and loses what does not fit it: dates in disguise, digits past 64
bits, a list of numbers with a string inside. Here each line stays raw JSON until the kinds of values that really occur
in a column are known.
"""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aicluster_cli.errors import InputError
from aicluster_cli.sources import duck
from aicluster_cli.sources.files import InputFile, no_rows, plain_copy, reading
from aicluster_cli.sources.limits import MAX_BATCH_BYTES, MAX_BATCH_ROWS
from aicluster_cli.sources.lines import scan_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aicluster_cli.sources.files import Input
    from aicluster_cli.sources.spec import SourceSpec

_ARROW = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_(), "VARCHAR": pa.string()}
_USUAL_OBJECT = 16 << 20
_LARGEST_OBJECT = 1 << 30

# What a value is: b bool, i an integer that a double holds, l one that only int64 holds, d another number,
# s a string, n an object or array, h a number that only its digits hold.
_KIND = """CASE COALESCE({type}, 'NULL')
  WHEN 'NULL' THEN NULL WHEN 'BOOLEAN' THEN 'b' WHEN 'VARCHAR' THEN 's' WHEN 'ARRAY' THEN 'n' WHEN 'OBJECT' THEN 'n'
  ELSE CASE
    WHEN regexp_full_match({value}, '-?[0-9]+') THEN CASE
      WHEN TRY_CAST({value} AS BIGINT) BETWEEN -9007199254740992 AND 9007199254740992 THEN 'i'
      WHEN TRY_CAST({value} AS BIGINT) IS NOT NULL THEN 'l' ELSE 'h' END
    WHEN regexp_full_match({value}, '.*[0-9].*') AND isinf(COALESCE(TRY_CAST({value} AS DOUBLE), 'inf')) THEN 'h'
    ELSE 'd' END END"""


@dataclass(frozen=True)
class _Column:
    name: str
    type: str  # a key of _ARROW


class JsonLinesTable:
    """One or several JSON Lines files; its columns are the keys of all their lines, in order of appearance.

    A column of strings is text, of integers int64, of other numbers double, of booleans bool. A mixed or nested one is
    text: JSON for objects and arrays, the bare value for all others. Columns in ``spec.verbatim_columns``, the
    partition's excepted, are always text.

    Raises
    ------
    InputError
        On a line that is not one JSON object in UTF-8, naming it.
    """

    def __init__(self, source: Input, spec: SourceSpec, spool: Path) -> None:
        self._name = source.name
        self._files = source.files
        longest = max(scan_lines(file).longest for file in self._files)
        if longest >= _LARGEST_OBJECT:
            raise InputError(f"{source.name} has a line of {longest:,} bytes", hint="lines may have up to 1 GB")
        copies = [plain_copy(file, spool) for file in self._files]
        self._connection = duck.connect(spool)
        self._lines = (
            f"read_json_objects({duck.paths([copy.path for copy in copies])}, format = 'newline_delimited', "
            f"compression = 'uncompressed', maximum_object_size = {max(_USUAL_OBJECT, 2 * longest)})"
        )
        self._rows = max(1, min(MAX_BATCH_ROWS, MAX_BATCH_BYTES // max(1, longest)))
        as_text = {spec.id_column, spec.text_column, spec.embedding_column}
        try:
            names = self._names()
            self._columns = self._typed(names, {name for name in names if name in as_text})
        except duck.ERRORS as error:
            raise self._fault(error) from error
        if not self._columns:
            raise InputError(f"{source.name} has no columns: its objects are empty", hint='a row is {"key": value, …}')
        self.schema = pa.schema([pa.field(column.name, _ARROW[column.type]) for column in self._columns])

    def verify(self) -> None:
        """Do nothing: every line has been parsed to find the columns."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files in order."""
        try:
            for batch in duck.read(self._connection.cursor(), self._select(), self._rows):
                yield pa.RecordBatch.from_arrays(
                    [_as(column, field.type) for column, field in zip(batch.columns, self.schema, strict=True)],
                    schema=self.schema,
                )
        except duck.ERRORS as error:
            raise self._fault(error) from error

    def relation(self, names: list[str]) -> str:
        """Return SQL for the rows, its columns called ``names``."""
        inner = ", ".join(duck.name(f"c{index}") for index in range(len(names)))
        outer = ", ".join(f"c{index} AS {duck.name(name)}" for index, name in enumerate(names))
        return f"SELECT {outer} FROM (SELECT {inner} FROM ({self._select()}))"  # noqa: S608 - names are quoted

    def _names(self) -> list[str]:
        """Return the keys of all lines, by first line and then place in it."""
        found = self._connection.execute(
            f"""SELECT key, min(line * 1048576 + place) AS first FROM (
                  SELECT unnest(keys) AS key, generate_subscripts(keys, 1) AS place, line FROM (
                    SELECT json_keys(json) AS keys, row_number() OVER () AS line FROM {self._lines}))
                GROUP BY key ORDER BY first"""  # noqa: S608 - paths are quoted
        ).fetchall()
        return [name for name, _ in found]

    def _typed(self, names: list[str], as_text: set[str]) -> list[_Column]:
        """Look at every value of the columns in ``names`` but not in ``as_text``, and at the form of every line."""
        open_names = [name for name in names if name not in as_text]
        pointers = _pointers(open_names)
        kinds = ", ".join(
            f"list(DISTINCT {_KIND.format(type=f'types[{place}]', value=f'vals[{place}]')})"
            for place in range(1, len(open_names) + 1)
        )
        lists = f", json_type(json, {pointers}) AS types, json_extract_string(json, {pointers}) AS vals"
        rows, sound, *found = self._connection.execute(
            f"""SELECT count(*), bool_and(json_type(json) = 'OBJECT' AND len(keys) = len(list_distinct(keys)))
                  {", " + kinds if kinds else ""}
                FROM (SELECT json, json_keys(json) AS keys {lists if kinds else ""} FROM {self._lines})"""  # noqa: S608
        ).fetchone() or (0, True)
        if rows == 0:
            raise no_rows(self._name, "it holds only blank lines")
        if not sound:
            raise self._fault(ValueError("a line is not one JSON object with each key once"))
        types = {name: _type_of(set(kinds or ())) for name, kinds in zip(open_names, found, strict=True)}
        return [_Column(name, types.get(name, "VARCHAR")) for name in names]

    def _select(self) -> str:
        values = ", ".join(
            f"CAST(vals[{place}] AS {column.type}) AS c{place - 1}" for place, column in enumerate(self._columns, 1)
        )
        pointers = _pointers([column.name for column in self._columns])
        return f"SELECT {values} FROM (SELECT json_extract_string(json, {pointers}) AS vals FROM {self._lines})"  # noqa: S608

    def _fault(self, error: Exception) -> InputError:
        for file in self._files:
            _check_lines(file)
        return InputError(f"{self._files[0].label} cannot be read as JSON Lines: {duck.message(error)}")


class _Pairs(list[tuple[str, object]]):
    """An object as it stands in the file, keys repeated included."""


def _check_lines(file: InputFile) -> None:
    """Parse ``file`` line by line, slowly, and raise InputError naming the first bad line."""
    stream: Any = file.open()
    with stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n") as text, reading(file):
        for number, line in enumerate(text, 1):
            if line.strip(" \t\r\n"):
                _check_line(file, number, line.rstrip("\r\n"))


def _check_line(file: InputFile, number: int, line: str) -> None:
    where = f"{file.label}, line {number}"
    try:
        # Numbers stay text: Python refuses integers of thousands of digits.
        value = json.loads(line, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except RecursionError:
        return
    except json.JSONDecodeError as error:
        said = f"{error.msg} (column {error.colno})"
        raise InputError(f"{where}: not JSON: {said}", hint=_one_object_a_line(file, number, line)) from error
    if not isinstance(value, _Pairs):
        raise InputError(f"{where}: not a JSON object", hint=_one_object_a_line(file, number, line))
    keys = [key for key, _ in value]
    if len(keys) != len(set(keys)):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"{where}: the key {twice!r} stands there twice", hint="keep one of them")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise InputError(
            f"{where}: {half} is half of a character (an unpaired surrogate), which no text can hold",
            hint=f"replace it, for example by \\ufffd: {_sed(file)}",
        ) from error


def _one_object_a_line(file: InputFile, number: int, line: str) -> str:
    source = shlex.quote(file.label)
    if line.lstrip().startswith("["):
        return f"turn the array into lines: jq -c '.[]' {source} > rows.jsonl"
    if number == 1 and line.strip() == "{":
        return f"put each object on one line: jq -c . {source} > rows.jsonl"
    return "each line is one JSON object; mend or remove that line"


def _sed(file: InputFile) -> str:
    return rf"sed -E 's/\\u[dD][89a-fA-F][0-9a-fA-F]{{2}}/\\ufffd/g' {shlex.quote(file.label)}"


def _pointers(names: list[str]) -> str:
    escaped = ("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    return "[" + ", ".join(duck.text(pointer) for pointer in escaped) + "]"


def _type_of(kinds: set[str | None]) -> str:
    kinds = kinds - {None}
    if not kinds:
        return "VARCHAR"
    if kinds <= {"i", "l"}:
        return "BIGINT"
    if kinds <= {"i", "d"}:
        return "DOUBLE"
    return "BOOLEAN" if kinds == {"b"} else "VARCHAR"


def _as(column: Any, kind: pa.DataType) -> Any:
    return column if column.type == kind else column.cast(kind)
