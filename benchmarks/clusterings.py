"""Many methods on one matrix, measured in rounds and judged by a function of their labels."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import process, report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.methods import Method
    from benchmarks.metrics import Labels


@dataclass(frozen=True)
class Points:
    """A matrix on disk (``.npy``, float32, rows of unit length), and the number of clusters for those who need it."""

    path: Path
    rows: int
    k: int


def split_missing(methods: Sequence[Any], only: str) -> tuple[list[Any], dict[str, list[str]]]:
    """Return those whose name contains ``only`` and that can be run, and the missing modules of the others."""
    wanted = [method for method in methods if only in method.name]
    missing = {method.name: method.missing() for method in wanted if method.missing()}
    return [method for method in wanted if method.name not in missing], missing


def cluster_in_rounds(
    group: str,
    methods: Sequence[Method],
    points: Points,
    judge: Callable[[Labels], dict[str, Any]],
    arguments: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Measure the methods in rounds, and judge the labels of each.

    Parameters
    ----------
    group
        The group of ``methods.GROUPS`` that the methods are from.
    judge
        From labels to figures, perhaps nested; it runs here, outside the measured process.

    Returns
    -------
    list of dict
        One a method: seconds as medians and figures as means over the rounds, and the rounds themselves.
    """
    able = [method for method in methods if not 0 < method.max_rows < points.rows]
    jobs = [
        {
            "kind": "cluster",
            "title": f"{method.name}, {points.rows:,} rows",
            "group": group,
            "name": method.name,
            "matrix": str(points.path),
            "labels": str(points.path.with_suffix(".labels.npy")),
            "k": points.k,
            "seed": arguments.seed,
            "threads": arguments.threads,
            "patience": arguments.patience,
        }
        for method in able
    ]

    def after(job: dict[str, Any], outcome: dict[str, Any]) -> None:
        outcome["scores"] = judge(np.load(job["labels"]))

    measured = process.measure(jobs, rounds=arguments.rounds, timeout=arguments.timeout, say=report.say, after=after)
    rows = [
        {"method": method.name}
        | mean([outcome["scores"] for outcome in outcomes if "scores" in outcome])
        | process.summary(outcomes)
        for method, outcomes in zip(able, measured, strict=True)
    ]
    return rows + [
        {"method": method.name, "status": f"skipped: too slow, or too large, above {method.max_rows:,} rows"}
        for method in methods
        if method not in able
    ]


def mean(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of every figure of equal nested dicts; None where any of them is None."""
    averaged: dict[str, Any] = {}
    for key in scores[0] if scores else ():
        values = [score[key] for score in scores]
        if any(value is None for value in values):
            averaged[key] = None
        else:
            averaged[key] = mean(values) if isinstance(values[0], dict) else round(fmean(values), 5)
    return averaged
