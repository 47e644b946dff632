"""The columns named must be there, in types that serve."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aicluster_cli.errors import InputError

TEXTS = [
    pa.array(["a"]),
    pa.array(["a"], pa.large_string()),
    pa.array(["a"], pa.string_view()),
    pa.array(["a"]).dictionary_encode(),
    pa.nulls(1),
]
FLAT = [
    pa.array([[0.5]], pa.list_(kind))
    for kind in (pa.float64(), pa.float32())
] + [
    pa.array([[np.float16(0.5)]], pa.list_(pa.float16())),
    pa.array([[1]], pa.list_(pa.int8())),
    pa.array([[1]], pa.large_list(pa.uint64())),
    pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
    pa.array([[decimal.Decimal("1.5")]], pa.list_(pa.decimal128(5, 2))),
    pa.array([[None]], pa.list_(pa.null())),
]  # fmt: skip
SCALARS = [
    pa.array([7]),
    pa.array([7], pa.uint64()),
    pa.array([7.5]),
    pa.array([True]),
    pa.array([decimal.Decimal("1.50")]),
    pa.array([datetime.date(2020, 1, 1)]),
    pa.array([datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)], pa.timestamp("us", "UTC")),
    pa.array([datetime.time(10)]),
]
NESTED = [pa.array([{"a": 1}]), pa.array([[1]]), pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))]
BINARY = [pa.array([b"a"]), pa.array([b"abcd"], pa.binary(4)), pa.array([b"a" * 16], pa.uuid())]
STRUCTURES = [
    pa.array([["0.5"]]),
    pa.array([[[0.5]]]),
    pa.array([[True]]),
    pa.array([{"a": 0.5}]),
    pa.array([b"\x00"]),
    pa.array([0.5]),
]


def types_of(arrays):
    return {"argvalues": arrays, "ids": [str(array.type) for array in arrays]}


@pytest.fixture
def parquet_of(tmp_path):
    def write(column, **others):
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"column": column, "text": pa.array(["t"]), **others}), path)
        return path

    return write


@pytest.mark.parametrize("array", **types_of(TEXTS))
def test_text_may_be_any_kind_of_string(parquet_of, open_input, array):
    assert open_input(parquet_of(array), text_column="column").schema.field("column").type == array.type


@pytest.mark.parametrize("array", **types_of(SCALARS + NESTED + BINARY))
def test_text_of_another_type_is_refused_with_a_cast(parquet_of, open_input, array):
    with pytest.raises(InputError, match="cannot be the text column: its type is") as caught:
        open_input(parquet_of(array), text_column="column")
    assert "CAST" in caught.value.hint


@pytest.mark.parametrize("array", **types_of(TEXTS + FLAT))
def test_embeddings_may_be_text_or_flat_lists_of_numbers(parquet_of, open_input, array):
    source = open_input(parquet_of(array), embedding_column="column")
    assert source.schema.field("column").type == array.type
    assert next(source.batches()).column("column").to_pylist() == array.to_pylist()


@pytest.mark.parametrize("array", **types_of(STRUCTURES))
def test_embeddings_of_another_type_are_refused_with_the_cure(parquet_of, open_input, array):
    with pytest.raises(InputError, match=r"column column of .*cannot be the embedding column") as caught:
        open_input(parquet_of(array), embedding_column="column")
    cures = {pa.list_(pa.string()): "FLOAT[]", pa.list_(pa.list_(pa.float64())): "one flat list"}
    assert cures.get(array.type, "a list of numbers") in caught.value.hint


@pytest.mark.parametrize("role", ["id_column", "partition_column"])
@pytest.mark.parametrize("array", **types_of(TEXTS + SCALARS))
def test_ids_and_partitions_may_be_any_scalar(parquet_of, open_input, role, array):
    assert open_input(parquet_of(array), **{role: "column"}).schema.field("column").type == array.type


@pytest.mark.parametrize("array", **types_of(TEXTS + SCALARS))
def test_every_type_taken_as_id_casts_to_text(array):
    assert array.cast(pa.string()).type == pa.string()


@pytest.mark.parametrize("role", ["id", "partition"])
@pytest.mark.parametrize("array", **types_of(NESTED + BINARY))
def test_ids_and_partitions_of_another_type_are_refused(parquet_of, open_input, role, array):
    with pytest.raises(InputError, match=f"cannot be the {role} column") as caught:
        open_input(parquet_of(array), **{f"{role}_column": "column"})
    assert 'CAST("column" AS VARCHAR)' in caught.value.hint


@pytest.mark.parametrize("role", ["id_column", "text_column", "embedding_column", "partition_column"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "query"])
def test_an_absent_column_is_refused_with_those_there(tmp_path, open_input, role, form):
    (tmp_path / "a.csv").write_text("id,text,message\n1,a,b\n")
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "a", "message": "b"}\n')
    pq.write_table(pa.table({"id": [1], "text": ["a"], "message": ["b"]}), tmp_path / "a.parquet")
    named = {"query": "SELECT 1 AS id, 'a' AS text, 'b' AS message"} if form == "query" else {}
    with pytest.raises(InputError, match="has no column massage; its columns are id, text, message") as caught:
        open_input(None if named else tmp_path / f"a.{form}", **named, **{role: "massage"})
    assert caught.value.hint == "did you mean message?"


def test_a_column_whose_case_differs_is_absent_and_proposed(tmp_path, open_input):
    (tmp_path / "a.csv").write_text("ID,Text\n1,a\n")
    with pytest.raises(InputError, match="has no column text; its columns are ID, Text") as caught:
        open_input(tmp_path / "a.csv")
    assert caught.value.hint == "did you mean Text?"


def test_a_list_of_very_many_columns_is_cut(tmp_path, open_input):
    names = [f"c{index}" for index in range(500)]
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + ",".join(names) + "\n")
    with pytest.raises(InputError, match="c39 and 460 more"):
        open_input(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("sign", "said"), [(";", "a.csv', delim=';'"), ("|", "a.csv', delim='|'"), ("\t", "--input-format tsv")]
)
def test_another_delimiter_is_suspected(tmp_path, open_input, sign, said):
    (tmp_path / "a.csv").write_text(sign.join(["id", "text"]) + "\n" + sign.join(["1", "a"]) + "\n")
    with pytest.raises(InputError, match="has no column text") as caught:
        open_input(tmp_path / "a.csv")
    assert said in caught.value.hint


def test_one_column_may_serve_twice(tmp_path, read_rows):
    (tmp_path / "a.csv").write_text("text\na\n")
    assert read_rows(tmp_path / "a.csv", id_column="text", partition_column="text") == [{"text": "a"}]
