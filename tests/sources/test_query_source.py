"""SQL over files and over an input: one SELECT, no network, nothing of this program in reach, nothing written."""

import datetime
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aicluster_cli.errors import InputError, UsageError

leaked = pa.table({"text": ["a variable of the program"]})


def test_a_query_reads_files_it_names(tmp_path, open_input):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n2,b\n")
    source = open_input(query=f"SELECT * FROM '{tmp_path}/a.csv' WHERE id > 1")
    assert (source.name, source.format, source.files) == ("query", "query", ())
    assert [row for batch in source.batches() for row in batch.to_pylist()] == [{"id": 2, "text": "b"}]


def test_a_query_keeps_the_order_it_asks_for(read_rows):
    rows = read_rows(query="SELECT i, i::VARCHAR AS text FROM range(100000) r(i) ORDER BY i DESC")
    assert [row["i"] for row in rows] == list(range(99_999, -1, -1))


def test_types_of_a_query_are_its_own(open_input):
    source = open_input(
        query="SELECT 'a' AS text, [0.5, 1]::FLOAT[2] AS e, 1.50::DECIMAL(5, 2) AS d,"
        " DATE '2020-01-01' AS day, NULL::INT AS n"
    )
    assert next(source.batches()).to_pylist() == [
        {"text": "a", "e": [0.5, 1.0], "d": 1.5, "day": datetime.date(2020, 1, 1), "n": None}
    ]
    assert source.schema.field("e").type == pa.list_(pa.float32(), 2)


def test_a_query_that_ends_in_a_semicolon_and_a_comment_is_one_statement(read_rows):
    assert read_rows(query="-- first\nSELECT 'a' AS text; -- last\n") == [{"text": "a"}]


@pytest.mark.parametrize(
    "query", ["FROM (VALUES ('a')) v(text)", "WITH q AS (SELECT 'a' AS text) FROM q", "VALUES ('a')"]
)
def test_everything_that_selects_is_a_query(read_rows, query):
    column = "col0" if query.startswith("VALUES") else "text"
    assert read_rows(query=query, text_column=column) == [{column: "a"}]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("SELECT 'a' AS text; SELECT 'b' AS text", "SELECT, SELECT"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("COPY (SELECT 1) TO '{folder}/out.csv'", "COPY"),
        ("ATTACH '{folder}/out.db'", "ATTACH"),
        ("INSTALL httpfs", "LOAD"),
        ("SET threads = 1", "SET"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
    ],
)
def test_anything_but_one_select_is_refused(tmp_path, open_input, query, found):
    with pytest.raises(UsageError, match=f"must be one SELECT; found {found}"):
        open_input(query=query.format(folder=tmp_path))
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    "query",
    [
        "WITH w AS (COPY (SELECT 1 AS n) TO '{folder}/out.csv') SELECT 'a' AS text FROM w",
        "WITH w AS (COPY (SELECT 1 AS n) TO '{folder}/out.csv') SELECT 'a' AS text",
        "WITH w AS (/* */copy (SELECT 1 AS n) TO '{folder}/out.parquet' (FORMAT parquet)) SELECT 'a' AS text",
        "WITH w AS (COPY (SELECT 1 AS p, 2 AS n) TO '{folder}/out' (PARTITION_BY p)) SELECT 'a' AS text",
        "SELECT text FROM query('WITH w AS (COPY (SELECT 1) TO ''{folder}/out.csv'') SELECT ''a'' AS text')",
    ],
)
def test_a_select_that_writes_is_refused(tmp_path, open_input, query):
    with pytest.raises((UsageError, InputError)):
        list(open_input(query=query.format(folder=tmp_path)).batches())
    assert not list(tmp_path.glob("out*"))


def test_words_that_write_may_stand_in_a_text(read_rows):
    assert read_rows(query="SELECT 'copy, insert or delete' AS text, 1 AS copy") == [
        {"text": "copy, insert or delete", "copy": 1}
    ]


@pytest.mark.parametrize("query", ["SELECT * FROM leaked", "SELECT * FROM here", "FROM self", "SELECT text FROM spec"])
def test_variables_of_the_program_are_out_of_reach(open_input, query):
    here = leaked
    with pytest.raises(InputError, match=r"the query failed: Catalog Error: Table with name .* does not exist"):
        open_input(query=query)
    assert here.num_rows == 1


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('https://example.invalid/a.csv')",
        "FROM 'https://example.invalid/a.parquet'",
        "FROM 's3://bucket/a.parquet'",
    ],
)
def test_the_network_is_out_of_reach(open_input, query):
    with pytest.raises(InputError, match="requires the extension httpfs") as caught:
        open_input(query=query)
    assert "download the file first" in caught.value.hint


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ("SELEC 1", UsageError, "syntax error"),
        ("SELECT * FROM 'absent.csv'", InputError, "No files found that match the pattern"),
        ("SELECT nothing FROM (SELECT 1 AS n)", InputError, 'Referenced column "nothing" not found'),
        ("SELECT 'a' AS text, CAST('x' AS INT) AS n", InputError, "Could not convert string 'x' to INT32"),
    ],
)
def test_what_duckdb_says_is_the_error(open_input, query, error, said):
    with pytest.raises(error, match=said) as caught:
        open_input(query=query)
    assert "\n" not in caught.value.message


def test_an_error_far_into_the_result_is_an_input_error(open_input):
    source = open_input(query="SELECT 'a' AS text, CAST(IF(i = 900000, 'x', '1') AS INT) AS n FROM range(1000000) r(i)")
    with pytest.raises(InputError, match="Could not convert string 'x' to INT32"):
        list(source.batches())


@pytest.mark.parametrize("over", [True, False])
def test_a_result_without_rows_is_an_error(tmp_path, open_input, over):
    (tmp_path / "a.csv").write_text("text\na\n")
    with pytest.raises(InputError, match="has no rows"):
        if over:
            open_input(tmp_path / "a.csv", query="FROM input WHERE text = 'b'")
        else:
            open_input(query="SELECT 'a' AS text WHERE false")


def test_columns_of_one_name_are_refused(open_input):
    with pytest.raises(InputError, match="query has 2 columns named text"):
        open_input(query="SELECT 'a' AS text, 'b' AS text")


def test_temporary_files_stay_in_the_spool(tmp_path, open_input, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    source = open_input(query="SELECT current_setting('temp_directory') AS text")
    assert Path(next(source.batches()).to_pylist()[0]["text"]).parent == tmp_path / "spool"
    assert not list(elsewhere.iterdir())


def test_settings_that_reach_out_are_off(open_input):
    names = (
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "allow_community_extensions",
        "python_enable_replacements",
    )
    columns = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    row = next(open_input(query=f"SELECT 'a' AS text, {columns}").batches()).to_pylist()[0]
    assert [row[name] for name in names] == [False] * 4


@pytest.fixture
def inputs(tmp_path):
    """The same two rows in every format."""
    rows = [{"id": 7, "text": "a", "score": 0.5}, {"id": 12, "text": "b", "score": 1.0}]
    (tmp_path / "a.csv").write_text("id,text,score\n7,a,0.5\n12,b,1.0\n")
    (tmp_path / "a.tsv").write_text("id\ttext\tscore\n7\ta\t0.5\n12\tb\t1.0\n")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for path in list(tmp_path.glob("a.*")):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    return tmp_path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "tsv.gz", "jsonl.gz", "parquet.gz"])
def test_a_query_sees_an_input_as_a_view_with_types(inputs, open_input, ending):
    path = inputs / f"a.{ending}"
    source = open_input(path, query="SELECT text, id * 2 AS n, score FROM input WHERE id > 10 AND score >= 1")
    assert (source.name, source.format, source.files) == (f"query over {path}", "query", (str(path),))
    assert [row for batch in source.batches() for row in batch.to_pylist()] == [{"text": "b", "n": 24, "score": 1.0}]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_query_sees_standard_input_as_the_view(inputs, read_rows, form):
    data = (inputs / f"a.{form}").read_bytes()
    assert read_rows("-", stdin=data, query="SELECT text FROM input ORDER BY id DESC") == [{"text": "b"}, {"text": "a"}]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_the_view_may_be_used_twice_and_covers_all_files(inputs, read_rows, form):
    (inputs / f"b.{form}").write_bytes((inputs / f"a.{form}").read_bytes())
    query = "SELECT l.text, count(*) AS n FROM input l JOIN input r ON l.text = r.text GROUP BY 1 ORDER BY 1"
    assert read_rows(inputs / f"[ab].{form}", query=query) == [{"text": "a", "n": 4}, {"text": "b", "n": 4}]


CSV_TYPES = {
    "whole": (["1", "-20", ""], "BIGINT"),
    "code": (["007", "123", "1"], "VARCHAR"),
    "huge": (["12345678901234567890", "1", "2"], "VARCHAR"),
    "real": (["1", "2.50", "-1e-3"], "DOUBLE"),
    "digits": (["0.5", "12345678901234567", "1"], "VARCHAR"),
    "flag": (["true", "False", ""], "BOOLEAN"),
    "day": (["2020-01-31", "", "1999-12-01"], "DATE"),
    "noday": (["2020-13-45", "2020-01-01", "1"], "VARCHAR"),
    "moment": (["2020-01-31 10:00", "2020-01-31T10:00:05.25", "2020-01-01 00:00:00"], "TIMESTAMP"),
    "empty": (["", "", ""], "VARCHAR"),
    "mixed": (["1", "x", ""], "VARCHAR"),
    "nan": (["nan", "inf", "1"], "VARCHAR"),
    "dash": (["-", ".", "e5"], "VARCHAR"),
    "list": (["[0.1]", "[0.2]", ""], "VARCHAR"),
}


def test_cells_of_csv_are_typed_where_all_of_them_fit(tmp_path, read_rows):
    header = ["text", *CSV_TYPES]
    cells = zip(["a", "b", "c"], *(cells for cells, _ in CSV_TYPES.values()), strict=True)
    (tmp_path / "a.csv").write_text("\n".join(",".join(row) for row in [header, *cells]) + "\n")
    asked = ", ".join(f"typeof({name}) AS {name}" for name in CSV_TYPES)
    assert read_rows(tmp_path / "a.csv", query=f"SELECT text, {asked} FROM input LIMIT 1") == [
        {"text": "a", **{name: kind for name, (_, kind) in CSV_TYPES.items()}}
    ]
    first = read_rows(tmp_path / "a.csv", query="SELECT * FROM input")[0]
    assert first["code"] == "007"
    assert first["huge"] == "12345678901234567890"
    assert first["empty"] is None


def test_the_last_cell_of_csv_has_a_say_in_the_type(tmp_path, read_rows):
    (tmp_path / "a.csv").write_text("text,n\n" + "a,1\n" * 50_000 + "b,late\n")
    assert read_rows(tmp_path / "a.csv", query="FROM input WHERE n = 'late'") == [{"text": "b", "n": "late"}]


def test_columns_named_stay_text_in_the_view(tmp_path, read_rows):
    (tmp_path / "a.csv").write_text("id,text,kind,n\n1,2,3,4\n")
    rows = read_rows(tmp_path / "a.csv", query="FROM input", id_column="id", partition_column="kind")
    assert rows == [{"id": "1", "text": "2", "kind": "3", "n": 4}]


def test_columns_named_that_only_the_query_makes_are_no_fault(tmp_path, read_rows):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert read_rows(tmp_path / "a.csv", query="SELECT a || b AS text FROM input") == [{"text": "12"}]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_names_that_sql_cannot_tell_apart_are_refused(tmp_path, open_input, form):
    (tmp_path / "a.csv").write_text("text,Text\n1,2\n")
    (tmp_path / "a.jsonl").write_text('{"text": 1, "Text": 2}\n')
    with pytest.raises(InputError, match="text and Text differ only in case"):
        open_input(tmp_path / f"a.{form}", query="FROM input")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_columns_without_a_name_are_called_after_their_place(tmp_path, read_rows, form):
    (tmp_path / "a.csv").write_text("text,\nt,1\n")
    (tmp_path / "a.jsonl").write_text('{"text": "t", "": 1}\n')
    assert read_rows(tmp_path / f"a.{form}", query="SELECT text, column1 FROM input") == [{"text": "t", "column1": 1}]


@pytest.mark.parametrize("query", ["FROM input", "SELECT count(*)::VARCHAR AS text FROM input", "FROM input LIMIT 1"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"text,b\n1,2\n3\n", "line 3: 1 cell"),
        (b"text,b\n1,caf\xe9\n", "not UTF-8"),
        (b'text,b\n1,"x\n2,y\n', "never closed"),
    ],
)
def test_a_broken_csv_is_never_skipped_over_by_a_query(tmp_path, open_input, data, said, query):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.csv.*{said}"):
        open_input(tmp_path / "a.csv", query=query)


def test_a_malformed_line_is_named_below_a_query_too(tmp_path, open_input):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": }\n')
    with pytest.raises(InputError, match=r"a\.jsonl, line 2: not JSON"):
        open_input(tmp_path / "a.jsonl", query="FROM input")


def test_comments_and_first_lines_of_csv_are_rows_like_all_others(tmp_path, read_rows):
    (tmp_path / "a.csv").write_text("# id,text\n#1,a\n2,#b\n")
    assert read_rows(tmp_path / "a.csv", query="FROM input") == [
        {"# id": "#1", "text": "a"},
        {"# id": "2", "text": "#b"},
    ]


def test_the_hash_of_a_query_is_of_its_rows_and_known_after_reading(open_input):
    def hash_of(query):
        source = open_input(query=query)
        with pytest.raises(RuntimeError, match="once all its rows have been read"):
            _ = source.content_hash
        assert sum(batch.num_rows for batch in source.batches()) > 0
        first = source.content_hash
        assert list(source.batches())
        assert source.content_hash == first
        return first

    whole = hash_of("SELECT i::VARCHAR AS text FROM range(20000) r(i)")
    assert hash_of("SELECT CAST(i AS VARCHAR) AS text FROM range(20000) r(i) ORDER BY i") == whole
    assert hash_of("SELECT i::VARCHAR AS text FROM range(20001) r(i)") != whole
    assert hash_of("SELECT i::VARCHAR AS text FROM range(20000) r(i) ORDER BY i DESC") != whole
    assert hash_of("SELECT i::VARCHAR AS text, 1 AS n FROM range(20000) r(i)") != whole
    assert len(whole) == 64


def test_the_hash_of_a_query_over_an_input_is_of_its_rows(tmp_path, open_input):
    (tmp_path / "a.csv").write_text("text\na\nb\n")
    hashes = []
    for query in ("FROM input", "FROM input LIMIT 1"):
        source = open_input(tmp_path / "a.csv", query=query)
        list(source.batches())
        hashes.append(source.content_hash)
    assert hashes[0] != hashes[1]


def test_a_large_result_is_streamed(open_input):
    """The first rows are there long before ten billion could be made."""
    first = next(open_input(query="SELECT i::VARCHAR AS text FROM range(10000000000) r(i)").batches())
    assert first.column("text")[0].as_py() == "0"
