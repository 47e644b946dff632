"""``memory``: peak memory and seconds of whole tasks, from a file to labels, each in its own process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import plots, process, report, synthetic
from benchmarks.clusterings import split_missing
from benchmarks.tasks import MATRIX, TASKS, TEXT

if TYPE_CHECKING:
    import argparse

COLUMNS = (
    ("task", "task", ""),
    ("peak GB", "peak_gb", ".2f"),
    ("peak / matrix", "peak_ratio", ".2f"),
    ("s", "cold_seconds", ".1f"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own options."""
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("-k", type=int, default=50, help="clusters for K-Means")
    parser.set_defaults(rounds=1)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of all tasks."""
    tasks, missing = split_missing(TASKS, arguments.only)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        report.say(f"making {arguments.rows:,} x {arguments.dimension} synthetic rows, and their JSON text")
        matrix = Path(folder) / MATRIX
        synthetic.write_matrix(matrix, arguments.rows, dimension=arguments.dimension)
        size = synthetic.write_json(np.load(matrix, mmap_mode="r"), Path(folder) / TEXT)
        jobs = [
            {
                "kind": "task",
                "title": task.name,
                "name": task.name,
                "folder": folder,
                "k": arguments.k,
                "threads": arguments.threads,
                "patience": float("inf"),
            }
            for task in tasks
        ]
        measured = process.measure(jobs, rounds=arguments.rounds, timeout=arguments.timeout, say=report.say)
    matrix_mb = arguments.rows * arguments.dimension * 4 / 1e6
    results = []
    for task, outcomes in zip(tasks, measured, strict=True):
        row = {"task": task.name, **process.summary(outcomes)}
        if row["status"] == "ok":
            row |= {"peak_gb": row["peak_mb"] / 1e3, "peak_ratio": round(row["peak_mb"] / matrix_mb, 3)}
        results.append(row)
    return {"missing": missing, "matrix_bytes": matrix_mb * 1e6, "text_bytes": size, "results": results}


def show(found: dict[str, Any]) -> str:
    """Return the Markdown table."""
    good = [row for row in found["results"] if row["status"] == "ok"]
    bad = [f"{row['task']}: {row['status']}" for row in found["results"] if row["status"] != "ok"]
    title = (
        f"A float32 matrix of {found['matrix_bytes'] / 1e9:.2f} GB, {found['text_bytes'] / 1e9:.2f} GB as text. "
        "Peak resident memory of the largest single process; seconds are those of a first call, with all start-up but "
        "the interpreter's."
    )
    return "\n\n".join([title, report.table(good, COLUMNS), *bad])


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw the peaks."""
    points = [(row["task"], row["peak_gb"]) for row in found["results"] if row["status"] == "ok"]
    plots.bars(path, {"peak memory": points}, "GB")
