"""``speed``: K-Means and the models that find clusters by themselves, by rows, beside their peers."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import plots, process, report, synthetic
from benchmarks.clusterings import Points, cluster_in_rounds, split_missing
from benchmarks.methods import FOR_DEEP_SPEED, FOR_KMEANS_SPEED
from benchmarks.metrics import OUTLIER, agreement, inertia, move_noise

if TYPE_CHECKING:
    import argparse

    from benchmarks.metrics import Labels, Matrix

KMEANS_COLUMNS = (
    ("method", "method", ""),
    ("rows", "rows", ","),
    ("cold s", "cold_seconds", ".2f"),
    ("warm s", "warm_seconds", ".2f"),
    ("time ratio", "time_ratio", ".2f"),
    ("inertia ratio", "inertia_ratio", ".4f"),
    ("peak MB", "peak_mb", ",.0f"),
)
DEEP_COLUMNS = (
    *KMEANS_COLUMNS[:5],
    ("V, noise moved", "v", ".3f"),
    ("clusters", "clusters", ".0f"),
    ("noise", "noise_share", ".1%"),
    KMEANS_COLUMNS[6],
)
OURS = {"kmeans": "aicluster kmeans", "deep": "aicluster deep"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own options."""
    parser.add_argument("--kmeans-rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], metavar="N")
    parser.add_argument("--deep-rows", type=int, nargs="*", default=[10_000], metavar="N")
    parser.add_argument("--full", action="store_true", help="100,000 and 1,000,000 rows for --deep-rows, too")
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=305, help="classes of the synthetic rows")
    parser.add_argument("-k", type=int, default=50, help="clusters for K-Means")
    parser.set_defaults(rounds=3)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures for all sizes and methods."""
    kmeans, lacking = split_missing(FOR_KMEANS_SPEED, arguments.only)
    deep, missing = split_missing(FOR_DEEP_SPEED, arguments.only)
    deep_rows = {*arguments.deep_rows, *([100_000, 1_000_000] if arguments.full else [])}
    results = []
    for rows in sorted({*arguments.kmeans_rows, *deep_rows}):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            report.say(f"making {rows:,} x {arguments.dimension} synthetic rows")
            path = Path(folder) / "matrix.npy"
            truth = synthetic.write_matrix(path, rows, dimension=arguments.dimension, classes=arguments.classes)
            unit: Matrix = np.load(path, mmap_mode="r")
            if rows in arguments.kmeans_rows:
                points = Points(path, rows, arguments.k)
                judge = _inertia_of(unit)
                results += _ratios("kmeans", rows, cluster_in_rounds("kmeans", kmeans, points, judge, arguments))
            if rows in deep_rows:
                points = Points(path, rows, arguments.classes)
                judge = _agreement_of(unit, truth)
                results += _ratios("deep", rows, cluster_in_rounds("deep", deep, points, judge, arguments))
    return {"missing": lacking | missing, "results": results, "growth": growth(results)}


def show(found: dict[str, Any]) -> str:
    """Return the Markdown tables of both kinds, and the growth."""
    parts = []
    for kind, columns in (("kmeans", KMEANS_COLUMNS), ("deep", DEEP_COLUMNS)):
        rows = [row for row in found["results"] if row["kind"] == kind]
        if rows:
            parts.append(f"**{kind}** (ratios: theirs / {OURS[kind]}'s in the same round)")
            parts.append(report.table([row for row in rows if row["status"] == "ok"], columns))
            bad = [row for row in rows if row["status"] != "ok"]
            parts += [f"{row['method']}, {row['rows']:,} rows: {row['status']}" for row in bad]
    parts += [
        f"growth of {step['method']}, {step['step']}: {step['times']:.1f} times as long" for step in found["growth"]
    ]
    return "\n\n".join(parts)


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw warm seconds by rows, a panel for each kind."""
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in found["results"]:
        if row["status"] == "ok":
            points = panels.setdefault(row["kind"], {}).setdefault(row["method"], [])
            points.append((row["rows"], row["warm_seconds"]))
    plots.lines(path, panels, "seconds, warm")


def growth(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how many times as long each of our models takes from one size to the next."""
    steps = []
    for kind, name in OURS.items():
        good = [row for row in results if (row["kind"], row["method"], row["status"]) == (kind, name, "ok")]
        for less, more in pairwise(good):
            step = f"{less['rows']:,} to {more['rows']:,} rows"
            times = round(more["warm_seconds"] / less["warm_seconds"], 2)
            steps.append({"method": name, "step": step, "times": times})
    return steps


def _ratios(kind: str, rows: int, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ours = next((row for row in found if row["method"] == OURS[kind] and row["status"] == "ok"), None)
    about: list[dict[str, Any]] = [{"kind": kind, "rows": rows} | row for row in found]
    for row in about:
        if ours is not None and row["status"] == "ok":
            row["time_ratio"] = process.ratio(row["rounds"], ours["rounds"])
            if "inertia" in row:
                row["inertia_ratio"] = round(row["inertia"] / ours["inertia"], 5)
    return about


def _inertia_of(unit: Matrix) -> Any:
    return lambda labels: {"inertia": inertia(unit, labels)}


def _agreement_of(unit: Matrix, truth: Labels) -> Any:
    def judge(labels: Labels) -> dict[str, Any]:
        inliers = truth != OUTLIER
        return {
            **agreement(truth[inliers], move_noise(unit, labels)[inliers]),
            "clusters": len(np.unique(labels[labels != OUTLIER])),
            "noise_share": float((labels == OUTLIER).mean()),
        }

    return judge
