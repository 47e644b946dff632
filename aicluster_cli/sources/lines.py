"""One quick pass over a text file before it is parsed: is it UTF-8, are its quotes sound, how long is a line.

Parsers answer these questions late, vaguely or not at all: a quote that is never closed makes them swallow the rest of
the file as one cell, and the rows with it.
"""

from __future__ import annotations

import codecs
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aicluster_cli.errors import InputError
from aicluster_cli.sources.files import CHUNK, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from aicluster_cli.sources.files import InputFile

_QUOTE, _NEWLINE, _RETURN = ord('"'), ord("\n"), ord("\r")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class LineFacts:
    """What the lines of a file are like.

    ``longest`` is the longest record, in bytes; ``sound`` is False where a quote stands at a place no CSV writer puts
    one, and where there is a NUL byte, near which Arrow's parser overlooks delimiters (seen in 19 to 25).
    """

    longest: int
    sound: bool


def scan_lines(file: InputFile, delimiter: str | None = None) -> LineFacts:
    """Read ``file`` through once and return what its lines are like.

    Parameters
    ----------
    delimiter
        The field delimiter of a file with quoted cells, whose newlines do not end a record. None: every newline does.

    Raises
    ------
    InputError
        If the file is not UTF-8, naming the line, or cannot be read or decompressed.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    records = _Records(delimiter)
    newlines = 0
    for number, chunk in enumerate(_chunks(file)):
        if number == 0 and _is_utf16(chunk):
            raise _not_utf8(file, "UTF-16", 1)
        _check_utf8(file, decoder, chunk, newlines)
        records.feed(chunk.removeprefix(codecs.BOM_UTF8) if number == 0 else chunk)
        newlines += chunk.count(b"\n")
    _check_utf8(file, decoder, b"", newlines, final=True)
    return records.facts()


def record_blocks(file: InputFile, delimiter: str) -> Iterator[bytes]:
    """Yield the bytes of ``file``, whose quotes are sound, in blocks that end where a record ends."""
    records = _Records(delimiter)
    held: list[bytes] = []
    for number, chunk in enumerate(_chunks(file)):
        data = chunk.removeprefix(codecs.BOM_UTF8) if number == 0 else chunk
        end = records.feed(data)
        if end:
            yield b"".join([*held, data[:end]])
            held = []
        held.append(data[end:])
    yield b"".join(held)


def _chunks(file: InputFile) -> Iterator[bytes]:
    with file.open() as stream:
        while chunk := _read(file, stream, CHUNK):
            # A chunk never ends on a quote, so that the byte after each quote is at hand.
            while chunk.endswith(b'"') and (more := _read(file, stream, len(chunk))):
                chunk += more
            yield chunk


def _read(file: InputFile, stream: pa.NativeFile, size: int) -> bytes:
    with reading(file):
        return bytes(stream.read(size))


def _is_utf16(head: bytes) -> bool:
    return head.startswith(_UTF16_MARKS) or head[:2].count(0) == 1


def _check_utf8(
    file: InputFile, decoder: codecs.IncrementalDecoder, chunk: bytes, newlines: int, *, final: bool = False
) -> None:
    if chunk.isascii() and not final and not decoder.getstate()[0]:
        return
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        line = newlines + error.object[: error.start].count(b"\n") + 1
        around = error.object[max(0, error.start - 1000) : error.start + 1000]
        raise _not_utf8(file, _likely_encoding(around), line) from error


def _likely_encoding(around: bytes) -> str:
    try:
        around.decode("cp1252")
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return "WINDOWS-1252"


def _not_utf8(file: InputFile, encoding: str, line: int) -> InputError:
    convert = f"iconv -f {encoding} -t UTF-8"
    if file.streamed:
        hint = f"convert it on the way, if it is {encoding}: … | {convert} | aicluster …"
    else:
        path = Path(file.label)
        bare = path.with_suffix("") if file.compression else path
        target = shlex.quote(str(bare.with_name(f"{bare.stem}.utf8{bare.suffix}")))
        source = shlex.quote(file.label)
        unpack = {None: "", "gzip": f"gzip -dc {source} | ", "zstd": f"zstd -dc {source} | "}[file.compression]
        hint = f"convert it, if it is {encoding}: {unpack}{convert}{'' if unpack else ' ' + source} > {target}"
    return InputError(f"{file.label} is not UTF-8 text: line {line} holds other bytes", hint=hint)


class _Records:
    """Follows quotes and line ends through the chunks of a file.

    In sound CSV quotes alternate: one that opens stands at the start of a cell, one that closes at its end, and a
    doubled quote inside a cell is a close and an open side by side.
    """

    def __init__(self, delimiter: str | None) -> None:
        self._delimiter = None if delimiter is None else ord(delimiter)
        self._quotes = 0
        self._offset = 0
        self._record_start = 0
        self._previous = _NEWLINE
        self._longest = 0
        self._sound = True

    def feed(self, chunk: bytes) -> int:
        """Take the next chunk and return where in it the last record ends that ends there, 0 if none does."""
        if not chunk:
            return 0
        data = np.frombuffer(chunk, dtype=np.uint8)
        ends = np.flatnonzero((data == _NEWLINE) | (data == _RETURN))
        if self._delimiter is not None:
            quotes = np.flatnonzero(data == _QUOTE)
            self._sound = self._sound and b"\0" not in chunk and self._are_sound(data, quotes)
            ends = ends[(np.searchsorted(quotes, ends) + self._quotes) % 2 == 0]
            self._quotes += len(quotes)
        if len(ends):
            starts = np.concatenate(([self._record_start - self._offset], ends[:-1] + 1))
            self._longest = max(self._longest, int((ends - starts).max()))
            self._record_start = self._offset + int(ends[-1]) + 1
        self._offset += len(data)
        self._previous = int(data[-1])
        return int(ends[-1]) + 1 if len(ends) else 0

    def facts(self) -> LineFacts:
        longest = max(self._longest, self._offset - self._record_start)
        return LineFacts(longest, self._sound and self._quotes % 2 == 0)

    def _are_sound(self, data: NDArray[np.uint8], quotes: NDArray[np.intp]) -> bool:
        borders = np.array([self._delimiter, _NEWLINE, _RETURN, _QUOTE], dtype=np.uint8)
        opening = (np.arange(len(quotes)) + self._quotes) % 2 == 0
        opens, closes = quotes[opening], quotes[~opening]
        before = np.where(opens > 0, data[opens - 1], self._previous)
        after = data[np.minimum(closes + 1, len(data) - 1)]
        return bool(np.isin(before, borders).all() and np.isin(after, borders).all())
