"""What the tests of reading share: open a source, take all its rows."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from aicluster_cli.sources.reader import Source, open_source
from aicluster_cli.sources.spec import SourceSpec


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def open_input(spool: Path) -> Callable[..., Source]:
    """Open an input. The text column is ``text`` unless an embedding column is named."""

    def open_(path: Path | str | None = None, *, stdin: bytes = b"", **spec: Any) -> Source:
        if "embedding_column" not in spec:
            spec.setdefault("text_column", "text")
        named = None if path is None else str(path)
        return open_source(SourceSpec(input=named, **spec), stdin=io.BytesIO(stdin), spool=spool)

    return open_


@pytest.fixture
def read_rows(open_input: Callable[..., Source]) -> Callable[..., list[dict[str, Any]]]:
    """Open an input and return all its rows."""

    def read(path: Path | str | None = None, **spec: Any) -> list[dict[str, Any]]:
        source = open_input(path, **spec)
        return pa.Table.from_batches(source.batches(), source.schema).to_pylist()

    return read
