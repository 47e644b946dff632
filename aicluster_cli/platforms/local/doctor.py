"""What ``doctor`` looks at on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from aicluster_cli.packaging.spec import SPECS, python_minor
from aicluster_cli.records import Check

if TYPE_CHECKING:
    from pathlib import Path

    from aicluster_cli.platforms.local.layout import Layout
    from aicluster_cli.records import ModelVersion

DISTRIBUTION = "aicluster-cli"
SUPPORTED = ((3, 11), (3, 13))
_LOW_DISK = 2 * 1024**3  # bytes; 100,000 rows of 1,024 numbers take .8 GB with the kept input


def local_checks(layout: Layout, models: list[ModelVersion], threads: int) -> list[Check]:
    """Return one finding for each thing that local runs need."""
    return [_python(), *_packages(), _root(layout.root), _disk(layout.root), _threads(threads), *_models(models)]


def _python() -> Check:
    low, high = SUPPORTED
    if low <= sys.version_info[:2] <= high:
        return Check("Python", "OK", f"{sys.version.split()[0]}")
    return Check("Python", "FAIL", sys.version.split()[0], f"use Python {low[0]}.{low[1]} to {high[0]}.{high[1]}")


def _packages() -> list[Check]:
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(line) for line in requires(DISTRIBUTION) or []]
    except PackageNotFoundError:
        return [Check("packages", "WARN", f"{DISTRIBUTION} is not installed", "pip install . in the project's folder")]
    checks = []
    for requirement in needed:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        cure = f"pip install '{requirement}'"
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            checks.append(Check(requirement.name, "FAIL", "missing", cure))
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        needs = found if fits else f"{found}, needs {requirement.specifier}"
        checks.append(Check(requirement.name, "OK" if fits else "FAIL", needs, "" if fits else cure))
    return checks


def _root(root: Path) -> Check:
    if root.is_dir():
        if os.access(root, os.W_OK | os.X_OK):
            return Check("store", "OK", str(root))
        return Check("store", "FAIL", f"{root} is not writable", "choose another root in the profile")
    if os.access(_nearest(root), os.W_OK | os.X_OK):
        return Check("store", "OK", f"{root} will be made by the first run")
    return Check("store", "FAIL", f"{root} cannot be made", "choose another root in the profile")


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(_nearest(root)).free
    found = f"{free / 1024**3:.1f} GiB free"
    if free >= _LOW_DISK:
        return Check("disk", "OK", found)
    return Check("disk", "WARN", found, "make room, or run with --no-keep-inputs")


def _threads(threads: int) -> Check:
    there = os.cpu_count() or 1
    if threads <= there:
        return Check("threads", "OK", f"{threads} of {there}")
    return Check("threads", "WARN", f"{threads} on {there} processors", "set threads: 0 in the profile")


def _models(models: list[ModelVersion]) -> list[Check]:
    checks = []
    for spec in SPECS:
        mine = [item for item in models if item.model == spec.name]
        current = [item for item in mine if item.content_hash == spec.content_hash()]
        for broken in (item for item in mine if item.problem):
            cure = f"aicluster models drop {spec.info.alias} --version {broken.version} --yes"
            checks.append(Check(spec.name, "FAIL", f"{broken.version} is broken: {broken.problem}", cure))
        if not mine:
            checks.append(Check(spec.name, "OK", "not registered; the first run does it"))
        elif not current:
            checks.append(Check(spec.name, "OK", f"{mine[-1].version} is of older content; the next run registers"))
        elif any(item.python == python_minor() for item in current):
            checks.append(Check(spec.name, "OK", f"{current[-1].version} is registered"))
        else:
            found = f"{current[-1].version} was built by Python {current[-1].python}"
            checks.append(Check(spec.name, "WARN", found, f"aicluster register {spec.info.alias}"))
    return checks


def _nearest(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
