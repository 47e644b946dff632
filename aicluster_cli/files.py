"""Files are written whole or not at all: a hidden temporary file in the same folder, fsync, then one rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import secrets
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from aicluster_cli.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer


@contextlib.contextmanager
def atomic_write(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a binary file for writing that appears at ``path`` only when the block ends well.

    On any exception, Ctrl-C included, nothing is left behind and what was at ``path`` before stays as it was. A
    symbolic link is written through; the permissions of a file that is replaced are kept.

    Parameters
    ----------
    path
        The file to write; its folder must exist.
    overwrite
        If false, a file that has appeared at ``path`` in the meantime is kept and the write fails.

    Raises
    ------
    OutputError
        If the file cannot be written. Errors of the block's own other files pass unchanged.
    """
    target = _replaceable(path)
    temporary = target.with_name(f".{target.name[:_LONGEST_STEM]}.{secrets.token_hex(6)}.part")
    try:
        with _create(temporary, path) as handle:
            yield handle
            with _reported(path):
                handle.flush()
                _keep_permissions(target, handle.fileno())
                os.fsync(handle.fileno())
        with _reported(path):
            _publish(temporary, target, overwrite=overwrite)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all; raises OutputError."""
    content = text.encode()
    with atomic_write(path) as handle:
        handle.write(content)


def write_json(path: Path, obj: Any) -> None:
    """Write ``obj`` as indented JSON with a newline at its end, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ValueError
        If ``obj`` holds NaN or Infinity, which JSON has no word for.
    """
    text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A file name that is not UTF-8 holds lone surrogates; as \udcXX they are valid JSON and come back the same.
    content = text.encode(errors="backslashreplace")
    with atomic_write(path) as handle:
        handle.write(content)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes as 64 hexadecimal digits; raises OSError if it cannot be read."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def ensure_writable_target(path: Path, overwrite: bool) -> None:
    """Check, before any work begins, that ``path`` can be written later on.

    Raises
    ------
    OutputError
        If there is a file already and ``overwrite`` is false, if ``path`` is a folder or a device, or if its folder
        is missing or not writable.
    """
    target = _replaceable(path)
    if target.exists() and not overwrite:
        raise _already_there(path)
    try:
        folder = target.parent.stat()
    except OSError as error:
        raise output_error(path, error) from error
    if not stat.S_ISDIR(folder.st_mode):
        raise output_error(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise output_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def output_error(path: Path | str, exc: OSError) -> OutputError:
    """Return the error that tells a person why ``path`` could not be written, and the cure.

    Parameters
    ----------
    path
        The file concerned, or words for it such as ``standard output``.
    exc
        What the operating system said.
    """
    folder = path.parent if isinstance(path, Path) else Path()
    number = exc.errno or 0
    if number in _FULL:
        return OutputError(
            f"no space left on the disk of {path}: {_cause(exc)}",
            hint="free some space there, or write to another disk",
        )
    if number == errno.EFBIG:
        return OutputError(
            f"{path} is larger than the file size limit allows: {_cause(exc)}",
            hint="lift the limit with `ulimit -f unlimited`, or write to another disk",
        )
    if number in _FORBIDDEN:
        return OutputError(
            f"{path} is not writable: {_cause(exc)}",
            hint=f"allow writing in the folder {folder}, or write elsewhere",
        )
    if number == errno.ENOENT:
        return OutputError(
            f"{path} cannot be written: there is no folder {folder}", hint=f"mkdir -p {shlex.quote(str(folder))}"
        )
    if number == errno.ENOTDIR:
        return OutputError(f"{path} cannot be written: {folder} is not a folder", hint="write to another folder")
    if number == errno.EISDIR:
        return OutputError(
            f"{path} is a folder, not a file", hint=f"name a file in it, for example {path}/clusters.csv"
        )
    return OutputError(f"{path} cannot be written: {_cause(exc)}", hint="write to another file")


_LONGEST_STEM = 40  # the temporary name must fit in 255 bytes, and a character can take four
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class _TargetFile(io.FileIO):
    """The temporary file, whose own errors carry the name of the file that was asked for.

    The translation happens here and not around the caller's block, so that a failing read of some other file in that
    block is never blamed on the output.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor, "wb")
        self._path = path

    def write(self, data: ReadableBuffer, /) -> int:
        with _reported(self._path):
            return super().write(data)


@contextlib.contextmanager
def _create(temporary: Path, path: Path) -> Iterator[BinaryIO]:
    with _reported(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    raw = _TargetFile(descriptor, path)
    buffered = io.BufferedWriter(raw, buffer_size=1 << 20)
    try:
        yield buffered
        buffered.close()
    finally:
        if not raw.closed:
            # Closing the buffer would try once more to write what could not be written.
            raw.close()


def _publish(temporary: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _already_there(target) from None
    except OSError:
        # A file system without hard links: the gap between looking and renaming is as small as it gets.
        if target.exists():
            raise _already_there(target) from None
        temporary.replace(target)
    else:
        temporary.unlink()


def _replaceable(path: Path) -> Path:
    """Return the real file behind ``path``, if a rename may put a new file in its place."""
    target = path.resolve() if path.is_symlink() else path
    try:
        mode = target.stat().st_mode
    except OSError:
        return target
    if stat.S_ISDIR(mode):
        raise output_error(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not stat.S_ISREG(mode):
        # A rename would replace the device or pipe itself.
        raise OutputError(f"{path} is not a regular file", hint="write to standard output with `-` and redirect it")
    return target


def _keep_permissions(target: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError, AttributeError):  # nothing to keep, or no such call on this system
        os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))


def _sync_folder(folder: Path) -> None:
    # The file is complete under its name by now: a file system that cannot sync a folder is no failure.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error


def _already_there(path: Path) -> OutputError:
    return OutputError(f"{path} exists already", hint="add --overwrite to replace it, or name another file")


def _cause(exc: OSError) -> str:
    return exc.strerror or str(exc) or type(exc).__name__
