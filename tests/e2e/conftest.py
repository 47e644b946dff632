"""Runs that many tests look at. Each is made once a session, whichever worker needs it first, and never changed."""

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sample_tables
from e2e_tools import Project, Result
from filelock import FileLock
from network_watch import watched, without_network


@dataclass(frozen=True)
class Ran:
    """A project and what one run in it answered."""

    project: Project
    result: Result
    run_id: str

    @property
    def record(self):
        return self.project.record(self.run_id)

    @property
    def folder(self) -> Path:
        return self.project.run_folder(self.run_id)

    def copy(self, folder: Path) -> "Ran":
        """Return a copy that may be changed."""
        return Ran(self.project.copy(folder), self.result, self.run_id)


class Shared:
    """Things made once by one of the workers, and found by the others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def once(self, name: str, make: Callable[[Path], Result]) -> tuple[Project, Result]:
        folder = self._folder / name
        answer = folder.with_suffix(".answer")
        with FileLock(folder.with_suffix(".lock")):
            if not answer.exists():
                shutil.rmtree(folder, ignore_errors=True)
                result = make(folder)
                answer.write_bytes(pickle.dumps(result))
        return Project(folder), pickle.loads(answer.read_bytes())


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return Shared(folder)


@pytest.fixture(scope="session")
def demo(shared: Shared) -> tuple[Project, Result]:
    """``aicluster demo`` in a folder where nothing was before: it registers both models and runs them."""

    def make(folder: Path) -> Result:
        return Project.new(folder).process("demo")

    project, result = shared.once("demo", make)
    assert result.code == 0, result.err
    return project, result


@pytest.fixture(scope="session")
def models(demo: tuple[Project, Result]) -> Path:
    """A registry with V1 of both models, to be copied."""
    return demo[0].root / "registry"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which nothing is registered, for what goes wrong before that is needed."""
    return Project.new(tmp_path)


@pytest.fixture
def ready(tmp_path: Path, models: Path) -> Project:
    """A project of its own with both models registered."""
    return Project.new(tmp_path, models=models)


@pytest.fixture(scope="session")
def tickets(shared: Shared, models: Path) -> Ran:
    """Texts of a CSV file with ids such as 007, one of them blank; the number of clusters is chosen.

    There is no network for it, and whoever looks for one is noted.
    """

    def make(folder: Path) -> Result:
        project = Project.new(folder, models=models)
        sample_tables.write_csv(folder / "tickets.csv", sample_tables.tickets())
        args = ("--id-column", "id", "--text-column", "text", "--max-bad-rows", "1", "--output", "out.parquet")
        (folder / "watch").mkdir()
        return project.process(
            *("run", "kmeans", "--input", "tickets.csv", *args, "--run-id", "tickets", "--json"),
            env=watched(folder / "watch"),
            prefix=without_network(),
        )

    project, result = shared.once("tickets", make)
    assert result.code == 0, result.err
    return Ran(project, result, "tickets")


@pytest.fixture(scope="session")
def vectors(shared: Shared, models: Path) -> Ran:
    """Embeddings as JSON text of a CSV file, in three clear clusters; the rows in JSON on standard output."""

    def make(folder: Path) -> Result:
        project = Project.new(folder, models=models)
        sample_tables.write_csv(folder / "vectors.csv", sample_tables.vectors())
        return project("run", *sample_tables.VECTOR_ARGS, "--input", "vectors.csv", "--run-id", "vectors", "-o", "-")

    project, result = shared.once("vectors", make)
    assert result.code == 0, result.err
    return Ran(project, result, "vectors")


@pytest.fixture(scope="session")
def regions(shared: Shared, models: Path) -> Ran:
    """Typed columns of a Parquet file, clustered by region, of which one is null, and joined."""

    def make(folder: Path) -> Result:
        project = Project.new(folder, models=models)
        pq.write_table(sample_tables.regions(), folder / "regions.parquet")
        args = ("--embedding-column", "embedding", "--partition-by", "region", "--set", "n_clusters=2", "--join")
        output = ("--output", "out.parquet", "--max-bad-rows", "10%")
        return project("run", "kmeans", "--input", "regions.parquet", *args, *output, "--run-id", "regions", "--json")

    project, result = shared.once("regions", make)
    assert result.code == 0, result.err
    return Ran(project, result, "regions")


@pytest.fixture(scope="session")
def only_row(shared: Shared, models: Path) -> tuple[Project, Result]:
    """One row, clustered under one run id by two commands at once, whose messages are brought together."""

    def make(folder: Path) -> Result:
        project = Project.new(folder, models=models)
        project.write("row.csv", "text\nthe only one\n")
        args = ("run", "kmeans", "--input", "row.csv", "--text-column", "text", "--run-id", "only", "--json")
        with project.started(*args) as one, project.started(*args) as other:
            first, second = one.finish(), other.finish()
        assert first.out == second.out
        return Result(max(first.code, second.code), first.out, first.err + second.err)

    project, result = shared.once("only-row", make)
    assert result.code == 0, result.err
    return project, result
