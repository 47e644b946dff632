"""Standard output and terminals as byte streams: failures remembered, control characters neutralised."""

from __future__ import annotations

import codecs
import io
import os
from typing import TYPE_CHECKING, Any, BinaryIO

from aicluster_cli.cli.render import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sink(io.RawIOBase):
    """Standard output that remembers why it failed, and swallows what comes after: one failure is told once."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return self._out.isatty()

    def fileno(self) -> int:
        """Return the descriptor underneath."""
        return self._out.fileno()

    def write(self, data: Any) -> int:
        """Write bytes.

        Raises
        ------
        OSError
            The first time it fails; later calls do nothing.
        """
        size = memoryview(data).nbytes
        if self.failure is not None:
            return size
        try:
            written = self._out.write(data)
            self._out.flush()
        except OSError as error:
            self.failure = error
            raise
        return size if written is None else written


class NeutralText(io.TextIOWrapper):
    """Text for a terminal, with everything a terminal would obey shown as an escape."""

    def write(self, text: str) -> int:
        """Write text."""
        return super().write(printable(text))


class Neutral(io.RawIOBase):
    """Bytes for a terminal, made neutral in the same way."""

    def __init__(self, data: BinaryIO, encoding: str) -> None:
        self._data = data
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes, taken for UTF-8."""
        text = printable(self._decoder.decode(bytes(data)))
        self._data.write(text.encode(self._encoding, "backslashreplace"))
        self._data.flush()
        return len(data)


class Unclosed(io.BufferedWriter):
    """A buffer over standard output that others may close (as CSV and text wrappers do) without closing the output."""

    def close(self) -> None:
        """Flush."""
        self.flush()


def terminal_width(stream: Any, env: Mapping[str, str]) -> int:
    """Return the columns of the terminal behind ``stream``: ``COLUMNS`` if set, 80 if there is no telling."""
    columns = env.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def open_missing_descriptors() -> None:
    """Occupy descriptors 0 to 2 that the parent has closed, before a file of ours gets one of their numbers.

    Standard output is replaced by something that cannot be written: data must not vanish silently.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)
