import os
from collections.abc import Callable
from pathlib import Path

import pytest
from artefact_jobs import Shared
from filelock import FileLock

from aicluster_cli.packaging.builder import build_artefact
from aicluster_cli.packaging.spec import SPECS


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Return a folder of this name that one worker has filled for all."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def share(name: str, fill: Callable[[Path], None]) -> Path:
        folder, building = root / name, root / f"{name}.building"
        with FileLock(root / f"{name}.lock"):
            if not folder.exists():
                building.mkdir()
                fill(building)
                building.rename(folder)
        return folder

    return share


@pytest.fixture(scope="session")
def artefacts(shared: Shared) -> Path:
    """The artefact of every model, in a folder of the model's name; for reading only."""

    def build(folder: Path) -> None:
        for spec in SPECS:
            (folder / spec.name).mkdir()
            build_artefact(spec, folder / spec.name)

    return shared("artefacts", build)


@pytest.fixture(scope="session")
def kmeans(artefacts: Path) -> Path:
    return artefacts / "AI_CLUSTER_KMEANS"


@pytest.fixture(scope="session")
def deep(artefacts: Path) -> Path:
    return artefacts / "AI_CLUSTER_DEEP"
