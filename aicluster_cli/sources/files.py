"""From what the user names (a path, a glob, standard input) to files on this machine."""

from __future__ import annotations

import difflib
import errno
import glob
import os
import re
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from aicluster_cli.errors import InputError, OutputError, UsageError
from aicluster_cli.sources.spec import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aicluster_cli.sources.spec import SourceSpec

CHUNK = 4 << 20
STDIN = "standard input"

_EXTENSIONS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class InputFile:
    """One file to read.

    ``label`` is its name for people, ``path`` what to read (the file, or its copy in the spool), ``compression`` what
    ``path`` is still compressed with, ``original`` the file whose bytes identify the content; ``streamed`` says that
    those came through standard input or another pipe and are in the spool only.
    """

    label: str
    path: Path
    format: str
    compression: str | None
    original: Path
    streamed: bool = False

    def open(self) -> pa.NativeFile:
        """Open the decompressed bytes for one pass. Faults while reading want ``reading``."""
        with reading(self):
            compression: Any = self.compression
            return pa.input_stream(str(self.path), compression=compression)


@dataclass(frozen=True)
class Input:
    """Every file of an input, in reading order, and the input's name for people."""

    name: str
    files: tuple[InputFile, ...]

    @property
    def format(self) -> str:
        """The format all files share."""
        return self.files[0].format

    @property
    def paths(self) -> tuple[str, ...]:
        """Absolute paths of the files read; none for a pipe."""
        return tuple(str(file.original) for file in self.files if not file.streamed)


def resolve(spec: SourceSpec, *, stdin: BinaryIO, spool: Path) -> Input:
    """Return the files that ``spec.input`` names.

    Raises
    ------
    UsageError
        If standard input is asked for and is a terminal.
    InputError
        On a missing, empty or unreadable file, a directory, a glob without a match, an unknown or mixed format.
    """
    named = spec.input or ""
    if named == "-":
        return Input(STDIN, (_from_stream(stdin, STDIN, spec.input_format, spool),))
    paths = _find(named)
    files = tuple(_from_path(path, spec.input_format, spool) for path in paths)
    formats = {file.format: file for file in files}
    if len(formats) > 1:
        first, second = list(formats.values())[:2]
        raise InputError(
            f"{named} mixes formats: {first.label} is {first.format}, {second.label} is {second.format}",
            hint="name one format's files, such as 'data/*.csv'",
        )
    return Input(named if len(files) == 1 else f"{len(files)} files of {named}", files)


def no_rows(name: str, why: str = "") -> InputError:
    """Return the error for an input without a single row."""
    return InputError(f"{name} has no rows" + (f": {why}" if why else ""), hint="name an input with at least one row")


@contextmanager
def reading(file: InputFile) -> Iterator[None]:
    """Turn the faults of reading ``file`` into InputError: permissions, broken compression, a vanished file."""
    try:
        yield
    except PermissionError as error:
        raise InputError(
            f"{file.label} cannot be read: permission denied", hint=f"allow it with: chmod u+r {file.label}"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"{file.label} was removed while it was read", hint="run the command again") from error
    except OSError as error:
        if file.compression and error.errno is None:
            raise InputError(
                f"{file.label} is not whole: {error} ({file.compression})",
                hint=f"check it with: {_tester(file.compression)} {file.label}; then fetch or write the file again",
            ) from error
        raise InputError(f"{file.label} cannot be read: {error.strerror or error}") from error


@contextmanager
def spooling(spool: Path) -> Iterator[None]:
    """Turn the faults of writing into ``spool`` into OutputError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise OutputError(
            f"cannot write temporary data to {spool}: {error.strerror or error}",
            hint=f"{'free some space there, or ' if full else ''}name another folder with TMPDIR=/path",
        ) from error


def plain_copy(file: InputFile, spool: Path) -> InputFile:
    """Return ``file`` decompressed and without a byte order mark, as a copy in the spool where that changes it."""
    with reading(file), file.open() as stream:
        marked = stream.read(len(_BOM)) == _BOM
    if file.compression is None and not marked:
        return file
    with file.open() as stream:
        if marked:
            stream.read(len(_BOM))
        path = _copy(_chunks(stream, file), spool)
    return replace(file, path=path, compression=None)


def _find(named: str) -> list[Path]:
    if re.match(r"[a-z][a-z0-9+.-]+://", named, re.IGNORECASE):
        raise InputError(f"{named} is an address, not a file", hint="download it first and name the local file")
    path = Path(named)
    if not os.path.exists(named) and named.startswith("~"):  # noqa: PTH110 - Path.exists raises on a NUL byte
        path = path.expanduser()
        named = str(path)
    if os.path.exists(named):  # noqa: PTH110
        if path.is_dir():
            raise InputError(f"{named} is a folder", hint=f"name its files with a glob: '{named.rstrip('/')}/*.csv'")
        return [path]
    if not any(sign in named for sign in "*?["):
        raise _missing(named)
    matches = {Path(os.path.abspath(match)): Path(match) for match in glob.glob(named, recursive=True)}  # noqa: PTH100, PTH207
    files = sorted(match for match in matches.values() if not match.is_dir())
    if not files:
        raise InputError(
            f"no file matches {named}", hint="check the pattern, and quote it so the shell leaves it alone"
        )
    return files


def _missing(named: str) -> InputError:
    path = Path(named)
    try:
        siblings = os.listdir(path.parent)  # noqa: PTH208 - names alone are wanted
    except (OSError, ValueError):
        siblings = []
    close = difflib.get_close_matches(path.name, siblings, n=3)
    hint = "did you mean " + " or ".join(str(path.parent / name) for name in close) + "?"
    return InputError(f"{named} does not exist", hint=hint if close else "check the path")


def _from_path(path: Path, input_format: str | None, spool: Path) -> InputFile:
    label = str(path)
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - a symlink keeps its own name
    file = InputFile(label, absolute, input_format or "", None, absolute)
    with reading(file):
        regular = stat.S_ISREG(absolute.stat().st_mode)
    if not regular:
        # A pipe such as <(zcat …) can be read only once, so it is kept like standard input.
        with reading(file), absolute.open("rb") as stream:
            return _from_stream(stream, label, input_format or _format_by_name(path), spool)
    found = input_format or _format_by_name(path)
    if found is None:
        raise InputError(
            f"the format of {label} cannot be told from its name",
            hint=f"say it with --input-format {'|'.join(FORMATS)}",
        )
    with reading(file), absolute.open("rb") as stream:
        compression = _compression(stream.read(4))
    expected = _COMPRESSIONS.get(path.suffix.lower())
    if absolute.stat().st_size == 0:
        raise no_rows(label, "the file is empty")
    if expected and expected != compression:
        raise InputError(
            f"{label} is not {expected} data, though its name says so",
            hint=f"rename it without {path.suffix} if it is not compressed, else fetch it again",
        )
    return replace(file, format=found, compression=compression)


def _from_stream(stream: BinaryIO, label: str, input_format: str | None, spool: Path) -> InputFile:
    if stream.isatty():
        raise UsageError(
            "standard input is a terminal: there is nothing to read",
            hint="pipe data in, as in: cat tickets.csv | aicluster run kmeans --input - …",
        )
    path = _copy(_received(stream, label), spool)
    if path.stat().st_size == 0:
        raise no_rows(label, "nothing came through")
    with path.open("rb") as copy:
        compression = _compression(copy.read(4))
    file = InputFile(label, path, input_format or "", compression, path, streamed=True)
    if input_format:
        return file
    with reading(file), file.open() as copy:
        return replace(file, format=_sniff(copy.read(4096)))


def _format_by_name(path: Path) -> str | None:
    bare = path.with_suffix("") if path.suffix.lower() in _COMPRESSIONS else path
    return _EXTENSIONS.get(bare.suffix.lower())


def _sniff(head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if head.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[") else "csv"


def _compression(head: bytes) -> str | None:
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def _tester(compression: str) -> str:
    return "gzip -t" if compression == "gzip" else "zstd -t"


def _chunks(stream: pa.NativeFile, file: InputFile) -> Iterator[bytes]:
    while True:
        with reading(file):
            chunk = stream.read(CHUNK)
        if not chunk:
            return
        yield chunk


def _received(stream: BinaryIO, label: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = stream.read(CHUNK)
        except OSError as error:
            raise InputError(f"{label} cannot be read: {error.strerror or error}") from error
        if not chunk:
            return
        yield chunk


def _copy(chunks: Iterator[bytes], spool: Path) -> Path:
    with spooling(spool):
        handle, name = tempfile.mkstemp(prefix="input-", dir=spool)
        with os.fdopen(handle, "wb") as target:
            for chunk in chunks:
                target.write(chunk)
    return Path(name)
