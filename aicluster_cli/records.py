"""What is kept on record: runs, registered versions and plans, and their JSON forms."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, Self

RECORD_SCHEMA = "aicluster.record/1"
RUN_SCHEMA = "aicluster.run/1"

Status = Literal["running", "done", "failed", "interrupted"]

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,254}")  # an unquoted Snowflake identifier


def now() -> str:
    """Return the present time, UTC, as ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class SourceRecord:
    """Where a run's rows came from: what was asked for, what was read, and the hash of its content."""

    name: str
    input: str | None = None
    query: str | None = None
    format: str | None = None
    files: list[str] = field(default_factory=list)
    id_column: str | None = None
    text_column: str | None = None
    embedding_column: str | None = None
    partition_column: str | None = None
    rows: int | None = None
    content_hash: str | None = None


@dataclass
class RunRecord:
    """A run from before it is submitted to after it has ended: ``run.json`` in the run's folder.

    Times are ISO 8601 in UTC, ``timings`` seconds by stage. ``details`` holds what the model said about each partition.
    """

    run_id: str
    model: str
    version: str
    content_hash: str
    platform: str
    params: dict[str, Any]
    source: SourceRecord
    method: str = "predict_array"
    embedding_model: str | None = None
    status: Status = "running"
    created: str = field(default_factory=now)
    finished: str | None = None
    seconds: float | None = None
    rows: int | None = None
    clustered_rows: int | None = None
    clusters: int | None = None
    outliers: int | None = None
    bad_rows: int | None = None
    bad_rows_by_reason: dict[str, int] = field(default_factory=dict)
    partitions: list[dict[str, Any]] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)
    quality: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    inputs_kept: bool = True
    error: dict[str, str] | None = None
    schema: str = RECORD_SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, the schema first."""
        values = asdict(self)
        return {"schema": values.pop("schema"), **values}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read a record; keys of later versions are ignored.

        Raises
        ------
        ValueError
            If it is not a run record.
        """
        if not isinstance(values, dict) or values.get("schema") != RECORD_SCHEMA:
            raise ValueError(f"not a run record of schema {RECORD_SCHEMA}")
        for key in ("run_id", "model", "created"):
            if not isinstance(values.get(key, ""), str):
                raise ValueError(f"{key} of the run record is not text")  # noqa: TRY004 - a damaged file, not a call
        try:
            source = SourceRecord(**_known(SourceRecord, values["source"]))
            return cls(**{**_known(cls, values), "source": source})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"incomplete run record: {error}") from error

    def request(self) -> dict[str, Any]:
        """Return what makes two runs the same work: model content, parameters, columns and source content."""
        source = asdict(self.source)
        asked = ("input", "query", "id_column", "text_column", "embedding_column", "partition_column", "content_hash")
        return {
            "model": self.model,
            "content_hash": self.content_hash,
            "params": self.params,
            "embedding_model": self.embedding_model,
            "source": {key: source[key] for key in asked},
        }


@dataclass(frozen=True)
class ModelVersion:
    """One registered version of a model.

    ``python`` is the minor version of Python the artefact is bound to; ``location`` where it is stored.
    """

    model: str
    version: str
    content_hash: str
    python: str
    created: str
    package_version: str
    comment: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)
    location: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Registration:
    """The outcome of ``register``: the version, and whether it was made now or there already."""

    version: ModelVersion
    created: bool


@dataclass(frozen=True)
class PlanStep:
    """One step of ``setup``: what is done to which object, and whether there is anything to do."""

    action: Literal["create", "change", "nothing"]
    kind: str
    name: str


@dataclass(frozen=True)
class Check:
    """One finding of ``doctor``, with the cure where it is not OK."""

    name: str
    result: Literal["OK", "WARN", "FAIL"]
    found: str
    cure: str = ""


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    return {key: value for key, value in values.items() if key in names}
