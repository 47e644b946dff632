"""``quality``: every model and every peer on every labelled set of a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import plots, report
from benchmarks.clusterings import Points, cluster_in_rounds, split_missing
from benchmarks.methods import FOR_QUALITY
from benchmarks.metrics import judge
from benchmarks.sets import find_sets, has_text, load_set

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from benchmarks.methods import Method
    from benchmarks.sets import LabelledSet

COLUMNS = (
    ("method", "method", ""),
    ("V, noise one cluster", "noise_as_one.v", ".3f"),
    ("V, clustered rows", "clustered_only.v", ".3f"),
    ("V, noise moved", "noise_moved.v", ".3f"),
    ("AMI, noise moved", "noise_moved.ami", ".3f"),
    ("ARI, noise one cluster", "noise_as_one.ari", ".3f"),
    ("ARI, noise moved", "noise_moved.ari", ".3f"),
    ("clusters", "clusters", ".0f"),
    ("noise", "noise_share", ".1%"),
    ("outlier precision", "outliers.precision", ".3f"),
    ("recall", "outliers.recall", ".3f"),
    ("F1", "outliers.f1", ".3f"),
    ("cold s", "cold_seconds", ".2f"),
    ("warm s", "warm_seconds", ".2f"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own options."""
    parser.add_argument("--data", type=Path, required=True, help="folder of parquet files with label and embedding")
    parser.add_argument("--rows", type=int, default=0, help="a sample of this many rows of each set; 0 for all")
    parser.add_argument("--text", action="store_true", help="also embed the column text with wordllama and judge that")
    parser.set_defaults(rounds=1)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of all sets and methods."""
    methods, missing = split_missing(FOR_QUALITY, arguments.only)
    results = []
    for path in find_sets(arguments.data):
        for text in [False, True] if arguments.text and has_text(path) else [False]:
            results += _measure_set(load_set(path, rows=arguments.rows, text=text), methods, arguments)
    return {"missing": missing, "results": results}


def show(found: dict[str, Any]) -> str:
    """Return the Markdown tables, one a set."""
    parts = []
    for name, rows in _by_set(found).items():
        first = rows[0]
        parts.append(
            f"**{name}**: {first['rows']:,} rows x {first['dimension']}, {first['classes']} classes, "
            f"{first['true_outliers']:,} outliers (not counted in V, AMI and ARI)"
        )
        parts.append(report.table([row for row in rows if row["status"] == "ok"], COLUMNS))
        parts += [f"{row['method']}: {row['status']}" for row in rows if row["status"] != "ok"]
    return "\n\n".join(parts)


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw the V-measures with noise moved, a panel a set."""
    panels = {
        name: [(row["method"], row["noise_moved"]["v"]) for row in rows if row["status"] == "ok"]
        for name, rows in _by_set(found).items()
    }
    plots.bars(path, panels, "V-measure, noise moved to the nearest centre")


def _measure_set(data: LabelledSet, methods: Sequence[Method], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    report.say(f"{data.name}: {len(data.unit):,} rows, {data.classes} classes")
    about = {
        "set": data.name,
        "rows": len(data.unit),
        "dimension": int(data.unit.shape[1]),
        "classes": data.classes,
        "true_outliers": int((data.truth < 0).sum()),
    }
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        matrix = Path(folder) / "matrix.npy"
        np.save(matrix, data.unit)
        rows = cluster_in_rounds(
            "quality",
            methods,
            Points(matrix, len(data.unit), data.classes),
            lambda labels: judge(data.unit, data.truth, labels),
            arguments,
        )
    return [about | row for row in rows]


def _by_set(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    sets: dict[str, list[dict[str, Any]]] = {}
    for row in found["results"]:
        sets.setdefault(row["set"], []).append(row)
    return sets
