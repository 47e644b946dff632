"""CSV and TSV files: every cell as text, exactly as written."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from aicluster_cli.errors import InputError
from aicluster_cli.sources.files import no_rows, reading
from aicluster_cli.sources.limits import MAX_BATCH_ROWS
from aicluster_cli.sources.lines import record_blocks, scan_lines
from aicluster_cli.sources.schemas import check_same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aicluster_cli.sources.files import Input, InputFile

DELIMITERS = {"csv": ",", "tsv": "\t"}
_LONGEST = 1 << 30  # Arrow counts the bytes of a block in 32 bits, with a sign
_BLOCK_BYTES = 4 << 20


class DelimitedTable:
    """One or several CSV or TSV files with the same header.

    Raises
    ------
    InputError
        If a header cannot be read or differs from the first file's.
    """

    def __init__(self, source: Input) -> None:
        self._files = source.files
        self._delimiter = DELIMITERS[source.format]
        self._sound: dict[InputFile, bool] = {}
        header = _header(self._files[0], self._delimiter)
        self.schema = pa.schema([pa.field(name, pa.string()) for name in header])
        for file in self._files[1:]:
            other = pa.schema([pa.field(name, pa.string()) for name in _header(file, self._delimiter)])
            check_same(self._files[0].label, self.schema, file.label, other)

    def verify(self) -> None:
        """Check encoding and quotes of every file, all the way through."""
        for file in self._files:
            facts = scan_lines(file, self._delimiter)
            self._sound[file] = facts.sound
            if not facts.sound:
                check_rows(file, self._delimiter)
            elif facts.longest > _LONGEST:
                raise InputError(f"{file.label} has a row of {facts.longest:,} bytes", hint="rows may have up to 1 GB")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files in order; a block of text becomes a batch."""
        for file in self._files:
            yield from self._parsed(file) if self._sound.get(file) else self._stepped(file)

    def _parsed(self, file: InputFile) -> Iterator[pa.RecordBatch]:
        # Arrow drops the \n of a quoted \r\n that lies across two of its blocks (seen in 19 to 26), so it gets blocks
        # of whole records, one at a time.
        blocks = (block for block in record_blocks(file, self._delimiter) if block.strip(b"\r\n"))
        for number, block in enumerate(blocks):
            try:
                table = self._parse(block, with_header=number == 0)
            except pa.ArrowInvalid as error:
                check_rows(file, self._delimiter)
                raise InputError(f"{file.label} cannot be read as {file.format}: {error}") from error
            yield from table.to_batches()

    def _parse(self, block: bytes, *, with_header: bool) -> pa.Table:
        # The mark is for Arrow to drop, which else would drop one that belongs to the first cell.
        data = b"".join([codecs.BOM_UTF8, block, b"\n"])
        names = self.schema.names
        stream: Any = pa.BufferReader(data)
        return arrow_csv.read_csv(
            stream,
            read_options=arrow_csv.ReadOptions(
                block_size=len(data) + 1, use_threads=False, column_names=None if with_header else names
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, null_values=[], strings_can_be_null=False
            ),
        )

    def _stepped(self, file: InputFile) -> Iterator[pa.RecordBatch]:
        """Read with Python's parser what Arrow's could get wrong; ``verify`` has been through it."""
        held: list[list[str]] = []
        size = 0
        with _rows(file, self._delimiter) as rows:
            filled = (row for row in rows if row)
            next(filled, None)
            for row in filled:
                held.append(row)
                size += sum(map(len, row))
                if len(held) == MAX_BATCH_ROWS or size > _BLOCK_BYTES:
                    yield self._batch(held)
                    held, size = [], 0
        if held:
            yield self._batch(held)

    def _batch(self, rows: list[list[str]]) -> pa.RecordBatch:
        columns = [pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def check_rows(file: InputFile, delimiter: str) -> None:
    """Read ``file`` row by row, slowly, to find what is wrong where.

    Raises
    ------
    InputError
        Naming the line of the first row with a stray or unclosed quote, or with more or fewer cells than the header.
    """
    width = None
    with _rows(file, delimiter) as rows:
        end = 0
        try:
            for row in rows:
                if row and width is None:
                    width = len(row)
                if row and len(row) != width:
                    raise _ragged(file, end + 1, len(row), width or 0)
                end = rows.line_num
        except csv.Error as error:
            raise _bad_quote(file, end + 1, rows.line_num, error) from error


def _header(file: InputFile, delimiter: str) -> list[str]:
    with _rows(file, delimiter) as rows:
        try:
            header = next((row for row in rows if row), None)
        except UnicodeDecodeError:
            scan_lines(file, delimiter)
            raise
        except csv.Error as error:
            raise _bad_quote(file, 1, rows.line_num, error) from error
    if header is None:
        raise no_rows(file.label, "it holds only blank lines")
    if any("\0" in name for name in header):
        scan_lines(file, delimiter)
        raise InputError(
            f"the header of {file.label} holds NUL bytes", hint="is it text at all? look with: head -c 200"
        )
    return list(header)


@contextmanager
def _rows(file: InputFile, delimiter: str) -> Iterator[Any]:
    limit = csv.field_size_limit(sys.maxsize)
    try:
        stream: Any = file.open()
        with stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text, reading(file):
            yield csv.reader(text, delimiter=delimiter, strict=True)
    finally:
        csv.field_size_limit(limit)


def _ragged(file: InputFile, line: int, cells: int, width: int) -> InputError:
    cure = "put cells that hold the delimiter in double quotes" if cells > width else "add the missing cells, if empty"
    return InputError(
        f"{file.label}, line {line}: {_count(cells)}, but the header has {width}",
        hint=f"{cure}; if another character separates the cells, convert the file to CSV or TSV first",
    )


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _bad_quote(file: InputFile, start: int, line: int, error: csv.Error) -> InputError:
    if "unexpected end" in str(error):
        return InputError(
            f"{file.label}: a double quote opened in the row at line {start} is never closed",
            hint='close it, or if it belongs to the text write the cell as "…""…"',
        )
    where = f"line {line}" if line == start else f"lines {start} to {line}"
    return InputError(
        f"{file.label}, {where}: text follows a cell's closing double quote",
        hint='double the quotes that belong to the text: "5"" pipe"; backslashes do not escape in CSV',
    )
