"""The files of one run, wherever they are kept: a local folder has the same shape as a folder on a Snowflake stage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    import builtins
    from pathlib import Path


@dataclass(frozen=True)
class StoredFile:
    """A file of a run: its name relative to the run's folder with ``/``, its bytes, when it was written (UTC)."""

    name: str
    size: int
    modified: datetime


class RunFiles(Protocol):
    """The files of one run, wherever they are kept."""

    def list(self) -> builtins.list[StoredFile]:
        """Return every file of the run, in subfolders too, sorted by name."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a listed file for reading, seekable; raises OSError."""
        ...


@dataclass(frozen=True)
class FolderFiles:
    """The files of a run that is kept in a local folder."""

    root: Path

    def list(self) -> builtins.list[StoredFile]:
        """Return every file below the folder, sorted by name; none if there is no such folder."""
        found = []
        for path in self.root.rglob("*"):
            try:
                status = path.stat()
            except OSError:
                continue  # gone since the folder was read, or a link to nowhere
            if path.is_file():
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                found.append(StoredFile(path.relative_to(self.root).as_posix(), status.st_size, modified))
        return sorted(found, key=lambda file: file.name)

    def open(self, name: str) -> BinaryIO:
        """Open the file for reading; raises OSError."""
        return (self.root / name).open("rb")
