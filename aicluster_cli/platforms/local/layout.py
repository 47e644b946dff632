"""Where things lie under the local store's root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folders of a local store; ``stage`` has the same shape as a Snowflake stage."""

    root: Path

    @property
    def registry(self) -> Path:
        """Registered models: ``<MODEL>/<VERSION>/``."""
        return self.root / "registry"

    @property
    def stage(self) -> Path:
        """Runs: ``<run id>/run.json``, ``input/``, ``output/<job>/``."""
        return self.root / "stage"

    @property
    def logs(self) -> Path:
        """What the clustering processes printed: ``<run id>.log``."""
        return self.root / "logs"

    @property
    def locks(self) -> Path:
        """One lock file for each run that was ever started; held while the run is worked on."""
        return self.root / "locks"

    def folders(self) -> tuple[Path, ...]:
        """Return every folder that ``setup`` makes."""
        return (self.root, self.registry, self.stage, self.logs, self.locks)
