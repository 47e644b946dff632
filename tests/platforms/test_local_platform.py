"""The local platform: claims, records and runs under one root."""

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from local_stores import hear, largest_file, say, start

from aicluster_cli.clustering.params import DEEP_PARAMS, KMEANS_PARAMS, defaults
from aicluster_cli.clustering.schema import OUTPUT_NAMES
from aicluster_cli.errors import JobFailedError, ModelError, OutputError, RunError
from aicluster_cli.packaging.spec import spec_for
from aicluster_cli.platforms.local.platform import LocalPlatform
from aicluster_cli.records import RunRecord, SourceRecord

FOLDERS = ["", "registry", "stage", "logs", "locks"]


@pytest.fixture
def platform(tmp_path: Path) -> LocalPlatform:
    return LocalPlatform(tmp_path / "store", threads=1, package_version="0.1")


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    return tmp_path / "store" / "stage"


def record(run_id: str = "nightly_1", **changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "model": "AI_CLUSTER_KMEANS",
        "version": "V1",
        "content_hash": "0" * 64,
        "platform": "local",
        "params": defaults(KMEANS_PARAMS),
        "source": SourceRecord(name="messages.csv", id_column="id"),
    }
    return RunRecord(run_id, **(values | changes))


def test_setup_makes_every_folder_once(tmp_path: Path, platform: LocalPlatform) -> None:
    plan = platform.plan_setup()
    assert [step.name for step in plan] == [str(tmp_path / "store" / folder) for folder in FOLDERS]
    assert {(step.action, step.kind) for step in plan} == {("create", "folder")}
    assert not (tmp_path / "store").exists()

    platform.apply_setup(plan)
    assert {step.action for step in platform.plan_setup()} == {"nothing"}
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == sorted(FOLDERS[1:])
    platform.apply_setup(plan)
    assert {step.action for step in platform.plan_setup()} == {"nothing"}


def test_setup_plans_only_the_folders_that_are_missing(tmp_path: Path, platform: LocalPlatform) -> None:
    (tmp_path / "store" / "registry").mkdir(parents=True)
    actions = {Path(step.name).name: step.action for step in platform.plan_setup()}
    assert actions == {
        "store": "nothing",
        "registry": "nothing",
        "stage": "create",
        "logs": "create",
        "locks": "create",
    }


def test_setup_where_no_folder_can_be_made_is_an_output_error(tmp_path: Path, platform: LocalPlatform) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(OutputError, match=str(tmp_path / "store")):
        platform.apply_setup(platform.plan_setup())


def test_reading_an_empty_store_makes_nothing(tmp_path: Path, platform: LocalPlatform) -> None:
    assert platform.runs() == []
    assert platform.models() == []
    assert platform.busy("nightly_1") is False
    assert platform.logs("nightly_1") == ""
    assert platform.files("nightly_1").list() == []
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys
from pathlib import Path
from aicluster_cli.platforms.local.platform import LocalPlatform
with LocalPlatform(Path(sys.argv[1])).claim(sys.argv[2], overwrite=False):
    print("held", flush=True)
    sys.stdin.readline()
"""

COUNT = """
import sys
from pathlib import Path
from aicluster_cli.platforms.local.platform import LocalPlatform
platform, counter = LocalPlatform(Path(sys.argv[1])), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    with platform.claim("Counting", overwrite=False):
        before = int(counter.read_text())
        for number in range(before, before + 200):
            counter.write_text(str(number + 1))
print("done", flush=True)
"""


def test_only_one_process_at_a_time_has_the_claim(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    arguments = (COUNT, str(tmp_path / "store"), str(counter))
    with start(*arguments) as first, start(*arguments) as second:
        assert [hear(first), hear(second)] == ["ready", "ready"]
        say(first, "go")
        say(second, "go")
        assert [hear(first), hear(second)] == ["done", "done"]
    assert counter.read_text() == "1200"


def test_claim_is_given_up_when_its_process_ends_or_is_killed(tmp_path: Path, platform: LocalPlatform) -> None:
    for end in (lambda process: process.kill(), lambda process: say(process, "that will do")):
        with start(HOLD, str(tmp_path / "store"), "NIGHTLY") as process:
            assert hear(process) == "held"
            assert platform.busy("nightly")
            assert not platform.busy("nightly_2")
            end(process)
            assert process.wait(60) in (0, -signal.SIGKILL)
        assert not platform.busy("nightly")
        with platform.claim("Nightly", overwrite=False):
            assert platform.busy("NIGHTLY")
        assert not platform.busy("nightly")


def test_claim_is_given_up_after_an_error(platform: LocalPlatform) -> None:
    with pytest.raises(ZeroDivisionError), platform.claim("nightly", overwrite=False):
        raise ZeroDivisionError
    assert not platform.busy("nightly")


@pytest.mark.parametrize(("overwrite", "kept"), [(True, False), (False, True)])
def test_overwrite_removes_the_old_run_and_nothing_else(
    overwrite: bool, kept: bool, platform: LocalPlatform, stage: Path
) -> None:
    for run_id in ("Nightly", "nightly_2"):
        platform.save(record(run_id))
        (stage / run_id / "input").mkdir()
        (stage / run_id / "input" / "rows.parquet").write_bytes(b"rows")
    with platform.claim("NIGHTLY", overwrite=overwrite):
        assert (stage / "Nightly").exists() is kept
        assert (stage / "nightly_2" / "input" / "rows.parquet").exists()


def test_longest_run_id_has_a_lock_a_record_and_a_log(quick_store: Path) -> None:
    platform, run_id = LocalPlatform(quick_store), "R" * 255
    with platform.claim(run_id, overwrite=False):
        assert platform.busy(run_id)
        stage_rows(platform, run_id, blobs(30))
        execute(platform, record(run_id))
    assert platform.find_run(run_id.lower()).run_id == run_id
    assert "clustering quickly" in platform.logs(run_id)


def test_record_comes_back_as_it_was_saved(platform: LocalPlatform, stage: Path) -> None:
    saved = record(
        status="done",
        params={"n_clusters": 3, "share": 0.25},
        source=SourceRecord(name="名前.csv", files=["a.csv", "b.csv"], partition_column="region", rows=7),
        details=[{"partition": None, "n_clusters": 3}],
        bad_rows_by_reason={"null text": 2},
        error={"code": "failed", "message": "…"},
    )
    platform.save(saved)
    assert platform.find_run("nightly_1") == saved
    assert [path.name for path in (stage / "nightly_1").iterdir()] == ["run.json"]
    assert json.loads((stage / "nightly_1" / "run.json").read_text(encoding="utf-8"))["schema"] == "aicluster.record/1"


def test_save_that_fails_keeps_the_record_there_was(platform: LocalPlatform, stage: Path) -> None:
    saved = record(status="done")
    platform.save(saved)
    with largest_file(100), pytest.raises(OutputError, match=r"run\.json"):
        platform.save(record(status="failed", statements=["select 1"]))
    assert platform.find_run("nightly_1") == saved
    assert [path.name for path in (stage / "nightly_1").iterdir()] == ["run.json"]


def test_saving_goes_to_the_folder_that_has_the_id_in_other_letters(platform: LocalPlatform, stage: Path) -> None:
    platform.save(record("Nightly"))
    platform.save(record("NIGHTLY", status="done"))
    assert [path.name for path in stage.iterdir()] == ["Nightly"]
    assert platform.run_name("nightly") == "Nightly"
    assert platform.run_name("weekly") == "weekly"


def test_running_is_what_a_record_says_while_its_process_lives(tmp_path: Path, platform: LocalPlatform) -> None:
    platform.save(record("nightly", status="running"))
    with start(HOLD, str(tmp_path / "store"), "nightly") as process:
        assert hear(process) == "held"
        assert platform.find_run("nightly").status == "running"
        assert [run.status for run in platform.runs()] == ["running"]
        process.kill()
    assert platform.find_run("nightly").status == "interrupted"
    assert [run.status for run in platform.runs()] == ["interrupted"]


@pytest.mark.parametrize("status", ["done", "failed", "interrupted"])
def test_status_of_a_run_that_has_ended_stands(status: Any, platform: LocalPlatform) -> None:
    platform.save(record(status=status))
    assert platform.find_run("nightly_1").status == status


@pytest.mark.parametrize("asked", ["Nightly_1", "nightly_1", "NIGHTLY_1"])
def test_run_is_found_in_any_case_of_letters(asked: str, platform: LocalPlatform) -> None:
    platform.save(record("Nightly_1"))
    assert platform.find_run(asked).run_id == "Nightly_1"


def test_runs_are_newest_first_and_the_newest_is_the_default(platform: LocalPlatform) -> None:
    for run_id, day in (("b", "02"), ("c", "03"), ("a", "01")):
        platform.save(record(run_id, status="done", created=f"2024-01-{day}T00:00:00.000+00:00"))
    assert [run.run_id for run in platform.runs()] == ["c", "b", "a"]
    assert platform.find_run(None).run_id == "c"


@pytest.mark.parametrize("asked", ["weekly", "", ".", "..", "../registry", "nightly_1/input"])
def test_run_that_is_not_there_is_an_error(asked: str, platform: LocalPlatform, stage: Path) -> None:
    platform.save(record())
    (stage / "nightly_1" / "input").mkdir()
    (stage.parent / "registry").mkdir()
    with pytest.raises(RunError, match=re.escape(f"there is no run {asked}")) as caught:
        platform.find_run(asked)
    assert "aicluster runs" in caught.value.hint


def test_without_any_run_the_hint_says_how_to_make_one(platform: LocalPlatform) -> None:
    with pytest.raises(RunError, match="there are no runs yet") as caught:
        platform.find_run(None)
    assert "aicluster run kmeans --input" in caught.value.hint


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '"text"', "{}", '{"schema": "aicluster.record/9"}', "missing"]
)
def test_broken_record_is_an_error_that_names_the_file_and_hides_no_other_run(
    content: str, platform: LocalPlatform, stage: Path
) -> None:
    platform.save(record("broken", created="2999-01-01"))
    platform.save(record("good", status="done"))
    path = stage / "broken" / "run.json"
    path.unlink()
    if content != "missing":
        path.write_text(content)
    (stage / "a file").write_text("no run")
    with pytest.raises(RunError, match=re.escape(str(path))) as caught:
        platform.find_run("broken")
    assert "--overwrite" in caught.value.hint
    assert [run.run_id for run in platform.runs()] == ["good"]
    assert platform.find_run(None).run_id == "good"


@pytest.mark.parametrize("key", ["run_id", "model", "version", "params", "source"])
def test_record_that_lacks_a_key_is_broken(key: str, platform: LocalPlatform, stage: Path) -> None:
    platform.save(record())
    path = stage / "nightly_1" / "run.json"
    values = json.loads(path.read_text())
    del values[key]
    path.write_text(json.dumps(values))
    with pytest.raises(RunError, match=key):
        platform.find_run("nightly_1")


def blobs(rows: int) -> np.ndarray:
    random = np.random.default_rng(1)
    vectors = np.eye(6)[np.arange(rows) % 3] + random.normal(scale=0.05, size=(rows, 6))
    return vectors.astype(np.float32)


def stage_rows(platform: LocalPlatform, run_id: str, vectors: np.ndarray, partition: pa.Array | None = None) -> None:
    table = pa.table(
        {
            "ROW_ID": [str(row) for row in range(len(vectors))],
            "TEXT": ["some text"] * len(vectors),
            "EMBEDDING": pa.array(list(vectors), pa.list_(pa.float32())),
            "REASON": pa.nulls(len(vectors), pa.string()),
        }
    )
    if partition is not None:
        table = table.append_column("PARTITION", partition)
    platform.input_folder(run_id).mkdir(parents=True)
    pq.write_table(table, platform.input_folder(run_id) / "rows.parquet")


def execute(platform: LocalPlatform, run: RunRecord) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    platform.save(run)
    platform.execute(run, events.append)
    return events


def output_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / "output").rglob("*") if path.is_file())


def test_run_leaves_its_parts_and_the_marker_in_the_folder_of_its_job_and_nothing_of_a_former_one(store: Path) -> None:
    platform, folder = LocalPlatform(store), store / "stage" / "Nightly"
    stage_rows(platform, "Nightly", blobs(60))
    (folder / "output" / "Nightly").mkdir(parents=True)
    (folder / "output" / "Nightly" / "1_0a0b0c_000000-0.parquet").write_bytes(b"of a former run")
    run = record("NIGHTLY", params={**defaults(KMEANS_PARAMS), "n_clusters": 3})
    events = execute(platform, run)

    names = output_names(folder)
    assert len(names) == 2
    assert re.fullmatch(r"output/Nightly/1_[0-9a-f]{6}_000000-0\.parquet", names[0])
    assert names[1] == "output/Nightly/_SUCCESS"
    assert [file.name for file in platform.files("nightly").list()] == ["input/rows.parquet", *names, "run.json"]
    table = pq.read_table(folder / names[0])
    assert table.column_names == [*OUTPUT_NAMES]
    labels = table["CLUSTER_ID"].to_pylist()
    assert set(labels) == {0, 1, 2}
    assert labels == [labels[row % 3] for row in range(60)]
    assert [event["stage"] for event in events if event["event"] == "stage"] == ["load", "cluster", "write"]
    assert run.versions.keys() >= {"python", "numpy", "scikit-learn"}
    assert platform.logs("nightly") == ""


def test_deep_run_clusters_each_partition_and_names_the_column_as_the_source_does(store: Path) -> None:
    platform = LocalPlatform(store)
    stage_rows(platform, "parts", blobs(120), pa.array([2024, None] * 60, pa.int32()))
    source = SourceRecord(name="messages.csv", partition_column="year")
    run = record("parts", model="AI_CLUSTER_DEEP", params=defaults(DEEP_PARAMS), source=source)
    events = execute(platform, run)

    table = pq.read_table(next(platform.job_folder("parts").glob("*.parquet")))
    assert table.schema.field("year").type == pa.int32()
    assert table["year"].to_pylist() == [2024, None] * 60
    assert set(table["BLOCK_ROWS"].to_pylist()) == {60}
    assert set(table["CLUSTER_ID"].to_pylist()) >= {0, 1, 2}
    assert {"event": "progress", "done": 2} in events


def test_failed_run_leaves_no_output_and_its_log(quick_store: Path) -> None:
    platform = LocalPlatform(quick_store)
    (quick_store / "stage" / "nightly_1" / "output" / "nightly_1").mkdir(parents=True)
    (quick_store / "stage" / "nightly_1" / "output" / "nightly_1" / "_SUCCESS").touch()
    with pytest.raises(JobFailedError, match=r"rows\.parquet") as caught:
        execute(platform, record())
    assert not (quick_store / "stage" / "nightly_1" / "output").exists()
    assert "Traceback" in platform.logs("NIGHTLY_1")
    assert str(quick_store / "logs" / "nightly_1.log") in caught.value.hint


def test_results_that_do_not_fit_on_the_disk_are_an_output_error_and_leave_no_output(quick_store: Path) -> None:
    platform = LocalPlatform(quick_store)
    stage_rows(platform, "nightly_1", blobs(60))
    platform.save(record())
    with largest_file(1000), pytest.raises(OutputError, match="nightly_1"):
        platform.execute(record(), lambda event: None)
    assert [file.name for file in platform.files("nightly_1").list()] == ["input/rows.parquet", "run.json"]


def test_run_of_a_version_that_was_dropped_or_damaged_is_refused(store: Path) -> None:
    platform = LocalPlatform(store)
    stage_rows(platform, "nightly_1", blobs(60))
    (store / "registry" / "AI_CLUSTER_KMEANS" / "V1" / "functions" / "predict_array.py").write_text("import os\n")
    with pytest.raises(ModelError, match=r"functions/predict_array\.py has changed"):
        execute(platform, record())
    shutil.rmtree(store / "registry" / "AI_CLUSTER_KMEANS")
    with pytest.raises(ModelError, match="AI_CLUSTER_KMEANS has no version V1"):
        execute(platform, record())


def test_models_are_registered_found_and_dropped_through_the_platform(store: Path) -> None:
    platform, kmeans = LocalPlatform(store, package_version="9.9"), spec_for("kmeans")
    assert [version.model for version in platform.models()] == ["AI_CLUSTER_DEEP", "AI_CLUSTER_KMEANS"]
    assert not platform.register(kmeans).created
    assert [version.version for version in platform.drop(kmeans.name)] == ["V1"]
    assert platform.find_version(kmeans) is None
    done = platform.register(kmeans, version="again", comment="by hand")
    assert (done.version.version, done.version.comment, done.version.package_version) == ("AGAIN", "by hand", "9.9")
    assert platform.find_version(kmeans, "again") == done.version
