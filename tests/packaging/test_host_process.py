"""The process that runs an artefact: every row comes out once, in order, whatever the partitions and the verdicts."""

import datetime as dt
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefact_jobs import LOAD_HOST, blobs, handmade_artefact, job_for, read_output, run_child, write_rows

from aicluster_cli.clustering.schema import OUTPUT_NAMES
from aicluster_cli.packaging.runner import Job, Outcome, run_artefact

PART = re.compile(r"1_[0-9a-f]{6}_\d{6}-0\.parquet")


@dataclass(frozen=True)
class Run:
    job: Job
    outcome: Outcome
    events: list[dict[str, Any]]
    truth: np.ndarray

    @property
    def rows(self) -> list[dict[str, Any]]:
        return read_output(self.job)


def run(job: Job) -> tuple[Outcome, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return run_artefact(job, events.append), events


SIZES = [30, 20, 10]
PARTITIONS = ["north", None, "south", ""]
WRONG_LENGTH, REASON, TWICE_HERE, TWICE_THERE, NULL_IDS = 4, 9, (12, 16), (21, 22), (33, 34)


@pytest.fixture(scope="module")
def partitioned(kmeans: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """K-Means over four partitions in turns, with some bad rows."""
    folder = tmp_path_factory.mktemp("partitioned")
    matrix, truth = blobs([size * len(PARTITIONS) for size in SIZES])
    vectors: list[Any] = list(matrix)
    ids: list[str | None] = [f"id-{row}" for row in range(len(vectors))]
    reasons: list[str | None] = [None] * len(vectors)
    vectors[WRONG_LENGTH] = [1.0, 2.0]
    reasons[REASON] = "blank text"
    for first, second in (TWICE_HERE, TWICE_THERE):
        ids[second] = ids[first]
    for row in NULL_IDS:
        ids[row] = None
    partition = pa.array([PARTITIONS[row % 4] for row in range(len(vectors))])
    rows = write_rows(folder / "rows.parquet", vectors, ids=ids, reasons=reasons, partition=partition)
    params = {"n_clusters": 3, "random_state": 5, "n_init": 2, "max_iter": 40}
    job = job_for(kmeans, rows, partition="region", params=params)
    return Run(job, *run(job), truth)


def test_rows_come_out_in_the_order_they_went_in(partitioned: Run) -> None:
    given = pq.read_table(partitioned.job.input)
    assert [row["ROW_ID"] for row in partitioned.rows] == given["ROW_ID"].to_pylist()
    assert [row["region"] for row in partitioned.rows] == given["PARTITION"].to_pylist()
    assert partitioned.outcome.rows == len(partitioned.rows) == len(given)


def test_parts_have_the_frozen_columns_and_then_the_partition_under_its_own_name(partitioned: Run) -> None:
    assert [*partitioned.rows[0]] == [*OUTPUT_NAMES, "region"]


def test_each_partition_is_clustered_alone_and_null_is_one_of_them(partitioned: Run) -> None:
    rows = partitioned.rows
    assert {row["BLOCK_ROWS"] for row in rows} == {len(rows) // 4}
    for value in PARTITIONS:
        inside = [at for at, row in enumerate(rows) if row["region"] == value]
        good = [at for at in inside if rows[at]["CLUSTER_ID"] is not None]
        of_blob = {rows[at]["CLUSTER_ID"]: partitioned.truth[at] for at in good}
        assert len(of_blob) == 3
        assert all(of_blob[rows[at]["CLUSTER_ID"]] == partitioned.truth[at] for at in good)
        assert [json.loads(rows[at]["DETAILS"])["n_clusters"] for at in inside if rows[at]["DETAILS"]] == [3]


def test_every_copy_of_an_id_is_condemned_also_across_partitions(partitioned: Run) -> None:
    rows = partitioned.rows
    for copies in (TWICE_HERE, TWICE_THERE):
        assert [rows[row]["REASON"] for row in copies] == ["duplicate id: 2 rows have it"] * 2
        assert [rows[row]["CLUSTER_ID"] for row in copies] == [None, None]
    assert rows[TWICE_HERE[0]]["region"] == rows[TWICE_HERE[1]]["region"]
    assert rows[TWICE_THERE[0]]["region"] != rows[TWICE_THERE[1]]["region"]


def test_null_ids_are_no_duplicates_of_each_other(partitioned: Run) -> None:
    assert [partitioned.rows[row]["REASON"] for row in NULL_IDS] == ["null id", "null id"]


def test_reason_of_the_input_stands_and_the_model_finds_the_others(partitioned: Run) -> None:
    rows = partitioned.rows
    assert rows[REASON]["REASON"] == "blank text"
    assert rows[WRONG_LENGTH]["REASON"] == "wrong length: 2, not 8"
    bad = {WRONG_LENGTH, REASON, *TWICE_HERE, *TWICE_THERE, *NULL_IDS}
    assert {at for at, row in enumerate(rows) if row["REASON"] is not None} == bad
    assert {at for at, row in enumerate(rows) if row["CLUSTER_ID"] is None} == bad


def test_output_folder_holds_parts_named_as_snowflake_names_them_and_the_marker(partitioned: Run) -> None:
    names = sorted(path.name for path in Path(partitioned.job.output).iterdir())
    assert names[-1] == "_SUCCESS"
    assert [bool(PART.fullmatch(name)) for name in names[:-1]] == [True]


def test_stages_progress_and_versions_are_reported(partitioned: Run) -> None:
    progress = [{"event": "progress", "done": number} for number in (1, 2, 3, 4)]
    assert partitioned.events == [
        {"event": "stage", "stage": "load"},
        {"event": "stage", "stage": "cluster", "rows": 240, "partitions": 4},
        *progress,
        {"event": "stage", "stage": "write"},
    ]
    versions = partitioned.outcome.versions
    assert versions["python"] == sys.version.split()[0].rstrip("+")
    assert {"numpy", "pandas", "scikit-learn", "snowflake-ml-python"} <= versions.keys()


def test_no_bytecode_is_left_in_the_artefact(partitioned: Run) -> None:
    assert list(Path(partitioned.job.artefact).rglob("__pycache__")) == []


NAN = float("nan")
DAY = dt.date(2024, 2, 29)
NOON = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
COLUMNS = {
    "integers": (pa.int64(), [3, 1, None, 3, 1, None], [2, 2, 2, 2, 2, 2]),
    "dates": (pa.date32(), [DAY, None, DAY, None, None, DAY], [3, 3, 3, 3, 3, 3]),
    "timestamps": (pa.timestamp("us", "UTC"), [NOON, None, NOON, NOON, NOON, None], [4, 2, 4, 4, 4, 2]),
    "booleans": (pa.bool_(), [True, False, None, True, True, None], [3, 1, 2, 3, 3, 2]),
    "floats": (pa.float64(), [NAN, None, NAN, 1.5, None, 1.5], [2, 2, 2, 2, 2, 2]),
    "zeros": (pa.float32(), [0.0, -0.0, 0.0, -0.0, None, NAN], [4, 4, 4, 4, 1, 1]),
    "decimals": (pa.decimal128(5, 2), [Decimal("1.10"), None, Decimal("1.1"), None, None, None], [2, 4, 2, 4, 4, 4]),
    "categories": (pa.dictionary(pa.int8(), pa.string()), ["a", None, "b", "a", "b", "a"], [3, 1, 2, 3, 2, 3]),
    "nulls only": (pa.null(), [None] * 6, [6] * 6),
}

RUN_JOBS = LOAD_HOST + (
    """
host = load_host()
for job in json.loads(sys.argv[1]):
    host.run_job(job, lambda **event: None)
print("0")
"""
)


@pytest.fixture(scope="module")
def by_type(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """One job for each type of the partition column, all run by one process."""
    folder = tmp_path_factory.mktemp("types")
    artefact = handmade_artefact(folder / "artefact")
    jobs = {}
    for name, (kind, values, _) in COLUMNS.items():
        (folder / name).mkdir()
        rows = write_rows(folder / name / "rows.parquet", [[1.0, 2.0]] * 6, partition=pa.array(values, kind))
        jobs[name] = job_for(artefact, rows, partition="group", params={})
    run_child(RUN_JOBS, json.dumps([asdict(job) for job in jobs.values()]))
    return jobs


@pytest.mark.parametrize("name", COLUMNS)
def test_partitions_of_any_type_are_told_apart_and_keep_their_values(name: str, by_type: dict[str, Job]) -> None:
    kind, values, sizes = COLUMNS[name]
    table = pq.read_table(next(Path(by_type[name].output).glob("*.parquet")))
    assert table["BLOCK_ROWS"].to_pylist() == sizes
    assert table.schema.field("group").type == kind
    assert str(table["group"].to_pylist()) == str(pa.array(values, kind).to_pylist())
    assert table["ROW_ID"].to_pylist() == ["0", "1", "2", "3", "4", "5"]


def test_long_output_is_split_into_numbered_parts_in_order(tmp_path: Path) -> None:
    size = 260_000
    vectors = np.zeros((size, 2), dtype=np.float32)
    offsets = pa.array(np.arange(0, 2 * size + 1, 2, dtype=np.int32))
    table = pa.table(
        {
            "ROW_ID": pa.array(np.arange(size)).cast(pa.string()),
            "EMBEDDING": pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel())),
            "REASON": pa.nulls(size, pa.string()),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=100_000)
    job = job_for(handmade_artefact(tmp_path / "artefact"), tmp_path / "rows.parquet", params={})
    run(job)
    parts = sorted(Path(job.output).glob("*.parquet"))
    unique = {part.name.split("_")[1] for part in parts}
    assert len(unique) == 1
    assert [part.name for part in parts] == [f"1_{part}_00000{n}-0.parquet" for part in unique for n in (0, 1)]
    assert [row for part in parts for row in pq.read_table(part)["ROW_ID"].to_pylist()] == table["ROW_ID"].to_pylist()


REPORT = """
import json, os, sys
import numpy, threadpoolctl, extra_dependency
numpy.ones((2, 2)) @ numpy.ones((2, 2))
said = {
    "params": [[column, df[column].tolist()] for column in df.columns[2:]],
    "embedding": [None if row is None else [str(row.dtype), row.tolist()] for row in df.iloc[:, 1]],
    "ids": df.iloc[:, 0].tolist(),
    "threads": sorted({pool["num_threads"] for pool in threadpoolctl.threadpool_info()}),
    "environment": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
    "path": sys.path,
    "project": sorted(name for name in sys.modules if name.startswith("aicluster_cli")),
}
print("noise of a library on standard output")
return answer(df, DETAILS=[json.dumps(said)] + [None] * (len(df) - 1))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Job]]:
    """What a handler sees, and the job."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "extra").mkdir()
    (folder / "extra" / "extra_dependency.py").write_text("")
    artefact = handmade_artefact(folder / "artefact", REPORT.strip(), params=["alpha", "beta", "gamma"])
    vectors: list[Any] = [[0.5, -1.5], None, [3.0, 4.0, 5.0], [1.0, 1.0]]
    rows = write_rows(folder / "rows.parquet", vectors, reasons=[None, None, None, "blank text"])
    job = job_for(artefact, rows, params={"gamma": "leaf", "beta": 0.25, "alpha": 7}, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "extra"), *sys.path]))
        run(job)
    yield json.loads(read_output(job)[0]["DETAILS"]), job


def test_parameters_reach_the_handler_in_its_own_order(said: tuple[dict[str, Any], Job]) -> None:
    values = [values for _, values in said[0]["params"]]
    assert values == [[7] * 4, [0.25] * 4, ["leaf"] * 4]


def test_vectors_reach_the_handler_as_float32_and_not_at_all_where_the_row_is_known_to_be_bad(
    said: tuple[dict[str, Any], Job],
) -> None:
    float32 = [None if row is None else row[0] for row in said[0]["embedding"]]
    assert float32 == ["float32", None, "float32", None]
    assert [row and row[1] for row in said[0]["embedding"]] == [[0.5, -1.5], None, [3.0, 4.0, 5.0], None]
    assert said[0]["ids"] == ["0", "1", "2", "3"]


def test_threads_limit_linear_algebra(said: tuple[dict[str, Any], Job]) -> None:
    assert said[0]["threads"] == [1]
    assert said[0]["environment"] == {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def test_nothing_of_the_project_is_imported_by_the_process_itself(said: tuple[dict[str, Any], Job]) -> None:
    assert said[0]["project"] == []
    assert not [entry for entry in said[0]["path"] if entry.endswith("aicluster_cli/packaging")]


def test_what_libraries_print_goes_to_the_log_and_not_between_the_reports(said: tuple[dict[str, Any], Job]) -> None:
    assert "noise of a library on standard output" in Path(said[1].log).read_text()
