"""``parse``: from JSON text to a float32 matrix, beside other parsers, on one thread and on two."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import plots, process, report, synthetic
from benchmarks.clusterings import split_missing
from benchmarks.parsers import PARSERS

if TYPE_CHECKING:
    import argparse

COLUMNS = (
    ("parser", "parser", ""),
    ("threads", "threads", "d"),
    ("MB/s cold", "cold_mb_per_second", ",.0f"),
    ("MB/s warm", "mb_per_second", ",.0f"),
    ("time ratio", "time_ratio", ".2f"),
    ("MB beside text and matrix", "extra_mb", ",.0f"),
    ("exact at float32", "exact", ""),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own options."""
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.set_defaults(rounds=3)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of all parsers."""
    parsers, missing = split_missing(PARSERS, arguments.only)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        report.say(f"making {arguments.rows:,} x {arguments.dimension} numbers of {synthetic.DIGITS} digits")
        source, expected = Path(folder) / "text.parquet", Path(folder) / "expected.npy"
        size = _write(source, expected, arguments)
        jobs = [
            {
                "kind": "parse",
                "title": f"{parser.name}, {threads} threads",
                "name": parser.name,
                "source": str(source),
                "expected": str(expected),
                "threads": threads,
                "patience": arguments.patience,
            }
            for parser in parsers
            for threads in range(1, (arguments.threads if parser.threaded else 1) + 1)
        ]
        measured = process.measure(jobs, rounds=arguments.rounds, timeout=arguments.timeout, say=report.say)
    results = [_row(job, outcomes, measured, jobs, size) for job, outcomes in zip(jobs, measured, strict=True)]
    return {"missing": missing, "bytes": size, "results": results}


def show(found: dict[str, Any]) -> str:
    """Return the Markdown table."""
    good = [row for row in found["results"] if row["status"] == "ok"]
    bad = [f"{row['parser']}: {row['status']}" for row in found["results"] if row["status"] != "ok"]
    title = f"{found['bytes'] / 1e6:,.0f} MB of text (time ratio: theirs / aicluster's on as many threads, same round)"
    return "\n\n".join([title, report.table(good, COLUMNS), *bad])


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw the warm rates."""
    good = [row for row in found["results"] if row["status"] == "ok"]
    points = [(f"{row['parser']}, {row['threads']} threads", row["mb_per_second"]) for row in good]
    plots.bars(path, {"JSON text to float32": points}, "MB/s, warm")


def _write(source: Path, expected: Path, arguments: argparse.Namespace) -> int:
    import pyarrow.parquet as pq

    matrix = expected.with_name("matrix.npy")
    synthetic.write_matrix(matrix, arguments.rows, dimension=arguments.dimension)
    size = synthetic.write_json(np.load(matrix, mmap_mode="r"), source)
    parsed = np.empty((arguments.rows, arguments.dimension), dtype=np.float32)
    for row, text in enumerate(pq.read_table(source, columns=["embedding"])["embedding"]):
        parsed[row] = json.loads(text.as_py())
    np.save(expected, parsed)
    return size


def _row(
    job: dict[str, Any],
    outcomes: list[dict[str, Any]],
    measured: list[list[dict[str, Any]]],
    jobs: list[dict[str, Any]],
    size: int,
) -> dict[str, Any]:
    row: dict[str, Any] = {"parser": job["name"], "threads": job["threads"], **process.summary(outcomes)}
    if row["status"] != "ok":
        return row
    good = [outcome for outcome in outcomes if outcome["status"] == "ok"]
    row["cold_mb_per_second"] = round(size / row["cold_seconds"] / 1e6, 1)
    row["mb_per_second"] = round(size / row["warm_seconds"] / 1e6, 1)
    row["extra_mb"] = round(max(outcome["extra_mb"] for outcome in good), 1)
    row["exact"] = "yes" if all(outcome["exact"] for outcome in good) else "no"
    for other, ours in zip(jobs, measured, strict=True):
        if (other["name"], other["threads"]) == ("aicluster", job["threads"]):
            row["time_ratio"] = process.ratio(outcomes, ours)
    return row
