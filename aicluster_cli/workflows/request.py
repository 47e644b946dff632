"""What a run is asked to do, what it would do, and what it did."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aicluster_cli.errors import BadRowsError, UsageError
from aicluster_cli.records import RUN_SCHEMA, RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aicluster_cli.clustering.params import ParamValue
    from aicluster_cli.sources.spec import SourceSpec


@dataclass(frozen=True)
class RowLimit:
    """How many rows may be bad: a number of rows, or a share of all rows."""

    value: float = 0
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> RowLimit:
        """Read ``25`` or ``2.5%``.

        Raises
        ------
        UsageError
            If it is neither.
        """
        match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)%", text.strip())
        if match is None or (match[2] and float(match[2]) > 100):
            raise UsageError(f"--max-bad-rows is {text!r}", hint="give a number of rows or a share: 25 or 2.5%")
        return cls(float(match[1] or match[2]), percent=bool(match[2]))

    def allows(self, bad_rows: int, rows: int) -> bool:
        """Return whether so many bad rows among all are within the limit."""
        return bad_rows <= (self.value * rows / 100 if self.percent else self.value)


@dataclass(frozen=True)
class RunRequest:
    """What a person asks a run to do; the fields are the flags of ``aicluster run``."""

    model: str
    source: SourceSpec
    params: Mapping[str, str]
    version: str | None = None
    output: Path | None = None
    join: bool = False
    max_bad_rows: RowLimit = RowLimit()
    run_id: str | None = None
    overwrite: bool = False
    keep_inputs: bool = True


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes
    ----------
    record
        The run's record, complete.
    output
        Where the rows are: the file asked for, else the folder of the run's parts.
    excess
        The error to end with, if there are more bad rows than allowed.
    rejoined
        Whether the run was finished before, so that nothing was done again.
    """

    record: RunRecord
    output: str
    excess: BadRowsError | None = None
    rejoined: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``aicluster run --json`` prints."""
        record = self.record
        values = {
            "schema": RUN_SCHEMA,
            "run_id": record.run_id,
            "model": record.model,
            "version": record.version,
            "platform": record.platform,
            "status": record.status,
            "rows": record.rows,
            "clustered_rows": record.clustered_rows,
            "clusters": record.clusters,
            "outliers": record.outliers,
            "bad_rows": record.bad_rows,
            "seconds": record.seconds,
            "output": self.output,
        }
        return values | ({"partitions": record.partitions} if record.source.partition_column else {})


@dataclass(frozen=True)
class RunPlan:
    """What a run would do: ``--dry-run``."""

    model: str
    version: str
    registers: bool
    params: dict[str, ParamValue]
    source: str
    columns: dict[str, str]
    output: str

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {"schema": "aicluster.plan/1", **self.__dict__}
