"""The commands as a person starts them, on little data and with no peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import process, sets, synthetic
from benchmarks.__main__ import main
from benchmarks.clusterings import mean, split_missing
from benchmarks.methods import Method
from benchmarks.report import table
from benchmarks.speed import growth

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """A folder with one labelled set, as lists, and a parquet file that is none."""
    path = tmp_path / "rows.npy"
    truth = synthetic.write_matrix(path, 400, dimension=128, classes=4, outliers=0.1)
    labels = [None if known < 0 and row % 2 else "oos" if known < 0 else f"c{known}" for row, known in enumerate(truth)]
    table = pa.table({"label": labels, "text": ["refund please"] * 400, "embedding": np.load(path).tolist()})
    data = tmp_path / "data"
    data.mkdir()
    pq.write_table(table, data / "little.parquet")
    pq.write_table(pa.table({"label": ["a"]}), data / "other.parquet")
    return data


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_quality_judges_every_model_on_every_set(folder, tmp_path):
    out, plot = tmp_path / "found.json", tmp_path / "plot.svg"
    printed = run("quality", "--data", folder, "--only", "aicluster", "--out", out, "--plot", plot)
    found = json.loads(out.read_text())
    rows = {row["method"]: row for row in found["results"]}
    assert {"aicluster kmeans", "aicluster kmeans, k chosen", "aicluster deep"} <= set(rows)
    assert {(row["set"], row["rows"], row["classes"]) for row in rows.values()} == {("little", 400, 4)}
    assert rows["aicluster kmeans"]["true_outliers"] > 20
    assert rows["aicluster kmeans"]["clusters"] == 4
    assert rows["aicluster kmeans"]["noise_moved"]["v"] > 0.5
    assert rows["aicluster deep"]["rounds"][0]["repeatable"] is True
    assert 0 < rows["aicluster deep"]["warm_seconds"] < rows["aicluster deep"]["cold_seconds"]
    assert {"processor", "threads", "versions"} <= set(found["machine"])
    assert "| aicluster deep |" in printed


def test_speed_compares_in_the_same_run(tmp_path):
    out = tmp_path / "found.json"
    arguments = ["--kmeans-rows", 300, 600, "--deep-rows", 300, "--dimension", 16, "--classes", 5, "-k", 5]
    run("speed", *arguments, "--only", "aicluster", "--rounds", 1, "--out", out, "--plot", tmp_path / "plot.svg")
    found = json.loads(out.read_text())
    kmeans = [row for row in found["results"] if row["kind"] == "kmeans"]
    assert [row["rows"] for row in kmeans] == [300, 600]
    assert {(row["time_ratio"], row["inertia_ratio"]) for row in kmeans} == {(1.0, 1.0)}
    assert {row["method"] for row in found["results"]} >= {"aicluster kmeans", "aicluster deep"}
    assert [step["step"] for step in found["growth"]] == ["300 to 600 rows"]


def test_parse_checks_that_every_parser_is_exact(tmp_path):
    out = tmp_path / "found.json"
    arguments = ["--rows", 50, "--dimension", 8, "--rounds", 1, "--out", out, "--plot", tmp_path / "plot.svg"]
    run("parse", *arguments, "--only", "a")
    rows = json.loads(out.read_text())["results"]
    assert {(row["parser"], row["threads"]) for row in rows} >= {("aicluster", 1), ("aicluster", 2)}
    assert {row["exact"] for row in rows} == {"yes"}


def test_memory_gives_a_peak_no_smaller_than_the_matrix(tmp_path):
    out = tmp_path / "found.json"
    run(
        "memory",
        "--rows",
        500,
        "--dimension",
        16,
        "-k",
        3,
        "--only",
        "JSON text",
        "--out",
        out,
        "--plot",
        tmp_path / "p",
    )
    rows = {row["task"]: row for row in json.loads(out.read_text())["results"]}
    measured = rows["aicluster kmeans, parquet of JSON text"]
    assert measured["status"] == "ok"
    assert measured["peak_ratio"] > 1


def test_a_folder_without_sets_is_an_error_that_names_it(tmp_path, capsys):
    assert main(["quality", "--data", str(tmp_path)]) == 2
    assert f"error: {tmp_path} holds no parquet file with the columns label and embedding" in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_missing():
    there = Method("there", lambda unit, _k, _seed: unit, ("json",))
    absent = Method("not there", lambda unit, _k, _seed: unit, ("no_such_package.part", "json"))
    assert split_missing([there, absent], "there") == ([there], {"not there": ["no_such_package.part"]})


def test_a_process_that_fails_says_why():
    job = {"kind": "cluster", "group": "quality", "name": "aicluster deep", "matrix": "/nowhere.npy", "threads": 1}
    assert "No such file or directory: '/nowhere.npy'" in process.run(job, timeout=60)["status"]


def test_null_and_oos_are_outliers_and_a_sample_is_seeded(folder):
    assert sets.classes_of(["b", None, "oos", "a", "b", 3]).tolist() == [2, -1, -1, 1, 2, 0]
    first, again = (sets.load_set(folder / "little.parquet", rows=50) for _ in range(2))
    assert len(first.truth) == 50
    assert np.array_equal(first.unit, again.unit)
    assert np.allclose(np.linalg.norm(first.unit, axis=1), 1, atol=1e-5)


def test_embeddings_may_be_json_text(folder):
    listed = pq.read_table(folder / "little.parquet")
    texts = [json.dumps(row) for row in listed["embedding"].to_pylist()]
    pq.write_table(pa.table({"label": listed["label"], "embedding": texts}), folder / "text.parquet")
    by_text, by_list = (sets.load_set(folder / f"{name}.parquet").unit for name in ("text", "little"))
    assert np.allclose(by_text, by_list, atol=1e-7)


def test_synthetic_text_is_json_of_the_rows_with_eighteen_digits(tmp_path):
    truth = synthetic.write_matrix(tmp_path / "m.npy", 300, dimension=8, classes=6)
    matrix = np.load(tmp_path / "m.npy")
    texts = synthetic.json_column(matrix).to_pylist()
    assert np.allclose([json.loads(text) for text in texts], matrix, atol=1e-6)
    assert {len(number.lstrip("-")) for number in texts[0][1:-1].split(", ")} == {20}
    assert np.array_equal(truth, synthetic.write_matrix(tmp_path / "again.npy", 300, dimension=8, classes=6))
    assert np.array_equal(matrix, np.load(tmp_path / "again.npy"))


def test_ratios_are_taken_within_a_round():
    ours = [{"status": "ok", "warm_seconds": seconds} for seconds in (1.0, 2.0, 10.0)]
    theirs = [{"status": "ok", "warm_seconds": seconds} for seconds in (3.0, 4.0, 30.0)]
    assert process.ratio(theirs, ours) == 3.0
    assert process.ratio([{"status": "failed"}], ours) is None


def test_summary_marks_a_first_call_that_stands_for_the_warm_one():
    outcome = {"status": "ok", "startup_seconds": 1.0, "cold_seconds": 3.0, "warm_seconds": 2.0, "peak_mb": 5.0}
    assert process.summary([outcome | {"again_seconds": None}])["warm_is_first"] is True
    assert process.summary([outcome | {"again_seconds": 2.0}])["warm_is_first"] is False
    row = process.summary([outcome | {"again_seconds": None}])
    assert table([row], [("s", "warm_seconds", ".1f")]).splitlines()[-1] == "| 2.0* |"


def test_means_are_nested_and_none_where_one_is():
    assert mean([{"a": {"v": 1.0}, "b": None}, {"a": {"v": 2.0}, "b": 1.0}]) == {"a": {"v": 1.5}, "b": None}


def test_growth_compares_neighbouring_sizes_of_our_models_only():
    rows = [
        {"kind": "kmeans", "method": method, "status": "ok", "rows": size, "warm_seconds": seconds}
        for method, size, seconds in [
            ("aicluster kmeans", 10, 2.0),
            ("other", 10, 1.0),
            ("aicluster kmeans", 100, 30.0),
        ]
    ]
    assert growth(rows) == [{"method": "aicluster kmeans", "step": "10 to 100 rows", "times": 15.0}]
