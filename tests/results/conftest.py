from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aicluster_cli.clustering.schema import OUTPUT_COLUMNS

ARROW_TYPES = {"text": pa.string(), "int64": pa.int64(), "double": pa.float64()}


class Rows:
    """Builds output rows as a model would, every column overridable by name."""

    def __call__(self, ids: Sequence[str | None], clusters: Sequence[int | None] | None = None, **columns) -> pa.Table:
        size = len(ids)
        clusters = [0] * size if clusters is None else clusters
        values = {
            "ROW_ID": ids,
            "CLUSTER_ID": clusters,
            "STRENGTH": [None if cluster is None else 0.9 for cluster in clusters],
            "DISTANCE": [None if cluster is None else 0.1 for cluster in clusters],
            "BLOCK_ROWS": [size] * size,
            "REASON": ["null text" if cluster is None else None for cluster in clusters],
        }
        arrays = {
            column.name: pa.array(values.get(column.name, [None] * size), ARROW_TYPES[column.type])
            for column in OUTPUT_COLUMNS
        }
        for name, given in columns.items():
            kind = next((ARROW_TYPES[column.type] for column in OUTPUT_COLUMNS if column.name == name), None)
            arrays[name] = given if isinstance(given, pa.Array | pa.ChunkedArray) else pa.array(given, kind)
        return pa.table(arrays)


@pytest.fixture(scope="session")
def rows() -> Rows:
    return Rows()


class RunFolder:
    """A run's folder on disk, with the parts of one job."""

    def __init__(self, root: Path, job: str) -> None:
        self.root = root
        self.job = job
        self.output = root / "output" / job
        self.output.mkdir(parents=True)
        (root / "run.json").write_text("{}")
        (root / "input").mkdir()
        pq.write_table(pa.table({"ID": ["not a part"]}), root / "input" / "part.parquet")

    def part(self, table: pa.Table, name: str = "3_abc123_000000-0.parquet") -> Path:
        path = self.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path

    def finish(self) -> None:
        (self.output / "_SUCCESS").touch()


@pytest.fixture
def run_folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "RUN_1", "RUN_1")
