"""Run records in their JSON form, and what makes two runs the same work."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aicluster_cli.records import IDENTIFIER, RECORD_SCHEMA, RunRecord, SourceRecord, now


def record(**changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "run_id": "nightly_1",
        "model": "AI_CLUSTER_KMEANS",
        "version": "V1",
        "content_hash": "0" * 64,
        "platform": "local",
        "params": {"n_clusters": 3},
        "source": SourceRecord(name="messages.csv", input="messages.csv", content_hash="1" * 64),
    }
    return RunRecord(**(values | changes))


def test_record_survives_json_and_names_its_schema_first() -> None:
    before = record(details=[{"partition": None}], bad_rows_by_reason={"null text": 1}, error={"code": "failed"})
    values = json.loads(json.dumps(before.to_json()))
    assert next(iter(values.items())) == ("schema", RECORD_SCHEMA)
    assert RunRecord.from_json(values) == before


def test_new_record_is_running_and_has_a_time_of_its_own() -> None:
    made = record()
    assert made.status == "running"
    assert made.finished is None
    assert abs(datetime.now(UTC) - datetime.fromisoformat(made.created)) < timedelta(minutes=1)


def test_keys_of_later_versions_are_ignored() -> None:
    values = record().to_json()
    values["invented_later"] = 1
    values["source"]["invented_later"] = 1
    assert RunRecord.from_json(values).to_json() == record(created=values["created"]).to_json()


@pytest.mark.parametrize(
    "values", [None, 3, "text", [], {}, {"schema": "aicluster.record/2"}, {"schema": "aicluster.run/1"}]
)
def test_what_is_no_run_record_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=f"not a run record of schema {RECORD_SCHEMA}"):
        RunRecord.from_json(values)


@pytest.mark.parametrize("key", ["run_id", "model", "version", "content_hash", "platform", "params", "source"])
def test_record_that_lacks_a_key_is_refused_by_its_name(key: str) -> None:
    values = record().to_json()
    del values[key]
    with pytest.raises(ValueError, match=f"incomplete run record: .*{key}"):
        RunRecord.from_json(values)


@pytest.mark.parametrize("damage", [{"source": "a.csv"}, {"created": 3}, {"run_id": None}, {"model": ["x"]}])
def test_record_with_values_of_other_kinds_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="run record"):
        RunRecord.from_json({**record().to_json(), **damage})


def test_source_without_a_name_is_refused() -> None:
    values = record().to_json()
    del values["source"]["name"]
    with pytest.raises(ValueError, match=r"incomplete run record: .*name"):
        RunRecord.from_json(values)


SAME = {"version": "V9", "platform": "snowflake", "run_id": "other", "status": "done", "rows": 7, "inputs_kept": False}
OTHER = {"model": "AI_CLUSTER_DEEP", "content_hash": "2" * 64, "params": {"n_clusters": 4}, "embedding_model": "m"}


@pytest.mark.parametrize("key", SAME)
def test_how_and_where_a_run_went_does_not_make_it_other_work(key: str) -> None:
    assert record(**{key: SAME[key]}).request() == record().request()


@pytest.mark.parametrize("key", OTHER)
def test_model_content_and_parameters_make_it_other_work(key: str) -> None:
    assert record(**{key: OTHER[key]}).request() != record().request()


@pytest.mark.parametrize("key", ["input", "query", "id_column", "text_column", "partition_column", "content_hash"])
def test_columns_and_content_of_the_source_make_it_other_work(key: str) -> None:
    source = SourceRecord(**{"name": "messages.csv", "input": "messages.csv", "content_hash": "1" * 64, key: "other"})
    assert record(source=source).request() != record().request()


def test_time_is_utc_to_the_millisecond_and_sorts_as_text() -> None:
    first, second = now(), now()
    assert datetime.fromisoformat(first).utcoffset() == timedelta(0)
    assert len(first) == len("2024-01-01T00:00:00.000+00:00")
    assert first <= second


@pytest.mark.parametrize("name", ["V1", "_", "a", "nightly_2024$x", "A" * 255])
def test_unquoted_snowflake_identifiers_are_names(name: str) -> None:
    assert IDENTIFIER.fullmatch(name)


@pytest.mark.parametrize("name", ["", "1x", "$x", "a-b", "a b", "a.b", "../a", "é", "a\n", "A" * 256])
def test_anything_else_is_no_name(name: str) -> None:
    assert IDENTIFIER.fullmatch(name) is None
