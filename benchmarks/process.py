"""Measurements in processes of their own, in rounds, so that all methods meet the same neighbours on a busy machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Job = dict[str, Any]
    Outcome = dict[str, Any]

ROOT = Path(__file__).parents[1]
_LIMITS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "LOKY_MAX_CPU_COUNT"),
)


def measure(
    jobs: Sequence[Job],
    *,
    rounds: int,
    timeout: float,
    say: Callable[[str], None],
    after: Callable[[Job, Outcome], None] = lambda _job, _outcome: None,
) -> list[list[Outcome]]:
    """Measure every job once a round, each time in a fresh process, and return its outcomes.

    A job that failed, or whose first call outlasted its ``patience``, is left out of the later rounds. Every round
    has a seed of its own.

    Parameters
    ----------
    jobs
        What ``worker.py`` understands, with a ``title`` for people.
    timeout
        Seconds that one process may take.
    after
        Called with every job that succeeded and its outcome, before the next one starts.
    """
    outcomes: list[list[Outcome]] = [[] for _ in jobs]
    for turn in range(rounds):
        for job, done in zip(jobs, outcomes, strict=True):
            if done and (done[-1]["status"] != "ok" or done[-1]["first_seconds"] > job["patience"]):
                continue
            present = job | {"seed": job.get("seed", 0) + turn}
            done.append(run(present, timeout))
            if done[-1]["status"] == "ok":
                after(present, done[-1])
            say(f"round {turn + 1}, {job['title']}: {_brief(done[-1])}")
    return outcomes


def run(job: Job, timeout: float) -> Outcome:
    """Run one job in a new process; ``status`` is ``ok``, or says what went wrong."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        asked, answered = Path(folder) / "job.json", Path(folder) / "result.json"
        asked.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.worker", str(asked), str(answered)]
        try:
            process = subprocess.run(
                command, cwd=ROOT, env=environment(job["threads"]), capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return {"status": f"stopped after {timeout:,.0f} s"}
        if process.returncode:
            lines = process.stderr.strip().splitlines() or [f"exit {process.returncode}"]
            return {"status": f"failed: {lines[-1][:200]}", "stderr": process.stderr[-4000:]}
        found: Outcome = json.loads(answered.read_text(encoding="utf-8"))
    found["cold_seconds"] = found["startup_seconds"] + found["first_seconds"]
    found["warm_seconds"] = found["first_seconds"] if found["again_seconds"] is None else found["again_seconds"]
    return {"status": "ok", **found}


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process that may use ``threads`` threads, and finds this folder's packages."""
    limits = {name: str(threads) for name in _LIMITS}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(paths)}


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the medians over the rounds, and the rounds themselves.

    ``warm_is_first`` says that the first call took too long to be repeated, and stands for the warm one.
    """
    good = [outcome for outcome in outcomes if outcome["status"] == "ok"]
    if not good:
        return {"status": outcomes[-1]["status"], "rounds": list(outcomes)}
    keys = ("startup_seconds", "cold_seconds", "warm_seconds", "peak_mb")
    return {
        "status": "ok",
        **{key: round(median(outcome[key] for outcome in good), 4) for key in keys},
        "best_warm_seconds": round(min(outcome["warm_seconds"] for outcome in good), 4),
        "warm_is_first": any(outcome["again_seconds"] is None for outcome in good),
        "rounds": list(outcomes),
    }


def ratio(outcomes: Sequence[Outcome], ours: Sequence[Outcome], key: str = "warm_seconds") -> float | None:
    """Return the median over the rounds of theirs / ours in the same round; None without a common round."""
    pairs = zip(outcomes, ours, strict=False)
    ratios = [his[key] / mine[key] for his, mine in pairs if his["status"] == mine["status"] == "ok"]
    return round(median(ratios), 3) if ratios else None


def _brief(outcome: Outcome) -> str:
    if outcome["status"] != "ok":
        return str(outcome["status"])
    return f"cold {outcome['cold_seconds']:.2f} s, warm {outcome['warm_seconds']:.2f} s, {outcome['peak_mb']:,.0f} MB"
