"""Every form of source: the same data is the same input of the model, and gives the same clusters."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from e2e_tools import Project
from sample_tables import VECTOR_ARGS, points, vectors, write_csv

from aicluster_cli.sources.reader import open_source
from aicluster_cli.sources.spec import SourceSpec
from aicluster_cli.workflows.staging import stage_input

IDS = [row["id"] for row in vectors()]


class NoStage:
    """Nobody to tell about progress."""

    def update(self, n=1, *, total=None): ...

    def done(self, text): ...


def staged(folder: Path, *, stdin: bytes = b"", **source: str) -> pa.Table:
    """Return what a run would hand to the model."""
    spec = SourceSpec(id_column="id", embedding_column="embedding", **source)
    place = folder / "staged"
    place.mkdir()
    opened = open_source(spec, stdin=io.BytesIO(stdin), spool=place)
    stage_input(opened, spec, None, place / "input", keep_source=False, stage=NoStage())
    return pq.read_table(place / "input" / "rows.parquet")


def delimited(separator: str = ",", rows: slice = slice(None)) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["id", "embedding"], delimiter=separator)
    writer.writeheader()
    writer.writerows(vectors()[rows])
    return text.getvalue().encode()


def json_lines(*, lists: bool) -> bytes:
    embeddings = points() if lists else [str(point) for point in points()]
    rows = zip(IDS, embeddings, strict=True)
    return "".join(json.dumps({"id": row_id, "embedding": point}) + "\n" for row_id, point in rows).encode()


def parquet(kind: pa.DataType, path: Path) -> None:
    embeddings = [str(point) for point in points()] if kind in (pa.string(), pa.large_string()) else points()
    pq.write_table(pa.table({"id": IDS, "embedding": pa.array(embeddings, kind)}), path)


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", delimited()),
        ("a.tsv", delimited("\t")),
        ("a.csv", b"\xef\xbb\xbf" + delimited()),
        ("a.jsonl", json_lines(lists=False)),
        ("a.jsonl", json_lines(lists=True)),
        ("a.csv.gz", gzip.compress(delimited())),
        ("a.tsv.zst", zstd(delimited("\t"))),
        ("a.jsonl.zst", zstd(json_lines(lists=True))),
    ],
)
def test_text_file_is_staged_the_same(vectors, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert staged(tmp_path, input=str(tmp_path / name)).equals(input_of(vectors))


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.large_list(pa.float64()),
        pa.list_(pa.float64(), 4),
        pa.list_(pa.float16(), 4),
    ],
    ids=str,
)
def test_parquet_file_is_staged_the_same(vectors, tmp_path, kind):
    parquet(kind, tmp_path / "a.parquet")
    assert staged(tmp_path, input=str(tmp_path / "a.parquet")).equals(input_of(vectors))


def test_glob_of_two_files_is_staged_the_same(vectors, tmp_path):
    (tmp_path / "part-1.csv").write_bytes(delimited(rows=slice(20)))
    (tmp_path / "part-2.csv.gz").write_bytes(gzip.compress(delimited(rows=slice(20, None))))
    assert staged(tmp_path, input=str(tmp_path / "part-*")).equals(input_of(vectors))


@pytest.mark.parametrize(
    "content",
    [delimited(), json_lines(lists=True), gzip.compress(delimited()), zstd(json_lines(lists=False))],
    ids=["csv", "jsonl", "gzip", "zstd"],
)
def test_standard_input_is_staged_the_same(vectors, tmp_path, content):
    assert staged(tmp_path, stdin=content, input="-").equals(input_of(vectors))


def test_format_of_standard_input_can_be_said(vectors, tmp_path):
    assert staged(tmp_path, stdin=delimited("\t"), input="-", input_format="tsv").equals(input_of(vectors))


@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.float64()), pa.list_(pa.float32(), 4)], ids=str)
def test_query_over_a_parquet_file_is_staged_the_same(vectors, tmp_path, kind):
    parquet(kind, tmp_path / "a.parquet")
    query = f"SELECT id, embedding FROM '{tmp_path}/a.parquet' ORDER BY id"
    assert staged(tmp_path, query=query).equals(input_of(vectors))


@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.float64(), 4)], ids=str)
def test_query_over_an_input_is_staged_the_same(vectors, tmp_path, kind):
    parquet(kind, tmp_path / "a.parquet")
    query = "SELECT embedding, id FROM input ORDER BY id"
    assert staged(tmp_path, input=str(tmp_path / "a.parquet"), query=query).equals(input_of(vectors))


def test_query_over_standard_input_is_staged_the_same(vectors, tmp_path):
    query = "SELECT * FROM input ORDER BY id"
    assert staged(tmp_path, stdin=json_lines(lists=True), input="-", query=query).equals(input_of(vectors))


def input_of(ran) -> pa.Table:
    return pq.read_table(ran.folder / "input" / "rows.parquet")


def test_packed_lines_on_standard_input_give_the_same_clusters(vectors, ready):
    content = gzip.compress(json_lines(lists=True))
    result = ready.process("run", *VECTOR_ARGS, "--input", "-", "--output", "-", stdin=content).succeeded()
    assert result.out == vectors.result.out
    assert "read 36 rows of standard input" in result.err


def test_query_cannot_reach_the_network_or_load_extensions(project: Project):
    write_csv(project.folder / "a.csv", vectors())
    for query in ("INSTALL httpfs", "LOAD httpfs", "SELECT * FROM 'https://localhost:9/a.parquet'"):
        result = project("run", "kmeans", "--input", "a.csv", "--query", query, "--embedding-column", "embedding")
        assert result.code == 2
        assert "query" in result.errors[0]
