"""The local platform: registry, runs and clustering processes on this machine."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from aicluster_cli.errors import ModelError, RunError
from aicluster_cli.files import output_error, write_json
from aicluster_cli.packaging.runner import Job, run_artefact
from aicluster_cli.packaging.spec import spec_for
from aicluster_cli.platforms.base import Platform
from aicluster_cli.platforms.local.doctor import local_checks
from aicluster_cli.platforms.local.layout import Layout
from aicluster_cli.platforms.local.registry import LocalRegistry
from aicluster_cli.records import IDENTIFIER, Check, ModelVersion, PlanStep, Registration, RunRecord
from aicluster_cli.stored import FolderFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import FileLock

    from aicluster_cli.packaging.spec import ModelSpec
    from aicluster_cli.platforms.base import OnEvent

RECORD = "run.json"
ROWS = "rows.parquet"
SOURCE = "source.parquet"
_LONGEST = 250  # an id may have 255 characters, and so may a file's name, suffix included


class LocalPlatform(Platform):
    """Models and runs under one root folder.

    Parameters
    ----------
    root
        The store's folder; made when first needed.
    threads
        Threads for linear algebra.
    package_version
        The version of this package, for the records.
    """

    name: ClassVar[str] = "local"

    def __init__(self, root: Path, *, threads: int = 1, package_version: str = "") -> None:
        self._layout = Layout(root)
        self._threads = threads
        self._package_version = package_version
        self._registry = LocalRegistry(self._layout.registry)

    def plan_setup(self) -> list[PlanStep]:
        """Return one step for each folder of the store."""
        return [
            PlanStep("nothing" if folder.is_dir() else "create", "folder", str(folder))
            for folder in self._layout.folders()
        ]

    def apply_setup(self, steps: list[PlanStep]) -> None:
        """Create the folders that are missing."""
        for step in steps:
            _make(Path(step.name))

    def models(self) -> list[ModelVersion]:
        """Return all registered versions, oldest first."""
        return self._registry.versions()

    def find_version(self, spec: ModelSpec, version: str | None = None) -> ModelVersion | None:
        """Return the named version, or the newest with the present content."""
        return self._registry.find(spec, version)

    def register(self, spec: ModelSpec, *, version: str | None = None, comment: str = "") -> Registration:
        """Build the artefact into the registry, unless its content is there already."""
        return self._registry.register(spec, version, comment, self._package_version)

    def drop(self, model: str, version: str | None = None) -> list[ModelVersion]:
        """Remove versions from the registry."""
        return self._registry.drop(model, version)

    def run_name(self, run_id: str) -> str:
        """Return the id as the run's folder spells it, if there is one."""
        return self.folder(run_id).name

    @contextmanager
    def claim(self, run_id: str, *, overwrite: bool) -> Iterator[None]:
        """Hold the run's lock; it is released even when this process is killed."""
        _make(self._layout.locks)
        with self._lock(run_id):
            if overwrite and self.folder(run_id).exists():
                _remove(self.folder(run_id))
            yield

    def busy(self, run_id: str) -> bool:
        """Return whether a living process works on the run."""
        from filelock import Timeout

        if not self._layout.locks.is_dir():
            return False
        try:
            with self._lock(run_id, timeout=0):
                return False
        except Timeout:
            return True

    def save(self, record: RunRecord) -> None:
        """Write ``run.json``."""
        _make(self.folder(record.run_id))
        write_json(self.folder(record.run_id) / RECORD, record.to_json())

    def execute(self, record: RunRecord, on_event: OnEvent) -> None:
        """Run the registered artefact over ``input/rows.parquet`` in a process of its own."""
        version = self._registry.find(spec_for(record.model), record.version)
        if version is None:
            raise ModelError(f"{record.model} {record.version} is gone", hint="run again")
        folder, output = self.folder(record.run_id), self.job_folder(record.run_id)
        shutil.rmtree(output.parent, ignore_errors=True)
        _make(self._layout.logs)
        job = Job(
            artefact=version.location,
            method=record.method,
            params=record.params,
            input=str(folder / "input" / ROWS),
            partition=record.source.partition_column,
            output=str(output),
            log=str(self._log(record.run_id)),
            threads=self._threads,
        )
        try:
            record.versions |= run_artefact(job, on_event).versions
        except BaseException:
            shutil.rmtree(output.parent, ignore_errors=True)
            raise

    def runs(self) -> list[RunRecord]:
        """Return the records of all runs, newest first; folders without a readable record are left out."""
        found = []
        for folder in self._layout.stage.glob("*"):
            try:
                found.append(self._read(folder))
            except (OSError, ValueError):
                continue
        return sorted(found, key=lambda record: record.created, reverse=True)

    def find_run(self, run_id: str | None) -> RunRecord:
        """Return a run's record, or the newest one's; ids are matched in any case of letters."""
        if run_id is None:
            newest = next(iter(self.runs()), None)
            if newest is None:
                raise RunError("there are no runs yet", hint="aicluster demo, or aicluster run kmeans --input FILE …")
            return newest
        folder = self.folder(run_id)
        if not IDENTIFIER.fullmatch(run_id) or not folder.is_dir():
            raise RunError(f"there is no run {run_id}", hint="aicluster runs lists them")
        try:
            return self._read(folder)
        except (OSError, ValueError) as error:
            raise RunError(f"{folder / RECORD} cannot be read: {error}", hint="run again with --overwrite") from error

    def files(self, run_id: str) -> FolderFiles:
        """Return the files in a run's folder."""
        return FolderFiles(self.folder(run_id))

    def location(self, run_id: str) -> str:
        """Return the run's folder."""
        return str(self.folder(run_id))

    def logs(self, run_id: str) -> str:
        """Return what the clustering process printed; empty if it has not started."""
        path = self._log(run_id)
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def checks(self) -> list[Check]:
        """Return what ``doctor`` found about the store, the registry and the machine."""
        return local_checks(self._layout, self.models(), self._threads)

    def folder(self, run_id: str) -> Path:
        """Return a run's folder: an existing one of this id in any case of letters, else the one to be made."""
        exact = self._layout.stage / run_id
        if not exact.is_dir() and self._layout.stage.is_dir():
            for folder in self._layout.stage.iterdir():
                if folder.name.casefold() == run_id.casefold():
                    return folder
        return exact

    def input_folder(self, run_id: str) -> Path:
        """Return the folder of a run's input."""
        return self.folder(run_id) / "input"

    def job_folder(self, run_id: str) -> Path:
        """Return the folder of a run's parts; the job is named as the run is."""
        folder = self.folder(run_id)
        return folder / "output" / folder.name

    def _read(self, folder: Path) -> RunRecord:
        record = RunRecord.from_json(json.loads((folder / RECORD).read_text(encoding="utf-8")))
        if record.status == "running" and not self.busy(record.run_id):
            return replace(record, status="interrupted")  # its process was killed before it could say so
        return record

    def _lock(self, run_id: str, timeout: float = -1) -> FileLock:
        from filelock import FileLock

        return FileLock(self._layout.locks / f"{run_id.casefold()[:_LONGEST]}.lock", timeout=timeout)

    def _log(self, run_id: str) -> Path:
        return self._layout.logs / f"{self.folder(run_id).name[:_LONGEST]}.log"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise output_error(folder, error) from error
