"""Inputs, jobs and small handwritten artefacts for the tests of the process that runs artefacts."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import aicluster_cli
from aicluster_cli.clustering.params import DEEP_PARAMS, KMEANS_PARAMS, defaults
from aicluster_cli.packaging.runner import HOST, Job

Shared = Callable[[str, Callable[[Path], None]], Path]

PROJECT = Path(aicluster_cli.__file__).parents[1]

HANDLER = """
import pandas as pd

param_cols = []


def answer(df, **columns):
    size = len(df)
    frame = {"ROW_ID": df.iloc[:, 0].to_numpy()}
    for name in ("CLUSTER_ID", "RAW_CLUSTER_ID", "LEVEL_1", "LEVEL_2", "LEVEL_3", "BLOCK_ROWS"):
        frame[name] = pd.array([size if name == "BLOCK_ROWS" else 0] * size, dtype="Int64")
    for name in ("STRENGTH", "DISTANCE", "OUTLIER_SCORE"):
        frame[name] = [0.0] * size
    for name in ("REASON", "DETAILS"):
        frame[name] = pd.Series([None] * size, dtype="object")
    return pd.DataFrame(frame | columns)


class infer:
    def end_partition(self, df):
        return answer(df)
"""


def handmade_artefact(folder: Path, body: str = "return answer(df)", params: Sequence[str] = ()) -> Path:
    """Write an artefact whose handler does what ``body`` says, without the vendor's slow imports."""
    handler = HANDLER.replace("return answer(df)\n", body.replace("\n", "\n        ") + "\n")
    (folder / "functions").mkdir(parents=True)
    (folder / "functions" / "predict_array.py").write_text(handler.replace("param_cols = []", f"param_cols = {params}"))
    return folder


def blobs(sizes: Sequence[int], dimension: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return well separated float32 rows in mixed order, and which blob each belongs to."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = np.eye(dimension)[truth] + random.normal(scale=0.05, size=(len(truth), dimension))
    return rows.astype(np.float32), truth


def write_rows(
    path: Path,
    vectors: Sequence[Any],
    *,
    ids: Sequence[str | None] | None = None,
    reasons: Sequence[str | None] | None = None,
    partition: pa.Array | None = None,
) -> Path:
    columns = {
        "ROW_ID": pa.array(ids if ids is not None else [str(row) for row in range(len(vectors))], pa.string()),
        "EMBEDDING": pa.array(list(vectors), pa.list_(pa.float32())),
        "REASON": pa.array(reasons if reasons is not None else [None] * len(vectors), pa.string()),
    }
    if partition is not None:
        columns["PARTITION"] = partition
    pq.write_table(pa.table(columns), path)
    return path


def job_for(artefact: Path, rows: Path, **changes: Any) -> Job:
    """Return a job that clusters ``rows`` into an ``output`` folder beside it, with the model's defaults."""
    params = defaults(DEEP_PARAMS if artefact.name == "AI_CLUSTER_DEEP" else KMEANS_PARAMS)
    values = {
        "artefact": str(artefact),
        "method": "predict_array",
        "params": params,
        "input": str(rows),
        "partition": None,
        "output": str(rows.parent / "output"),
        "log": str(rows.parent / "log.txt"),
        "threads": 1,
    }
    return Job(**(values | changes))


def read_output(job: Job) -> list[dict[str, Any]]:
    parts = sorted(Path(job.output).glob("*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts]).to_pylist()


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, with which a child finds the project's own sources."""
    return {**os.environ, "PYTHONPATH": str(PROJECT), **changes}


def run_child(code: str, *args: str, python: str | Path = sys.executable, pythonpath: Path | str = PROJECT) -> Any:
    """Run ``code`` in a fresh Python, outside the project's folder, and return the JSON in the last line it prints."""
    command = [str(python), "-P", "-c", code, *args]
    env = environment(PYTHONPATH=str(pythonpath))
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOAD_HOST = f"""
import importlib.util, json, sys
def load_host(path={str(HOST)!r}):
    spec = importlib.util.spec_from_file_location("host", path)
    host = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(host)
    return host
"""


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process, or of the ones it starts, grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
