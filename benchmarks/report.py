"""What the commands leave: a JSON file, a Markdown table, and the machine it was measured on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.methods import INSTALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = dict[str, Any]
    Column = tuple[str, str, str]

PACKAGES = (
    *("aicluster-cli", "numpy", "scikit-learn", "scipy", "hdbscan", "faiss-cpu", "fast-hdbscan", "evoc", "umap-learn"),
    *("numba", "orjson", "pysimdjson", "duckdb", "pyarrow", "pandas"),
)


def say(message: str) -> None:
    """Tell a person at the terminal how far things are."""
    print(message, file=sys.stderr, flush=True)


def machine(threads: int) -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory, versions, and how busy the machine was."""
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gb": _memory_gb(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {package: version for package in PACKAGES if (version := _version(package))},
    }


def write(path: Path, found: dict[str, Any]) -> None:
    """Write the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    say(f"figures: {path}")


def table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Return a Markdown table.

    Parameters
    ----------
    rows
        Nested dicts.
    columns
        Heading, path of the value with dots, and its format (empty for text); a missing value is left blank.
    """
    lines = ["| " + " | ".join(heading for heading, _, _ in columns) + " |"]
    lines.append("|" + "|".join("---:" if form else "---" for _, _, form in columns) + "|")
    lines += ["| " + " | ".join(_cell(row, path, form) for _, path, form in columns) + " |" for row in rows]
    return "\n".join(lines)


def footer(found: dict[str, Any]) -> str:
    """Return the lines below a table: the machine, the marks, and what is missing."""
    here = found["machine"]
    where = f"{here['processor']}, {here['cores']} cores, {here['memory_gb']} GB"
    load = f"{here['load_average'][0]:.1f}" if here["load_average"] else "unknown"
    versions = ", ".join(f"{package} {version}" for package, version in here["versions"].items())
    lines = [
        f"{where}, load before {load}; {here['threads']} threads; Python {here['python']}; {versions}.",
        "Cold: a new process's start-up and first call. Warm: the second call; * = the first, too long to be repeated.",
    ]
    for name, modules in found["missing"].items():
        lines.append(f"missing: {name} (no {', '.join(modules)}); {INSTALL}")
    return "\n\n".join(lines)


def _cell(row: Row, path: str, form: str) -> str:
    value: Any = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return ""
    mark = "*" if path == "warm_seconds" and row.get("warm_is_first") else ""
    return format(value, form) + mark if form else str(value)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
