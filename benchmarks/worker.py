"""One measurement, in a process of its own: ``python -m benchmarks.worker JOB.json RESULT.json``."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_STATUS = Path("/proc/self/status")


def main() -> None:
    """Do the job of the first argument's file and write what was measured to the second's."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if hasattr(os, "sched_setaffinity"):  # some packages take a thread for every processor they may run on
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["threads"]])
    found = {"cluster": _cluster, "parse": _parse, "task": _task}[job["kind"]](job)
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")


def _cluster(job: dict[str, Any]) -> dict[str, Any]:
    from benchmarks.methods import GROUPS

    method = next(method for method in GROUPS[job["group"]] if method.name == job["name"])
    unit = np.load(job["matrix"])
    started = time.perf_counter()
    method.load()
    startup = time.perf_counter() - started
    found = _timed(lambda: method.fit(unit, job["k"], job["seed"]), job["patience"])
    first, again = found.pop("results")
    np.save(job["labels"], first)
    repeatable = None if again is None else bool(np.array_equal(first, again))
    return found | {"startup_seconds": startup, "repeatable": repeatable}


def _parse(job: dict[str, Any]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from benchmarks.parsers import PARSERS

    parser = next(parser for parser in PARSERS if parser.name == job["name"])
    column = pq.read_table(job["source"], columns=["embedding"])["embedding"]
    prepared = parser.prepare(column)
    found = _timed(lambda: parser.parse(prepared), job["patience"])
    matrix = found.pop("results")[0]
    right = bool(np.array_equal(matrix, np.load(job["expected"])))
    extra = found["peak_mb"] - found["start_mb"] - matrix.nbytes / 1e6
    return found | {"startup_seconds": 0.0, "exact": right, "extra_mb": extra}


def _task(job: dict[str, Any]) -> dict[str, Any]:
    from benchmarks.tasks import TASKS

    task = next(task for task in TASKS if task.name == job["name"])
    found = _timed(lambda: task.run(Path(job["folder"]), job["k"]), patience=0)
    del found["results"]
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    return found | {"startup_seconds": 0.0, "peak_mb": max(found["peak_mb"], children)}


def _timed(call: Callable[[], Any], patience: float) -> dict[str, Any]:
    """Call once, and once more if the first took no longer than ``patience`` seconds."""
    start_mb = _reset_peak()
    wall, processor = time.perf_counter(), time.process_time()
    first, again = call(), None
    found: dict[str, Any] = {
        "first_seconds": time.perf_counter() - wall,
        "first_cpu_seconds": time.process_time() - processor,
        "start_mb": start_mb,
        "peak_mb": _peak_mb(),
        "again_seconds": None,
        "again_cpu_seconds": None,
    }
    if found["first_seconds"] <= patience:
        wall, processor = time.perf_counter(), time.process_time()
        again = call()
        found["again_seconds"] = time.perf_counter() - wall
        found["again_cpu_seconds"] = time.process_time() - processor
    return found | {"results": (first, again)}


def _reset_peak() -> float:
    """Forget the peak so far, where the system can, and return the resident megabytes now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak_mb()


def _peak_mb() -> float:
    # Not getrusage where there is another way: on Linux a process inherits the peak of the one that started it.
    if _STATUS.exists():
        lines = _STATUS.read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1.024e-3
    scale = 1e-6 if sys.platform == "darwin" else 1e-3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


if __name__ == "__main__":
    main()
