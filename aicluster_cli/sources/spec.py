"""What the user asks to have read. Light: imports nothing but the standard library."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from aicluster_cli.errors import UsageError

FORMATS = ("csv", "tsv", "jsonl", "parquet")


@dataclass(frozen=True)
class SourceSpec:
    """An input, a query or both, and the columns that matter in it.

    Parameters
    ----------
    input
        A path, a glob, or ``-`` for standard input.
    query
        One DuckDB SELECT. With ``input`` it sees that input as the view ``input``.
    input_format
        One of ``FORMATS``; None goes by the file's extension, or for standard input by its first bytes.
    id_column, text_column, embedding_column, partition_column
        Names of columns of the input, or of the query's result. Exactly one of text and embedding is given.
    """

    input: str | None = None
    query: str | None = None
    input_format: str | None = None
    id_column: str | None = None
    text_column: str | None = None
    embedding_column: str | None = None
    partition_column: str | None = None

    @property
    def verbatim_columns(self) -> tuple[str, ...]:
        """Columns whose values must stay as written, which no type may be guessed for."""
        named = (self.id_column, self.text_column, self.embedding_column, self.partition_column)
        return tuple(name for name in dict.fromkeys(named) if name is not None)

    def check(self) -> None:
        """Raise UsageError where the spec contradicts itself, before anything is opened."""
        if self.input is None and self.query is None:
            raise UsageError("nothing to read is named", hint="name a file with --input, or SQL with --query")
        if self.text_column is None and self.embedding_column is None:
            raise UsageError(
                "neither a text column nor an embedding column is named",
                hint="name one of them with --text-column or --embedding-column",
            )
        if self.text_column is not None and self.embedding_column is not None:
            raise UsageError(
                f"both a text column ({self.text_column}) and an embedding column ({self.embedding_column}) are named",
                hint="keep --embedding-column to use the embeddings given, or --text-column to embed the text",
            )
        if self.input_format is not None and self.input_format not in FORMATS:
            close = difflib.get_close_matches(self.input_format.lower(), FORMATS, n=1, cutoff=0.4)
            raise UsageError(
                f"unknown input format {self.input_format!r}",
                hint=(f"did you mean {close[0]}? " if close else "") + f"--input-format takes {', '.join(FORMATS)}",
            )
