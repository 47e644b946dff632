"""CSV and TSV files: every cell as text, exactly as written."""

from __future__ import annotations

import csv
import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from aicluster_cli.errors import InputError
from aicluster_cli.sources.files import no_rows, reading
from aicluster_cli.sources.lines import scan_lines
from aicluster_cli.sources.schemas import check_same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aicluster_cli.sources.files import Input, InputFile

DELIMITERS = {"csv": ",", "tsv": "\t"}
_BLOCK = 4 << 20
_LONGEST = (1 << 31) - (1 << 20)  # Arrow counts the bytes of a block in 32 bits


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
        self._blocks: dict[InputFile, int] = {}
        header = _header(self._files[0], self._delimiter)
        self.schema = pa.schema([pa.field(name, pa.string()) for name in header])
        for file in self._files[1:]:
            other = pa.schema([pa.field(name, pa.string()) for name in _header(file, self._delimiter)])
            check_same(self._files[0].label, self.schema, file.label, other)

    def verify(self) -> None:
        """Check encoding and quotes of every file, all the way through."""
        for file in self._files:
            facts = scan_lines(file, self._delimiter)
            longest = facts.longest if facts.sound else check_rows(file, self._delimiter)
            if longest > _LONGEST:
                raise InputError(f"{file.label} has a row of {longest:,} bytes", hint="rows may have up to 2 GB")
            self._blocks[file] = max(_BLOCK, longest + 2)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files in order; a block of text becomes a batch."""
        for file in self._files:
            try:
                yield from self._batches_of(file)
            except (pa.ArrowInvalid, UnicodeDecodeError) as error:
                check_rows(file, self._delimiter)
                raise InputError(f"{file.label} cannot be read as {file.format}: {error}") from error

    def _batches_of(self, file: InputFile) -> Iterator[pa.RecordBatch]:
        block = self._blocks.get(file, _BLOCK)
        stream: Any = file.open()
        with stream:
            try:
                reader = arrow_csv.open_csv(
                    stream,
                    # Threads read ahead, which costs memory and gains nothing where every cell stays text.
                    read_options=arrow_csv.ReadOptions(block_size=block, use_threads=False),
                    parse_options=arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                    convert_options=arrow_csv.ConvertOptions(
                        column_types={name: pa.string() for name in self.schema.names},
                        null_values=[],
                        strings_can_be_null=False,
                    ),
                )
            except pa.ArrowInvalid as error:
                if "Empty CSV file" in str(error):  # a header without a line end after it
                    return
                raise
            with reader:
                while True:
                    with reading(file):
                        batch = next(reader, None)
                    if batch is None:
                        return
                    yield batch


def check_rows(file: InputFile, delimiter: str) -> int:
    """Read ``file`` row by row, slowly, to find what is wrong where; return a bound on its longest row, in bytes.

    Raises
    ------
    InputError
        Naming the line of the first row with a stray or unclosed quote, or with more or fewer cells than the header.
    """
    longest = 0
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
                # At most four bytes a character, a doubled quote counting as two.
                longest = max(longest, sum(8 * len(cell) + 3 for cell in row))
        except csv.Error as error:
            raise _bad_quote(file, end + 1, rows.line_num, error) from error
    return longest


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
