"""``aicluster fetch``, ``runs``, ``status`` and ``logs``: reading what runs have left."""

import csv
import io
import json
import os

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
import pytest
from e2e_tools import Terminal

from aicluster_cli.cli.tables import TOP


@pytest.fixture
def stored(vectors, tmp_path):
    """A copy of a finished run that may be damaged."""
    return vectors.copy(tmp_path)


def part_of(ran):
    (part,) = (ran.folder / "output" / ran.run_id).glob("*.parquet")
    return part


def refused(ran, *args, code=1):
    result = ran.project("fetch", *args)
    assert (result.code, result.out) == (code, b"")
    return result.errors


# --- the rows ---


def test_rows_in_a_pipe_are_csv_by_default(vectors):
    assert vectors.project("fetch", "vectors").succeeded().out == vectors.result.out


def test_rows_in_every_form_are_the_same(vectors):
    fetch = vectors.project
    rows = list(csv.DictReader(io.StringIO(fetch("fetch", "--format", "csv").text)))
    lines = [json.loads(line) for line in fetch("fetch", "--format", "jsonl").text.splitlines()]
    document = fetch("fetch", "--json").json
    assert {key: document[key] for key in document if key != "rows"} == {
        "schema": "aicluster.rows/1",
        "run_id": "vectors",
        "model": "AI_CLUSTER_KMEANS",
        "rows_total": 36,
    }
    assert document["rows"] == lines
    assert [(row["ROW_ID"], int(row["CLUSTER_ID"]), float(row["DISTANCE"])) for row in rows] == [
        (line["ROW_ID"], line["CLUSTER_ID"], line["DISTANCE"]) for line in lines
    ]


def test_format_of_rows_may_come_from_the_environment(vectors):
    result = vectors.project("fetch", env={"AICLUSTER_FORMAT": "json"})
    assert result.json["schema"] == "aicluster.rows/1"
    assert vectors.project("fetch", "--format", "csv", env={"AICLUSTER_FORMAT": "json"}).out == vectors.result.out


@pytest.mark.parametrize("extension", ["parquet", "csv", "jsonl"])
def test_output_file_by_extension(stored, extension):
    path = stored.project.folder / f"rows.{extension}"
    result = stored.project("fetch", "--output", path.name).succeeded()
    assert (result.out, result.err) == (b"", f"wrote 36 rows of run vectors to rows.{extension}\n")
    read = {"parquet": pq.read_table, "csv": pa.csv.read_csv, "jsonl": pa.json.read_json}[extension]
    table = read(path)
    assert table.num_rows == 36
    assert table["CLUSTER_ID"].to_pylist() == [0, 1, 2] * 12


def test_output_with_json_tells_what_was_written(stored):
    result = stored.project("fetch", "--output", "rows.csv", "--json")
    assert result.json == {"schema": "aicluster.fetch/1", "run_id": "vectors", "rows": 36, "output": "rows.csv"}


def test_existing_output_is_kept_without_overwrite(stored):
    path = stored.project.write("rows.csv", "mine")
    assert refused(stored, "--output", "rows.csv") == [
        "error: rows.csv exists already",
        "hint: add --overwrite to replace it, or name another file",
    ]
    assert path.read_text() == "mine"
    stored.project("fetch", "--output", "rows.csv", "--overwrite").succeeded()
    assert path.read_bytes() == stored.result.out
    assert stored.project.leftovers() == []


@pytest.mark.parametrize("output", [".", "..", "/", "nowhere/rows.csv"])
def test_output_that_cannot_be_written(stored, output):
    error, hint = refused(stored, "--output", output)
    assert error.startswith(f"error: {output} ")
    assert hint


def test_join_puts_the_sources_own_columns_first(regions, tmp_path):
    ran = regions.copy(tmp_path)
    (tmp_path / "regions.parquet").unlink()  # the run's folder is all that is needed
    ran.project("fetch", "--join", "--output", "joined.parquet").succeeded()
    assert pq.read_table(tmp_path / "joined.parquet").equals(pq.read_table(tmp_path / "out.parquet"))


def test_join_of_csv_keeps_cells_as_written(tickets):
    rows = list(csv.DictReader(io.StringIO(tickets.project("fetch", "--join").succeeded().text)))
    assert [row["id"] for row in rows] == [row["ROW_ID"] for row in rows]
    assert rows[1]["id"] == "007"
    assert rows[-1]["text"] == "   "


def test_clusters_are_shown_on_a_terminal(tickets):
    terminal = Terminal(tickets.project.folder, "fetch", columns=120)
    assert terminal.finish() == 0
    assert "\x1b[" in terminal.output
    assert "KEY WORDS" in terminal.output
    assert "49 rows: 48 in " in terminal.output
    assert tickets.record.clusters <= TOP
    assert "password" in terminal.output


# --- which run ---


def test_newest_run_is_the_default(demo):
    project, _ = demo
    newest = project("runs", "--json").json["runs"][0]
    assert project("fetch", "--json").json["run_id"] == newest["run_id"]
    assert newest["model"] == "AI_CLUSTER_DEEP"


def test_run_ids_are_matched_in_any_case(vectors):
    assert vectors.project("fetch", "VECTORS").succeeded().out == vectors.result.out
    assert vectors.project("status", "Vectors", "--json").json["run_id"] == "vectors"


def test_no_runs_yet(project):
    result = project("fetch")
    assert (result.code, result.errors[0]) == (1, "error: there are no runs yet")
    assert "aicluster demo" in result.errors[1]
    runs = project("runs").succeeded()
    assert "there are no runs yet: aicluster demo" in runs.err
    assert project("runs", "--json").json == {"schema": "aicluster.runs/1", "runs": []}


@pytest.mark.parametrize("name", ["nothing", "../vectors", "vectors/../vectors", ""])
@pytest.mark.parametrize("command", ["fetch", "status", "logs"])
def test_unknown_run(vectors, command, name):
    result = vectors.project(command, name)
    assert (result.code, result.out) == (1, b"")
    assert result.errors == [f"error: there is no run {name}", "hint: aicluster runs lists them"]


def test_run_whose_record_is_broken(stored):
    (stored.folder / "run.json").write_text("{")
    assert "run.json cannot be read" in refused(stored, "vectors")[0]
    assert stored.project("runs", "--json").json["runs"] == []


@pytest.mark.parametrize(
    ("status", "error", "said", "hint"),
    [
        ("failed", {"code": "job_failed", "message": "E: no"}, "has failed: E: no", "aicluster logs vectors"),
        ("interrupted", None, "was interrupted", "run it again with --run-id vectors"),
        ("running", None, "was interrupted", "run it again with --run-id vectors"),  # its process is gone
    ],
)
def test_run_that_has_not_finished(stored, status, error, said, hint):
    path = stored.folder / "run.json"
    record = json.loads(path.read_text()) | {"status": status, "error": error}
    path.write_text(json.dumps(record))
    assert refused(stored, "vectors") == [f"error: the run vectors {said}", f"hint: {hint}"]


# --- damaged folders ---


def test_run_without_its_marker(stored):
    (stored.folder / "output" / "vectors" / "_SUCCESS").unlink()
    error, hint = refused(stored)
    assert error == ("error: run vectors has not finished, or has failed: there is no output/vectors/_SUCCESS")
    assert "aicluster status vectors" in hint


def test_part_of_0_bytes_is_an_error_that_names_it(stored):
    part = part_of(stored)
    os.truncate(part, 0)
    assert f"the part output/vectors/{part.name} cannot be read: it is 0 bytes long" in refused(stored)[0]


def test_truncated_part_is_an_error_that_names_it(stored):
    part = part_of(stored)
    os.truncate(part, part.stat().st_size // 2)
    assert f"the part output/vectors/{part.name} cannot be read: " in refused(stored, "--output", "rows.csv")[0]
    assert not (stored.project.folder / "rows.csv").exists()
    assert stored.project.leftovers() == []


def test_missing_part_is_an_error(stored):
    part_of(stored).unlink()
    assert "run vectors has finished but there are no Parquet files" in refused(stored)[0]


def test_part_that_is_there_twice_is_an_error(stored):
    part = part_of(stored)
    part.with_name("2_copy_000000-0.parquet").write_bytes(part.read_bytes())
    assert "run vectors was given 36 rows and its parts hold 72: a part is there twice" in refused(stored)[0]


def test_parts_of_other_runs_are_never_mixed_in(stored):
    part = part_of(stored)
    for place in ("output/other", "output", "output/vectors/inner", "output/vectors_2"):
        folder = stored.folder / place
        folder.mkdir(exist_ok=True)
        (folder / "9_fffffff_000000-0.parquet").write_bytes(part.read_bytes())
    (part.parent / ".hidden.parquet").write_bytes(b"")
    (part.parent / f"{part.name}.crc").write_bytes(b"0")
    assert stored.project("fetch").succeeded().out == stored.result.out


# --- listing ---


def test_list_of_files(tickets):
    result = tickets.project("fetch", "tickets", "--list", "--json").succeeded()
    document = result.json
    assert (document["schema"], document["run_id"], document["status"]) == ("aicluster.files/1", "tickets", "done")
    on_disk = {
        path.relative_to(tickets.folder).as_posix(): path.stat().st_size
        for path in tickets.folder.rglob("*")
        if path.is_file()
    }
    assert {file["name"]: file["size"] for file in document["files"]} == on_disk
    table = tickets.project("fetch", "--list").table
    assert table[0] == ["NAME", "SIZE", "MODIFIED"]
    assert [row[0] for row in table[1:]] == sorted(on_disk)


def test_list_of_runs(vectors):
    (run,) = vectors.project("runs", "--json").json["runs"]
    assert {key: run[key] for key in ("run_id", "model", "version", "status", "rows", "clusters", "bad_rows")} == {
        "run_id": "vectors",
        "model": "AI_CLUSTER_KMEANS",
        "version": "V1",
        "status": "done",
        "rows": 36,
        "clusters": 3,
        "bad_rows": 0,
    }
    header, row = vectors.project("runs").table
    assert header[:4] == ["RUN ID", "MODEL", "VERSION", "STATUS"]
    assert row[:4] == ["vectors", "AI_CLUSTER_KMEANS", "V1", "done"]
    assert list(csv.reader(vectors.project("runs", "--format", "csv").text.splitlines())) == [header, row]


def test_status_is_the_record(vectors):
    assert vectors.project("status", "vectors", "--json").json == vectors.record.to_json()
    facts = dict(vectors.project("status", "vectors").table)
    assert facts["status"] == "done"
    assert facts["parameters"] == "n_clusters=3, random_state=42, n_init=1, max_iter=100, smoothing=auto"
    assert facts["folder"] == str(vectors.folder)


def test_logs_are_what_the_process_printed(stored):
    (stored.project.root / "logs" / "vectors.log").write_text("a line\nanother")
    assert stored.project("logs", "vectors").succeeded().text == "a line\nanother\n"
    assert stored.project("logs", "VECTORS", "--json").json == {
        "schema": "aicluster.logs/1",
        "run_id": "vectors",
        "text": "a line\nanother",
    }
    (stored.project.root / "logs" / "vectors.log").unlink()
    assert "printed nothing" in stored.project("logs", "vectors").succeeded().err
