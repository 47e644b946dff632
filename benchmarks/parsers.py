"""Every way from JSON text to a float32 matrix that is measured, each on the form of text it likes best."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import engine
from benchmarks.methods import importable, threads

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from benchmarks.metrics import Matrix


@dataclass(frozen=True)
class Parser:
    """One parser.

    Attributes
    ----------
    prepare
        From the Arrow column to what ``parse`` takes; not measured.
    parse
        To the float32 matrix.
    threaded
        Whether more than one thread is of use to it.
    """

    name: str
    prepare: Callable[[pa.ChunkedArray[Any]], Any] = field(repr=False)
    parse: Callable[[Any], Matrix] = field(repr=False)
    module: str = ""
    threaded: bool = False

    def missing(self) -> list[str]:
        """Return the modules that are not installed."""
        return [self.module] if self.module and not importable(self.module) else []


def _strings(column: pa.ChunkedArray[Any]) -> list[str]:
    texts: list[Any] = column.to_pylist()
    return texts


def _bytes(column: pa.ChunkedArray[Any]) -> list[bytes]:
    return [text.encode() for text in _strings(column)]


def _json(texts: list[str]) -> Matrix:
    return _filled(texts, lambda text: np.array(json.loads(text), dtype=np.float32))


def _orjson(texts: list[bytes]) -> Matrix:
    import orjson

    return _filled(texts, lambda text: np.array(orjson.loads(text), dtype=np.float32))


def _simdjson(texts: list[bytes]) -> Matrix:
    import simdjson

    parser = simdjson.Parser()
    return _filled(texts, lambda text: np.frombuffer(parser.parse(text).as_buffer(of_type="d")))


def _duckdb(column: pa.ChunkedArray[Any]) -> Matrix:
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect(config={"threads": threads()})
    connection.register("source", pa.Table.from_arrays([column], ["embedding"]))
    query = "select from_json(embedding, '[\"FLOAT\"]') as embedding from source"
    found: Any = connection.execute(query).to_arrow_table()["embedding"].combine_chunks()
    matrix: Matrix = found.flatten().to_numpy().reshape(len(column), -1)
    return matrix


def _filled(texts: list[Any], vector: Callable[[Any], Any]) -> Matrix:
    first = vector(texts[0])
    matrix = np.empty((len(texts), len(first)), dtype=np.float32)
    for row, text in enumerate(texts):
        matrix[row] = vector(text)
    return matrix


PARSERS = (
    Parser("aicluster", lambda column: column, engine.parse, threaded=True),
    Parser("json.loads", _strings, _json),
    Parser("orjson", _bytes, _orjson, "orjson"),
    Parser("pysimdjson as_buffer", _bytes, _simdjson, "simdjson"),
    Parser("duckdb from_json", lambda column: column, _duckdb, "duckdb", threaded=True),
)
