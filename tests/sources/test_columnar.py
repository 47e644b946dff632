"""Parquet: types and values verbatim, small batches out of huge row groups, broken files named."""

import datetime
import decimal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aicluster_cli.errors import InputError
from aicluster_cli.sources.limits import MAX_BATCH_BYTES, MAX_BATCH_ROWS

EVERYTHING = pa.table(
    {
        "text": pa.array(["a", None, "é"]),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        "amount": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-2.25")], pa.decimal128(10, 2)),
        "at": pa.array(
            [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), None, None], pa.timestamp("us", "Europe/Paris")
        ),
        "day": pa.array([datetime.date(2020, 1, 1), None, None]),
        "vector": pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2)),
        "lists": pa.array([[1], None, []], pa.list_(pa.int16())),
        "nested": pa.array([{"a": {"b": [1]}}, None, {"a": None}]),
        "large": pa.array(["a", None, ""], pa.large_string()),
        "unsigned": pa.array([2**64 - 1, None, 0], pa.uint64()),
        "bytes": pa.array([b"\x00\xff", None, b""]),
        "nothing": pa.nulls(3),
    }
)


def test_types_and_values_come_back_verbatim(tmp_path, open_input):
    pq.write_table(EVERYTHING.replace_schema_metadata({"pandas": "{}", "mine": "1"}), tmp_path / "a.parquet")
    source = open_input(tmp_path / "a.parquet")
    assert source.schema == EVERYTHING.schema
    assert source.schema.metadata is None
    batches = list(source.batches())
    assert all(batch.schema.equals(source.schema, check_metadata=True) for batch in batches)
    assert pa.Table.from_batches(batches).to_pylist() == EVERYTHING.to_pylist()


def test_row_groups_are_cut_into_small_batches(tmp_path, open_input):
    pq.write_table(pa.table({"text": [str(index) for index in range(100_000)]}), tmp_path / "a.parquet")
    batches = list(open_input(tmp_path / "a.parquet").batches())
    assert max(batch.num_rows for batch in batches) <= MAX_BATCH_ROWS
    assert [row["text"] for batch in batches for row in batch.to_pylist()] == [str(index) for index in range(100_000)]


def test_wide_rows_make_short_batches(tmp_path, open_input):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.random.default_rng(0).normal(size=5000 * 4096)), 4096)
    pq.write_table(pa.table({"e": vectors}), tmp_path / "a.parquet", use_dictionary=False)
    source = open_input(tmp_path / "a.parquet", embedding_column="e")
    sizes = [(batch.num_rows, batch.nbytes) for batch in source.batches()]
    assert sum(rows for rows, _ in sizes) == 5000
    assert max(size for _, size in sizes) <= MAX_BATCH_BYTES * 1.02


def test_a_huge_row_group_is_read_in_bounded_memory(tmp_path):
    """Peak memory grows by far less than the one row group, 400 MB of it, would take."""
    path = tmp_path / "a.parquet"
    schema = pa.schema([("e", pa.list_(pa.float32(), 512))])
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(np.random.default_rng(0).random(200_000 * 512, np.float32)), 512
    )
    pq.write_table(pa.table([vectors], schema=schema), path, row_group_size=200_000, use_dictionary=False)
    code = (
        "import io, pathlib, resource, sys\n"
        "import pyarrow.parquet\n"
        "from aicluster_cli.sources.reader import open_source\n"
        "from aicluster_cli.sources.spec import SourceSpec\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "spec = SourceSpec(input=sys.argv[1], embedding_column='e')\n"
        "source = open_source(spec, stdin=io.BytesIO(), spool=pathlib.Path(sys.argv[2]))\n"
        "print(sum(batch.num_rows for batch in source.batches()), peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path)], capture_output=True, text=True, check=True
    )
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 200_000
    assert megabytes < 250


def test_several_files_follow_one_another_and_one_of_them_may_be_empty(tmp_path, read_rows):
    for name, texts in (("a", ["1", "2"]), ("b", []), ("c", ["3"])):
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), tmp_path / f"{name}.parquet")
    assert [row["text"] for row in read_rows(tmp_path / "*.parquet")] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"text": pa.array(["a"])}, "it lacks n"),
        ({"text": pa.array(["a"]), "n": pa.array([1.5])}, "n is double, not int64"),
        ({"n": pa.array([1]), "text": pa.array(["a"])}, "their order is n, text, not text, n"),
    ],
)
def test_files_with_other_columns_are_refused_with_the_difference(tmp_path, open_input, other, said):
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table(other), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=rf"b\.parquet has other columns than .*a\.parquet: {said}"):
        open_input(tmp_path / "*.parquet")


def test_no_rows_at_all_is_an_error(tmp_path, open_input):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet has no rows"):
        open_input(tmp_path / "a.parquet")


def test_columns_of_one_name_are_refused(tmp_path, open_input):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="2 columns named text"):
        open_input(tmp_path / "a.parquet")


@pytest.mark.parametrize("damage", ["cut", "head only", "text", "tail lost"])
def test_a_file_that_is_not_whole_is_named(tmp_path, open_input, damage):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [str(index) for index in range(1000)]}), path)
    whole = path.read_bytes()
    path.write_bytes(
        {"cut": whole[:-20], "head only": b"PAR1", "text": b"id,text\n1,a\n", "tail lost": whole[:200]}[damage]
    )
    with pytest.raises(InputError, match=r"a\.parquet is not whole Parquet"):
        open_input(tmp_path / "a.parquet")


def test_a_broken_page_is_named_when_it_is_reached(tmp_path, open_input):
    path = tmp_path / "a.parquet"
    texts = [f"{index:x}" * 50 for index in range(200_000)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=50_000, compression="zstd")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet is not whole Parquet"):
        list(open_input(path).batches())
