import csv
import datetime
import io
import json
import os
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aicluster_cli import files
from aicluster_cli.errors import OutputError, UsageError
from aicluster_cli.results.write import check_output_path, stream_rows, write_rows

NAN = float("nan")
INF = float("inf")


def _write(table, path, overwrite=False):
    return write_rows(table.to_batches(max_chunksize=2), table.schema, path, overwrite)


def _lines(table, path):
    _write(table, path)
    return [json.loads(line, parse_constant=_no_constant) for line in path.read_text().splitlines()]


def _no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def _streamed(table, form, header=None):
    out = io.BytesIO()
    count = stream_rows(table.to_batches(max_chunksize=2), table.schema, out, form, header or {})
    assert count == table.num_rows
    return out.getvalue().decode()


@pytest.mark.parametrize("name", ["rows.txt", "rows", "rows.csv.gz", "rows.json", ".csv"])
def test_other_extensions_are_refused_and_the_known_ones_listed(tmp_path, name):
    with pytest.raises(UsageError, match=r"it must end in \.parquet, \.csv, \.jsonl") as caught:
        check_output_path(tmp_path / name)
    assert caught.value.hint
    with pytest.raises(UsageError):
        _write(pa.table({"a": [1]}), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "form"), [("a.parquet", "parquet"), ("a.csv", "csv"), ("a.jsonl", "jsonl"), ("A.CSV", "csv")]
)
def test_the_extension_says_the_form(name, form):
    assert check_output_path(Path(name)) == form


def test_parquet_holds_the_very_same_table(tmp_path, rows):
    table = rows(["a", None, "c"], [0, None, -1], region=["n", None, "s"], STRENGTH=[0.1, NAN, None])
    assert _write(table, tmp_path / "rows.parquet") == 3
    found = pq.read_table(tmp_path / "rows.parquet")
    assert found.schema.equals(table.schema)
    assert found.to_pandas().equals(table.to_pandas())  # to which NaN equals NaN
    assert pq.ParquetFile(tmp_path / "rows.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_parquet_of_many_small_batches_has_few_row_groups(tmp_path):
    table = pa.table({"a": np.arange(300_000)})
    write_rows(table.to_batches(max_chunksize=1000), table.schema, tmp_path / "a.parquet", overwrite=False)
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3
    assert pq.read_table(tmp_path / "a.parquet").equals(table)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_no_rows_still_make_a_file(tmp_path, name):
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    assert write_rows([], schema, tmp_path / name, overwrite=False) == 0
    if name == "a.parquet":
        assert pq.read_schema(tmp_path / name).equals(schema)
    else:
        assert (tmp_path / name).read_text() == ("a,b\n" if name == "a.csv" else "")


def test_parquet_that_cannot_hold_a_column_says_so(tmp_path):
    table = duckdb.sql("SELECT INTERVAL 3 DAY AS gap").to_arrow_table()
    with pytest.raises(OutputError, match=r"cannot hold a column of the source: .*interval") as caught:
        _write(table, tmp_path / "a.parquet")
    assert "--query" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_csv_is_quoted_as_rfc_4180_says(tmp_path):
    values = ["plain", "a,b", 'say "hi"', "two\nlines", "cr\rhere", "", None, "ünï", " padded ", "tab\there"]
    table = pa.table({"id, no": range(10), "text": values})
    _write(table, tmp_path / "a.csv")
    content = (tmp_path / "a.csv").read_bytes().decode()
    assert content.startswith('"id, no",text\n0,plain\n1,"a,b"\n2,"say ""hi"""\n')
    assert '\n5,""\n6,\n7,ünï\n' in content
    with (tmp_path / "a.csv").open(newline="") as handle:
        assert [row[1] for row in csv.reader(handle)][1:] == [value or "" for value in values]


def test_csv_comes_back_through_duckdb_with_nulls_and_empty_texts_apart(tmp_path):
    table = pa.table({"a": [1, None, 3], "text": ["", None, 'x",\n y'], "f": [0.1, None, 1.0]})
    _write(table, tmp_path / "a.csv")
    back = duckdb.sql(f"FROM read_csv('{tmp_path / 'a.csv'}', allow_quoted_nulls = false)").fetchall()
    assert back == [(1, "", 0.1), (None, None, None), (3, 'x",\n y', 1.0)]


def test_nullable_integers_stay_integers(tmp_path):
    table = pa.table({"CLUSTER_ID": pa.array([1, None, 2**53 + 1, -1]), "u": pa.array([2**64 - 1] * 4, pa.uint64())})
    _write(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[1:3] == ["1,18446744073709551615", ",18446744073709551615"]
    assert [line["CLUSTER_ID"] for line in _lines(table, tmp_path / "a.jsonl")] == [1, None, 2**53 + 1, -1]
    assert "1.0" not in (tmp_path / "a.jsonl").read_text()


def test_floats_come_back_bit_for_bit(tmp_path):
    values = [*np.random.default_rng(1).normal(size=200) * 10.0 ** np.arange(-100, 100), 5e-324, 1.7976931348623157e308]
    values += [0.1, 1.0, -0.0, 1e15, 1e16, 123456789012.5, 2 / 3]
    table = pa.table({"double": values, "single": pa.array(np.array(values, np.float64) % 7, pa.float32())})
    lines = _lines(table, tmp_path / "a.jsonl")
    assert np.array([line["double"] for line in lines]).tobytes() == np.array(values).tobytes()
    assert np.array([line["single"] for line in lines], np.float32).tobytes() == table["single"].to_numpy().tobytes()
    _write(table, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as handle:
        assert [float(row["double"]) for row in csv.DictReader(handle)] == values


def test_whole_floats_keep_their_point(tmp_path):
    _write(pa.table({"f": [1.0, -2.0, 0.0, 1e22]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "f\n1.0\n-2.0\n0.0\n1e+22\n"


def test_half_and_single_floats_are_as_short_as_they_can_be(tmp_path):
    table = pa.table({"h": pa.array(np.array([0.1], np.float16)), "s": pa.array([0.1], pa.float32())})
    assert _lines(table, tmp_path / "a.jsonl")[0]["s"] == 0.1
    assert np.float16(_lines(table, tmp_path / "b.jsonl")[0]["h"]) == np.float16(0.1)


def test_json_has_null_for_nan_and_infinity(tmp_path):
    table = pa.table(
        {
            "f": [1.5, NAN, INF, -INF, None],
            "v": [[1.0, NAN], [INF], [], None, [None]],
            "s": [{"x": NAN}, {"x": 1.0}, None, {"x": None}, {"x": -INF}],
            "h": pa.array(np.array([NAN] * 5, np.float16)),
        }
    )
    lines = _lines(table, tmp_path / "a.jsonl")
    assert [line["f"] for line in lines] == [1.5, None, None, None, None]
    assert [line["v"] for line in lines] == [[1.0, None], [None], [], None, [None]]
    assert [line["s"] for line in lines] == [{"x": None}, {"x": 1.0}, None, {"x": None}, {"x": None}]
    assert [line["h"] for line in lines] == [None] * 5


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float32()),
        pa.large_list(pa.float64()),
        pa.list_(pa.float32(), 3),
        pa.list_(pa.int64()),
    ],
)
def test_vectors_are_arrays_in_json_and_json_text_in_csv(tmp_path, kind):
    values = [[1, 2, 3], None, [4, 5, 6], [7, 8, 9], None, [10, 11, 12]]
    column = pa.array([[0, 0, 0], *values], kind).slice(1)
    table = pa.table({"v": column, "n": range(6)})
    assert [line["v"] for line in _lines(table, tmp_path / "a.jsonl")] == values
    _write(table, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as handle:
        cells = [row["v"] for row in csv.DictReader(handle)]
    assert [json.loads(cell) if cell else None for cell in cells] == values


def test_other_nested_values_are_json(tmp_path):
    table = pa.table(
        {
            "tags": [["a", None, 'q"']],
            "deep": [[{"when": datetime.date(2025, 1, 2), "price": Decimal("1.50"), "raw": b"\x00", "ok": True}]],
            "gap": [[datetime.timedelta(days=1)]],
        }
    )
    [line] = _lines(table, tmp_path / "a.jsonl")
    assert line["tags"] == ["a", None, 'q"']
    assert line["deep"] == [{"when": "2025-01-02", "price": "1.50", "raw": "AA==", "ok": True}]
    assert line["gap"] == ["1 day, 0:00:00"]
    _write(table, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as handle:
        assert json.loads(next(csv.DictReader(handle))["tags"]) == ["a", None, 'q"']


def test_times_are_iso_8601(tmp_path):
    moment = datetime.datetime(2025, 3, 1, 12, 30, 0, 250_000, datetime.UTC)
    table = pa.table(
        {
            "naive": pa.array([moment.replace(tzinfo=None)], pa.timestamp("us")),
            "whole": pa.array([moment.replace(microsecond=0, tzinfo=None)], pa.timestamp("ns")),
            "zone": pa.array([moment], pa.timestamp("us", "Europe/Berlin")),
            "seconds": pa.array([moment.replace(microsecond=0)], pa.timestamp("s", "UTC")),
            "day": [datetime.date(2025, 3, 1)],
            "time": [datetime.time(1, 2, 3)],
        }
    )
    expected = {
        "naive": "2025-03-01T12:30:00.250000",
        "whole": "2025-03-01T12:30:00",
        "zone": "2025-03-01T12:30:00.250000Z",
        "seconds": "2025-03-01T12:30:00Z",
        "day": "2025-03-01",
        "time": "01:02:03.000000",
    }
    assert _lines(table, tmp_path / "a.jsonl") == [expected]
    _write(table, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as handle:
        assert next(csv.DictReader(handle)) == expected


def test_decimals_are_exact(tmp_path):
    big = Decimal("12345678901234567890.10")
    table = pa.table({"price": [big, None], "count": pa.array([10**30, None], pa.decimal128(38, 0))})
    assert _lines(table, tmp_path / "a.jsonl") == [{"price": str(big), "count": 10**30}, {"price": None, "count": None}]
    _write(table, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == f"price,count\n{big},{10**30}\n,\n"


def test_every_kind_of_column_duckdb_has(tmp_path):
    table = duckdb.sql(
        """SELECT true AS b, 'x'::BLOB AS blob, 3::HUGEINT AS huge, uuid() AS u, INTERVAL 1 DAY AS i,
           MAP {'k': 1} AS m, {'a': 1} AS s, 'a'::ENUM('a', 'b') AS e, NULL AS n,
           TIME '10:00' AS t, 1::TINYINT AS tiny"""
    ).to_arrow_table()
    [line] = _lines(table, tmp_path / "a.jsonl")
    assert (line["b"], line["blob"], line["huge"], line["s"]) == (True, "eA==", 3, {"a": 1})
    assert (line["e"], line["n"], line["tiny"], len(line["u"])) == ("a", None, 1, 36)
    assert _write(table, tmp_path / "a.csv") == 1


def test_jsonl_is_utf8_and_one_object_a_line(tmp_path):
    table = pa.table({"text": ["Grüße 🙂", "two\nlines", 'q"\\', "\x00\x1b\u2028", None], "50%": range(5)})
    _write(table, tmp_path / "a.jsonl")
    content = (tmp_path / "a.jsonl").read_bytes()
    assert "Grüße 🙂".encode() in content
    assert content.count(b"\n") == 5
    lines = [json.loads(line) for line in content.decode().split("\n")[:-1]]
    assert lines == table.to_pylist()


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_an_existing_file_is_kept_without_overwrite_and_replaced_with_it(tmp_path, name):
    (tmp_path / name).write_bytes(b"old")
    touched = []

    def batches():
        touched.append(True)
        yield from pa.table({"a": [1]}).to_batches()

    with pytest.raises(OutputError, match="exists already"):
        write_rows(batches(), pa.schema([("a", pa.int64())]), tmp_path / name, overwrite=False)
    assert touched == []
    assert (tmp_path / name).read_bytes() == b"old"
    assert write_rows(batches(), pa.schema([("a", pa.int64())]), tmp_path / name, overwrite=True) == 1
    assert (tmp_path / name).read_bytes() != b"old"


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt, FileNotFoundError])
def test_a_source_that_fails_midway_leaves_nothing_behind(tmp_path, name, raised):
    (tmp_path / name).write_bytes(b"old")

    def batches():
        yield from pa.table({"a": np.arange(200_000)}).to_batches()
        raise raised

    with pytest.raises(raised):
        write_rows(batches(), pa.schema([("a", pa.int64())]), tmp_path / name, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_running_into_the_file_size_limit_leaves_nothing_behind(tmp_path, name):
    (tmp_path / name).write_bytes(b"old")
    code = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        import pyarrow as pa
        from aicluster_cli.errors import OutputError
        from aicluster_cli.results.write import write_rows
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        table = pa.table({"a": np.random.default_rng(0).normal(size=500_000)})
        try:
            write_rows(table.to_batches(), table.schema, Path(sys.argv[1]), True)
        except OutputError as error:
            print(error.message)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"{name} is larger than the file size limit allows" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"old"


def test_streamed_json_is_one_valid_object(rows):
    table = rows(["a", "b", "c"], [0, None, -1], STRENGTH=[NAN, None, 0.25])
    text = _streamed(table, "json", {"schema": "aicluster.fetch/1", "run_id": "RUN_1", "note": "ü"})
    parsed = json.loads(text, parse_constant=_no_constant)
    assert list(parsed) == ["schema", "run_id", "note", "rows"]
    assert parsed["note"] == "ü"
    assert [row["ROW_ID"] for row in parsed["rows"]] == ["a", "b", "c"]
    assert parsed["rows"][0]["STRENGTH"] is None
    assert parsed["rows"] == [
        row | {"STRENGTH": None if row["ROW_ID"] == "a" else row["STRENGTH"]} for row in table.to_pylist()
    ]
    assert text.endswith("}\n")


@pytest.mark.parametrize("header", [{}, {"schema": "aicluster.fetch/1"}])
def test_streamed_json_without_rows(header):
    assert json.loads(_streamed(pa.table({"a": pa.array([], pa.int64())}), "json", header)) == {**header, "rows": []}


def test_a_header_with_rows_of_its_own_is_refused():
    with pytest.raises(ValueError, match="rows"):
        _streamed(pa.table({"a": [1]}), "json", {"rows": 1})


def test_streamed_csv_and_jsonl_are_those_of_the_files(tmp_path, rows):
    table = rows(["a", 'b"', None], [0, None, -1])
    for form in ("csv", "jsonl"):
        _write(table, tmp_path / f"a.{form}")
        assert _streamed(table, form) == (tmp_path / f"a.{form}").read_text()


def test_tsv_has_no_tab_or_line_break_inside_a_cell():
    table = pa.table({"a\tb": ["x\ty", "two\r\nlines", None], "v": [[1], [2], None], "q": ['say "hi"', "a,b", ""]})
    assert _streamed(table, "tsv") == 'a b\tv\tq\nx y\t[1]\tsay "hi"\ntwo  lines\t[2]\ta,b\n\t\t\n'


def test_a_text_stream_is_written_as_text():
    out = io.StringIO()
    table = pa.table({"a": ["ü"]})
    assert stream_rows(table.to_batches(), table.schema, out, "csv", {}) == 1
    assert out.getvalue() == "a\nü\n"


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "jsonl"])
def test_a_reader_that_has_gone_is_a_broken_pipe(form):
    reader, writer = os.pipe()
    os.close(reader)
    table = pa.table({"a": [1]})
    out = os.fdopen(writer, "wb")
    with pytest.raises(BrokenPipeError):
        stream_rows(table.to_batches(), table.schema, out, form, {})
    with pytest.raises(BrokenPipeError):
        out.close()


if Path("/dev/full").exists():

    @pytest.mark.parametrize("form", ["csv", "tsv", "json", "jsonl"])
    def test_a_full_standard_output_is_reported(form):
        table = pa.table({"a": [1]})
        with Path("/dev/full").open("wb", buffering=0) as full:  # noqa: SIM117
            with pytest.raises(OutputError, match="no space left on the disk of standard output"):
                stream_rows(table.to_batches(), table.schema, full, form, {})

    def test_a_full_standard_output_behind_a_buffer_is_reported_too():
        table = pa.table({"a": [1]})
        out = Path("/dev/full").open("wb")  # noqa: SIM115
        with pytest.raises(OutputError, match="no space left"):
            stream_rows(table.to_batches(), table.schema, out, "csv", {})
        with pytest.raises(OSError, match="No space left"):
            out.close()
