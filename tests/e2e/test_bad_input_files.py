"""Input that cannot be read at all, and requests that cannot be right: told before anything is done or left behind."""

import gzip
import os
import signal
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from e2e_tools import Project, after

RUN = ("run", "kmeans", "--text-column", "text", "--input")


def refused(project: Project, *args, code: int = 2) -> list[str]:
    """Run a command that must be refused; return its error's lines, after checking that nothing was done."""
    before = sorted(project.folder.rglob("*"))
    result = project(*args)
    assert (result.code, result.out) == (code, b"")
    assert sorted(project.folder.rglob("*")) == before
    return result.errors


def test_missing_file(project):
    project.write("tickets.csv", "text\na\n")
    assert refused(project, *RUN, "ticket.csv") == [
        "error: ticket.csv does not exist",
        "hint: did you mean tickets.csv?",
    ]


@pytest.mark.parametrize("name", ["empty.csv", "empty.tsv", "empty.jsonl", "empty.parquet"])
def test_empty_file(project, name):
    project.write(name, "")
    assert refused(project, *RUN, name)[0] == f"error: {name} has no rows: the file is empty"


def test_header_only(project):
    project.write("header.csv", "id,text\n")
    error, hint = refused(project, *RUN, "header.csv")
    assert error == "error: header.csv has no rows"
    assert "at least one row" in hint


def test_parquet_without_a_row(project):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), project.folder / "none.parquet")
    assert refused(project, *RUN, "none.parquet")[0] == "error: none.parquet has no rows"


def test_query_without_a_row(project):
    args = ("run", "kmeans", "--text-column", "text", "--query", "SELECT 'a' AS text WHERE false")
    assert refused(project, *args)[0] == "error: query has no rows"


@pytest.mark.parametrize(
    ("flag", "column", "hint"),
    [
        ("--text-column", "txt", "did you mean text?"),
        ("--id-column", "number", "name one of its columns with --id-column"),
        ("--partition-by", "TEXT", "did you mean text?"),
    ],
)
def test_absent_column(project, flag, column, hint):
    project.write("tickets.csv", "id,text\n1,a\n")
    assert refused(project, *RUN, "tickets.csv", flag, column) == [
        f"error: tickets.csv has no column {column}; its columns are id, text",
        f"hint: {hint}",
    ]


def test_not_utf8_names_the_line_and_how_to_convert(project):
    project.write("latin.csv", "id,text\n1,plain\n2,café\n".encode("latin-1"))
    error, hint = refused(project, *RUN, "latin.csv")
    assert error == "error: latin.csv is not UTF-8 text: line 3 holds other bytes"
    assert "iconv -f WINDOWS-1252 -t UTF-8 latin.csv" in hint


def test_broken_parquet(project):
    path = project.folder / "rows.parquet"
    pq.write_table(pa.table({"text": [f"message {n}" for n in range(999)]}), path)
    os.truncate(path, path.stat().st_size - 9)
    error, hint = refused(project, *RUN, "rows.parquet")
    assert error.startswith("error: rows.parquet is not whole Parquet: ")
    assert "write or fetch the file again" in hint


def test_broken_compression(project):
    packed = gzip.compress(b"text\n" + os.urandom(99).hex().encode() * 99 + b"\n")
    project.write("rows.csv.gz", packed[: len(packed) // 2])
    error, hint = refused(project, *RUN, "rows.csv.gz")
    assert error.startswith("error: rows.csv.gz is not whole: ")
    assert "gzip -t rows.csv.gz" in hint


def test_malformed_json_line_is_named(project):
    project.write("rows.jsonl", '{"text": "a"}\n{"text": "b"\n{"text": "c"}\n')
    error, hint = refused(project, *RUN, "rows.jsonl")
    assert error.startswith("error: rows.jsonl, line 2")
    assert hint


def test_ragged_row_is_named(project):
    project.write("rows.csv", "id,text\n1,a\n2,b,c\n")
    assert refused(project, *RUN, "rows.csv")[0] == "error: rows.csv, line 3: 3 cells, but the header has 2"


def test_strings_inside_a_list_column(project):
    pq.write_table(pa.table({"e": [["1", "2"]]}), project.folder / "rows.parquet")
    error, hint = refused(project, "run", "kmeans", "--input", "rows.parquet", "--embedding-column", "e")
    assert "column e of rows.parquet cannot be the embedding column: its type is list<" in error
    assert 'CAST("e" AS FLOAT[])' in hint


def test_unknown_format(project):
    project.write("rows.dat", "text\na\n")
    assert refused(project, *RUN, "rows.dat") == [
        "error: the format of rows.dat cannot be told from its name",
        "hint: say it with --input-format csv|tsv|jsonl|parquet",
    ]


def test_glob_without_a_match(project):
    assert refused(project, *RUN, "*.csv")[0] == "error: no file matches *.csv"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", "is not SQL that DuckDB reads"),
        ("SELECT * FROM nowhere", "the query failed: "),
        ("CREATE TABLE t AS SELECT 1 AS text", "the query must be one SELECT; found "),
        ("SELECT 'a' AS text; SELECT 'b' AS text", "the query must be one SELECT; found "),
        ("COPY (SELECT 1 AS text) TO 'leak.csv'", "the query must be one SELECT; found "),
        ("FROM read_csv('https://example.org/a.csv')", "the query failed: "),
    ],
)
def test_query_that_cannot_be_run(project, query, said):
    assert said in refused(project, "run", "kmeans", "--query", query, "--text-column", "text")[0]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("n_cluster=3", "--set n_cluster: AI_CLUSTER_KMEANS has no such parameter; did you mean n_clusters?"),
        ("n_clusters=many", "n_clusters must be an integer from 2 to 1,000,000, or 0 = choose; got 'many'"),
        ("n_clusters=2.5", "n_clusters must be an integer from 2 to 1,000,000, or 0 = choose; got '2.5'"),
        ("n_clusters=1", "n_clusters must be an integer from 2 to 1,000,000, or 0 = choose; got '1'"),
        ("n_init=0", "n_init must be an integer from 1 to 1,000; got '0'"),
        ("n_init", "--set n_init: there is no = in it"),
    ],
)
def test_set_with_an_unknown_name_a_wrong_type_or_a_value_out_of_range(project, setting, said):
    project.write("rows.csv", "text\na\n")
    error, hint = refused(project, *RUN, "rows.csv", "--set", setting)
    assert said in error
    assert "n_clusters" in hint or "--set NAME=VALUE" in hint


def test_set_of_the_other_model(project):
    project.write("rows.csv", "text\na\n")
    args = ("run", "deep", "--text-column", "text", "--input", "rows.csv")
    assert "no such parameter" in refused(project, *args, "--set", "n_clusters=3")[0]
    assert "max_noise must be a number from 0 to 1" in refused(project, *args, "--set", "max_noise=2")[0]
    method = refused(project, *args, "--set", "cluster_selection_method=best")[0]
    assert "cluster_selection_method must be one of eom, leaf; got 'best'" in method


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("clusters: 3\n", ":4: clusters: unknown key"),
        ("embedding: {modle: wordllama-256}\n", ":4: embedding.modle: unknown key; did you mean model?"),
        (
            "models:\n  kmeans:\n    params:\n      n_cluster: 3\n",
            ":7: models.kmeans.params.n_cluster: unknown parameter; did you mean n_clusters?",
        ),
        (
            "models:\n  AI_CLUSTER_DEEP:\n    params: {max_noise: much}\n",
            ":6: models.AI_CLUSTER_DEEP.params.max_noise: must be a number from 0 to 1; got 'much'",
        ),
        ("embedding: [a]\n", ":4: embedding: must be a mapping of keys; got a list"),
        ("threads: 2\n", ":4: threads: duplicate key; it stands in line 3 already"),
        ("embedding: {model: '${NO_SUCH_MODEL}'}\n", ":4: embedding.model: "),
    ],
)
def test_wrong_profile_names_line_and_key_path(project, yaml, said):
    project.write("rows.csv", "text\na\n")
    path = project.folder / "aicluster.yaml"
    path.write_text(path.read_text() + yaml)
    error, *_, hint = refused(project, *RUN, "rows.csv")
    assert error.startswith(f"error: aicluster.yaml{said}")
    assert hint.startswith("hint: ")


def test_wrong_type_of_a_top_level_key(project):
    project.write("aicluster.yaml", "platform: local\nthreads: many\n")
    assert refused(project, "runs")[0].startswith("error: aicluster.yaml:2: threads: must be an integer; got 'many'")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "kmeans", "--text-column", "text"], "nothing to read is named"),
        (["run", "kmeans", "--input", "rows.csv"], "neither a text column nor an embedding column is named"),
        ([*RUN, "rows.csv", "--embedding-column", "text"], "both a text column (text) and an embedding column (text)"),
        (["run", "kmean", *RUN[2:], "rows.csv"], "no model is called 'kmean'"),
        ([*RUN, "rows.csv", "--max-bad-rows", "few"], "--max-bad-rows is 'few'"),
        ([*RUN, "rows.csv", "--max-bad-rows", "101%"], "--max-bad-rows is '101%'"),
        ([*RUN, "rows.csv", "--max-bad-rows", "-1"], "--max-bad-rows is '-1'"),
        ([*RUN, "rows.csv", "--run-id", "7 days"], "'7 days' cannot be a run's id"),
        ([*RUN, "rows.csv", "--run-id", "../up"], "'../up' cannot be a run's id"),
        ([*RUN, "rows.csv", "--run-id", "x" * 256], "cannot be a run's id"),
        ([*RUN, "rows.csv", "--output", "rows.xlsx"], "the output rows.xlsx ends in .xlsx"),
        ([*RUN, "rows.csv", "--profile", "nowhere"], "nowhere"),
        ([*RUN, "rows.csv", "--input-format", "xml"], "unknown input format 'xml'"),
    ],
)
def test_request_that_cannot_be_right(project, args, said):
    project.write("rows.csv", "text\na\n")
    lines = refused(project, *args)
    assert said in lines[0]
    assert lines[-1].startswith("hint: ")


@pytest.mark.parametrize("output", ["nowhere/out.csv", "folder.csv", "rows.csv", ".", "fifo.csv"])
def test_unwritable_output_is_told_before_anything_is_done(project, output):
    project.write("rows.csv", "text\na\n")
    (project.folder / "folder.csv").mkdir()
    os.mkfifo(project.folder / "fifo.csv")
    lines = refused(project, *RUN, "rows.csv", "--output", output, code=1)
    assert output in lines[0]
    assert lines[1].startswith("hint: ")


def test_output_that_exists_stays_as_it_is(project):
    kept = project.write("rows.csv", "text\na\n").read_bytes()
    assert refused(project, *RUN, "rows.csv", "--output", "rows.csv", code=1) == [
        "error: rows.csv exists already",
        "hint: add --overwrite to replace it, or name another file",
    ]
    assert (project.folder / "rows.csv").read_bytes() == kept


def test_join_of_a_source_with_a_clashing_column(project):
    project.write("rows.csv", "text,STRENGTH\na,1\n")
    error, hint = refused(project, *RUN, "rows.csv", "--join")
    assert error == "error: the source has a column STRENGTH, which is the name of an output column"
    assert "SELECT * RENAME (STRENGTH AS source_strength) FROM input" in hint
    assert "STRENGTH" in refused(project, *RUN, "rows.csv", "--partition-by", "STRENGTH")[0]


def test_error_is_an_object_with_json(project):
    result = project(*RUN, "nowhere.csv", "--json")
    assert result.code == 2
    assert result.json == {
        "schema": "aicluster.error/1",
        "error": {"code": "input", "message": "nowhere.csv does not exist", "hint": "check the path"},
    }
    assert result.errors == ["error: nowhere.csv does not exist", "hint: check the path"]


def test_folder_without_the_right_to_write(project):
    project.write("rows.csv", "text\na\n")
    locked = project.folder / "locked"
    locked.mkdir(mode=0o555)
    # Rights do not bind root, unless it gives up the capability.
    as_anybody = "import ctypes, os; os.getuid() or ctypes.CDLL(None).prctl(24, 1)"
    result = project.process(*RUN, "rows.csv", "--output", "locked/out.csv", prefix=after(as_anybody))
    assert (result.code, result.out) == (1, b"")
    assert result.errors == [
        "error: locked/out.csv is not writable: Permission denied",
        "hint: allow writing in the folder locked, or write elsewhere",
    ]
    assert list(locked.iterdir()) == []


def test_terminal_as_standard_input_is_no_input(project):
    reader, writer = os.openpty()
    with os.fdopen(writer) as terminal, project.started(*RUN, "-", stdin=terminal) as running:
        result = running.finish()
    os.close(reader)
    assert result.code == 2
    assert result.errors[0] == "error: standard input is a terminal: there is nothing to read"


def test_interrupt_while_standard_input_is_read_leaves_nothing(project):
    with project.started(*RUN, "-", "-v", stdin=subprocess.PIPE) as running:
        running.process.stdin.write(b"text\n")
        running.process.stdin.flush()
        running.read_until("profile: ")
        running.process.send_signal(signal.SIGINT)
        result = running.finish()
    assert result.code == 130
    assert result.errors == ["error: interrupted"]
    assert project.run_ids == set()
