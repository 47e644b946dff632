"""``aicluster run``: what it prints, what it leaves behind, and what it does when it is repeated."""

import csv
import hashlib
import io
import json
import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_tables import VECTOR_ARGS, points, texts
from sample_tables import regions as regions_source
from sample_tables import tickets as tickets_source

from aicluster_cli.clustering.schema import OUTPUT_NAMES

RESULT_KEYS = [
    *("schema", "run_id", "model", "version", "platform", "status", "rows", "clustered_rows", "clusters", "outliers"),
    *("bad_rows", "seconds", "output"),
]
SHOWN = [name for name in OUTPUT_NAMES if name != "DETAILS"]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# --- what it prints ---


def test_json_is_one_object_with_the_promised_keys(tickets):
    document = tickets.result.json
    assert list(document) == RESULT_KEYS
    assert document == {
        **document,
        "schema": "aicluster.run/1",
        "run_id": "tickets",
        "model": "AI_CLUSTER_KMEANS",
        "version": "V1",
        "platform": "local",
        "status": "done",
        "rows": 49,
        "clustered_rows": 48,
        "outliers": 0,
        "bad_rows": 1,
        "output": "out.parquet",
    }
    assert document["clusters"] >= 2
    assert document["seconds"] > 0


def test_progress_is_one_plain_line_a_stage_on_standard_error(tickets):
    lines = [re.sub(r"\(\d+\.\d s\)$", "(… s)", line) for line in tickets.result.err.splitlines()]
    assert lines == [
        "embedded 49 rows of tickets.csv (… s)",
        "clustered 49 rows with AI_CLUSTER_KMEANS V1 (… s)",
        f"49 rows: 48 in {tickets.record.clusters} clusters, 0 outliers, 1 bad",
        "  blank text: 1",
        "run tickets: out.parquet",
    ]


def test_rows_on_standard_output_are_the_frozen_columns(vectors):
    rows = rows_of(vectors.result.text)
    assert list(rows[0]) == SHOWN
    assert [row["ROW_ID"] for row in rows] == [f"{n:03d}" for n in range(36)]
    assert {(row["BLOCK_ROWS"], row["REASON"]) for row in rows} == {("36", "")}


def test_clusters_are_those_of_the_data(vectors):
    found = [row["CLUSTER_ID"] for row in rows_of(vectors.result.text)]
    assert found == ["0", "1", "2"] * 12


def test_row_numbers_are_the_ids_without_an_id_column_and_the_output_says_so(regions):
    table = pq.read_table(regions.project.folder / "out.parquet")
    assert table["ROW_ID"].to_pylist() == [str(n) for n in range(40)]
    assert "ROW_ID is the row number, from 0; name a column with --id-column" in regions.result.err


def test_nothing_is_said_about_row_numbers_with_an_id_column(vectors):
    assert "row number" not in vectors.result.err


# --- the output file ---


def test_ids_stay_as_written_and_every_row_comes_out(tickets):
    table = pq.read_table(tickets.project.folder / "out.parquet")
    assert table.column_names == SHOWN
    assert table["ROW_ID"].to_pylist() == [row["id"] for row in tickets_source()]
    assert table["CLUSTER_ID"].type == pa.int64()
    assert table["CLUSTER_ID"].null_count == 1
    assert table["REASON"].to_pylist() == [*[None] * 48, "blank text"]


def test_join_restores_columns_and_types(regions):
    joined = pq.read_table(regions.project.folder / "out.parquet")
    source = pq.read_table(regions.project.folder / "regions.parquet")
    assert joined.column_names == [*source.column_names, *SHOWN]
    assert joined.select(source.column_names).equals(source)


# --- partitions ---


def test_each_partition_is_clustered_alone_and_a_null_one_too(regions):
    table = pq.read_table(regions.project.folder / "out.parquet")
    sizes = dict(zip(table["region"].to_pylist(), table["BLOCK_ROWS"].to_pylist(), strict=True))
    assert sizes == {30: 10, 7: 20, None: 10}
    assert regions.record.clusters == 6


def test_partitions_are_reported(regions):
    document = regions.result.json
    assert list(document) == [*RESULT_KEYS, "partitions"]
    assert document["partitions"] == regions.record.partitions
    reported = {part["value"]: part for part in document["partitions"]}
    good = {"rows": 10, "clustered_rows": 10, "clusters": 2, "outliers": 0, "bad_rows": 0, "reasons": {}}
    assert reported == {
        30: {**good, "value": 30},
        None: {**good, "value": None},
        7: {
            **good,
            "value": 7,
            "rows": 20,
            "clustered_rows": 19,
            "bad_rows": 1,
            "reasons": {"null embedding": 1},
        },
    }
    assert {details["partition"] for details in regions.record.details} == {30, 7, None}


def test_partition_column_keeps_its_type(regions, tmp_path):
    result = regions.copy(tmp_path).project("fetch", "regions", "--output", "rows.parquet").succeeded()
    assert "wrote 40 rows" in result.err
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.column_names == [*SHOWN, "region"]
    assert table.schema.field("region").type == pa.int16()
    assert table["region"].to_pylist() == regions_source()["region"].to_pylist()


# --- the run's folder ---


def test_folder_of_a_run_holds_record_input_and_output(tickets):
    files = sorted(path.relative_to(tickets.folder).as_posix() for path in tickets.folder.rglob("*") if path.is_file())
    part = files.pop(2)
    assert files == ["input/rows.parquet", "input/source.parquet", "output/tickets/_SUCCESS", "run.json"]
    assert re.fullmatch(r"output/tickets/\d+_[0-9a-z]+_\d{6}-0\.parquet", part)
    assert (tickets.folder / "output" / "tickets" / "_SUCCESS").read_bytes() == b""


def test_record_of_a_run_is_filled_in(tickets):
    record = json.loads((tickets.folder / "run.json").read_text())
    csv_file = tickets.project.folder / "tickets.csv"
    assert next(iter(record)) == "schema"
    assert re.fullmatch(r"[0-9a-f]{64}", record["content_hash"])
    assert record == {
        **record,
        "schema": "aicluster.record/1",
        "run_id": "tickets",
        "status": "done",
        "method": "predict_array",
        "params": {"n_clusters": 0, "random_state": 42, "n_init": 1, "max_iter": 100, "smoothing": "auto"},
        "source": {
            "name": "tickets.csv",
            "input": "tickets.csv",
            "query": None,
            "format": "csv",
            "files": [str(csv_file)],
            "id_column": "id",
            "text_column": "text",
            "embedding_column": None,
            "partition_column": None,
            "rows": 49,
            "content_hash": hashlib.sha256(csv_file.read_bytes()).hexdigest(),
        },
        "embedding_model": "wordllama-256",
        "bad_rows_by_reason": {"blank text": 1},
        "partitions": [],
        "inputs_kept": True,
        "error": None,
    }
    assert {key: record[key] for key in RESULT_KEYS if key not in {"schema", "output"}} == {
        key: value for key, value in tickets.result.json.items() if key not in {"schema", "output"}
    }
    assert record["created"] < record["finished"]
    assert set(record["timings"]) == {"read", "cluster"}
    assert all(0 < seconds < record["seconds"] for seconds in record["timings"].values())
    assert {"aicluster-cli", "python", "numpy", "pyarrow", "duckdb", "wordllama"} < set(record["versions"])
    assert {"scikit-learn", "hdbscan", "snowflake-ml-python"} < set(record["versions"])


def test_curve_of_a_chosen_number_of_clusters_is_on_record(tickets):
    (details,) = tickets.record.details
    silhouettes = dict(details["silhouette_by_n_clusters"])
    agreements = dict(details["neighbour_agreement_by_n_clusters"])
    assert list(silhouettes) == list(agreements)
    assert len(silhouettes) > 3
    best = max(silhouettes, key=lambda k: silhouettes[k] * agreements[k])
    assert 2 <= details["n_clusters"] <= best  # the fewest within one standard error of the best
    assert details["n_clusters"] == tickets.record.clusters


def test_kept_input_is_what_was_clustered(tickets):
    rows = pq.read_table(tickets.folder / "input" / "rows.parquet")
    assert rows.schema.field("EMBEDDING").type == pa.list_(pa.float32())
    assert rows["TEXT"].to_pylist()[:48] == texts()
    assert rows["ROW_ID"].to_pylist() == [row["id"] for row in tickets_source()]
    assert len(rows["EMBEDDING"][0]) == 256


def test_vectors_are_kept_as_float32(vectors):
    rows = pq.read_table(vectors.folder / "input" / "rows.parquet")
    assert rows["EMBEDDING"].to_pylist() == points()


# --- repeating it ---


def test_finished_run_is_rejoined_and_its_record_stays(vectors, tmp_path):
    ran = vectors.copy(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in ran.folder.rglob("*")}
    args = ("run", *VECTOR_ARGS, "--input", "vectors.csv", "--run-id", "VECTORS", "--output", "-")
    result = ran.project(*args).succeeded()
    assert "the run vectors was finished already; nothing was done again" in result.err
    assert result.out == vectors.result.out
    assert {path: path.stat().st_mtime_ns for path in ran.folder.rglob("*")} == before
    assert ran.project.run_ids == {"vectors"}


@pytest.mark.parametrize(
    ("changes", "different"),
    [
        (["--set", "random_state=1"], "params"),
        (["--id-column", "embedding"], "source"),
        (["--query", "FROM input"], "source"),
    ],
)
def test_rejoining_other_work_is_refused(vectors, tmp_path, changes, different):
    ran = vectors.copy(tmp_path)
    result = ran.project("run", *VECTOR_ARGS, "--input", "vectors.csv", "--run-id", "vectors", *changes)
    assert (result.code, result.out) == (2, b"")
    assert result.errors == [
        f"error: the run vectors exists and is of other work (different: {different})",
        "hint: choose another --run-id, or --overwrite",
    ]
    assert ran.record == vectors.record


def test_rejoining_with_changed_rows_is_refused(vectors, tmp_path):
    ran = vectors.copy(tmp_path)
    path = ran.project.folder / "vectors.csv"
    path.write_text(path.read_text().replace("035", "099"))
    result = ran.project("run", *VECTOR_ARGS, "--input", "vectors.csv", "--run-id", "vectors")
    assert result.code == 2
    assert "is of other work (different: source)" in result.errors[0]


@pytest.fixture
def replaced(vectors, tmp_path):
    """A run that takes the place of another, joined at once and without keeping its input."""
    ran = vectors.copy(tmp_path)
    ran.project.write("out.csv", "old")
    lines = (json.dumps({"t": text, "n": n}) + "\n" for n, text in enumerate([*texts()[:9], None, "", 7]))
    ran.project.write("rows.jsonl", "".join(lines))
    args = ("--input", "rows.jsonl", "--text-column", "t", "--set", "n_clusters=2", "--max-bad-rows", "20%")
    output = ("--overwrite", "--output", "out.csv", "--join", "--no-keep-inputs", "--json")
    result = ran.project("run", "kmeans", *args, "--run-id", "Vectors", *output).succeeded()
    return replace(ran, result=result)


def test_overwrite_replaces_run_and_output_and_no_input_is_kept(replaced):
    assert replaced.result.json["run_id"] == "vectors"
    rows = rows_of((replaced.project.folder / "out.csv").read_text())
    assert list(rows[0]) == ["t", "n", *SHOWN]
    assert [row["n"] for row in rows] == [str(n) for n in range(12)]
    assert [row["REASON"] for row in rows] == [*[""] * 9, "null text", "blank text", ""]
    record = replaced.record
    assert (record.rows, record.source.text_column, record.inputs_kept) == (12, "t", False)
    assert record.bad_rows_by_reason == {"null text": 1, "blank text": 1}
    assert len(list((replaced.folder / "output" / "vectors").glob("*.parquet"))) == 1
    assert not (replaced.folder / "input").exists()
    refused = replaced.project("fetch", "--join")
    assert (refused.code, refused.out) == (2, b"")
    assert "the run kept no input" in refused.errors[0]
    assert "--no-keep-inputs" in refused.errors[1]
    assert len(rows_of(replaced.project("fetch").text)) == 12


def test_two_processes_with_one_run_id_do_the_work_once(only_row):
    _, result = only_row
    assert result.err.count("was finished already") == 1
    assert result.err.count("clustered 1 rows with ") == 1


# --- planning it ---


def test_dry_run_tells_what_would_be_done_and_does_nothing(project):
    project.write("rows.csv", "n,text\n1,a\n")
    before = sorted(project.folder.rglob("*"))
    args = ("run", "deep", "--input", "rows.csv", "--text-column", "text", "--set", "max_noise=0.2", "--dry-run")
    plan = project(*args, "--json").succeeded()
    assert plan.json == {
        "schema": "aicluster.plan/1",
        "model": "AI_CLUSTER_DEEP",
        "version": "(new)",
        "registers": True,
        "params": {
            "min_cluster_size": 0,
            "min_samples": 5,
            "cluster_selection_method": "leaf",
            "granularity": 0.0,
            "max_noise": 0.2,
            "random_state": 42,
        },
        "source": "rows.csv",
        "columns": {"n": "string", "text": "string"},
        "output": str(project.root / "stage" / "(new run)"),
    }
    assert "nothing was changed" in plan.err
    assert sorted(project.folder.rglob("*")) == before


def test_parameters_come_from_flag_then_profile_then_default(project):
    project.write("rows.csv", "text\na\n")
    profile = project.folder / "aicluster.yaml"
    profile.write_text(profile.read_text() + "models:\n  kmeans:\n    params:\n      n_clusters: 7\n      n_init: 3\n")
    args = ("run", "kmeans", "--input", "rows.csv", "--text-column", "text", "--dry-run", "--json")
    assert project(*args, "--set", "n_clusters=5").json["params"] == {
        "n_clusters": 5,
        "n_init": 3,
        "random_state": 42,
        "max_iter": 100,
        "smoothing": "auto",
    }
