"""What every platform can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from aicluster_cli.packaging.spec import ModelSpec
    from aicluster_cli.records import Check, ModelVersion, PlanStep, Registration, RunRecord
    from aicluster_cli.stored import RunFiles

    OnEvent = Callable[[dict[str, Any]], None]


class Platform(ABC):
    """A place that keeps models and runs. Errors are of ``aicluster_cli.errors`` only."""

    name: ClassVar[str]

    @abstractmethod
    def plan_setup(self) -> list[PlanStep]:
        """Return what ``setup`` would do, step by step; reads only."""

    @abstractmethod
    def apply_setup(self, steps: list[PlanStep]) -> None:
        """Carry out the steps; doing so twice changes nothing."""

    @abstractmethod
    def models(self) -> list[ModelVersion]:
        """Return all registered versions, oldest first."""

    @abstractmethod
    def find_version(self, spec: ModelSpec, version: str | None = None) -> ModelVersion | None:
        """Return the named version, or the newest with the present content; None if there is none.

        Raises
        ------
        ModelError
            If the version exists and cannot be used here: broken, or of another Python.
        """

    @abstractmethod
    def register(self, spec: ModelSpec, *, version: str | None = None, comment: str = "") -> Registration:
        """Register a model, unless its present content is registered already."""

    @abstractmethod
    def drop(self, model: str, version: str | None = None) -> list[ModelVersion]:
        """Remove one version, or all versions, of a model, and return what was removed."""

    @abstractmethod
    def run_name(self, run_id: str) -> str:
        """Return a run's id as the platform spells it: ids that differ in the case of letters only are one run."""

    @abstractmethod
    def claim(self, run_id: str, *, overwrite: bool) -> AbstractContextManager[None]:
        """Hold a run's id for as long as the run is worked on; waits for another holder to finish."""

    @abstractmethod
    def save(self, record: RunRecord) -> None:
        """Write the run's record, whole or not at all."""

    @abstractmethod
    def execute(self, record: RunRecord, on_event: OnEvent) -> None:
        """Cluster the staged input of a run; afterwards its parts and marker are in place.

        Raises
        ------
        JobFailedError, OutputError
            If it fails; nothing half-written is left behind.
        """

    @abstractmethod
    def runs(self) -> list[RunRecord]:
        """Return the records of all runs, newest first."""

    @abstractmethod
    def find_run(self, run_id: str | None) -> RunRecord:
        """Return a run's record, or the newest one's.

        Raises
        ------
        RunError
            If there is no such run.
        """

    @abstractmethod
    def files(self, run_id: str) -> RunFiles:
        """Return the files in a run's folder."""

    @abstractmethod
    def location(self, run_id: str) -> str:
        """Return where a run's folder is, for people."""

    @abstractmethod
    def logs(self, run_id: str) -> str:
        """Return what the clustering process printed."""

    @abstractmethod
    def checks(self) -> list[Check]:
        """Return what ``doctor`` found about this platform."""
