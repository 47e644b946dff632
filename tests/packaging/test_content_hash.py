"""The hash that decides whether a model is registered again: over what is shipped, and nothing else."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from artefact_jobs import environment

import aicluster_cli
from aicluster_cli.packaging.builder import build_artefact
from aicluster_cli.packaging.spec import SPECS, shipped_sources, spec_for

SHIPPED = [name for name, _ in shipped_sources()]
PRINT_HASHES = """
import json
from aicluster_cli.packaging.spec import SPECS
print(json.dumps({spec.name: spec.content_hash() for spec in SPECS}))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package that a test may change, in a folder of its own."""
    folder = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "cli", "results", "sources", "workflows", "samples", "configs")
    shutil.copytree(Path(aicluster_cli.__file__).parent, folder / "aicluster_cli", ignore=ignored)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    """Return what a fresh Python that finds the package in ``folder`` says."""
    command = [sys.executable, "-B", "-P", "-c", PRINT_HASHES]
    env = environment(PYTHONPATH=str(folder))
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def change(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert content.count(old) >= 1, f"{path.name} has no {old!r}"
    path.write_text(content.replace(old, new, 1))


def test_every_process_and_every_place_of_the_sources_gives_the_same_hash(copy: Path) -> None:
    expected = {spec.name: spec.content_hash() for spec in SPECS}
    assert hashes(copy) == expected
    assert len(set(expected.values())) == len(SPECS)
    assert all(len(value) == 64 for value in expected.values())


@pytest.mark.parametrize("source", SHIPPED)
def test_a_comment_in_any_shipped_source_changes_it(source: str, copy: Path) -> None:
    before = {spec.name: spec.content_hash() for spec in SPECS}
    with (copy / source).open("a") as file:
        file.write("# one more line\n")
    after = hashes(copy)
    assert [name for name in before if before[name] == after[name]] == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("clustering/schema.py", '"double", "higher is stranger"', '"int64", "higher is stranger"'),
        ("clustering/schema.py", 'Column("OUTLIER_SCORE"', 'Column("STRANGENESS"'),
        ("clustering/params.py", 'Param("random_state", 42', 'Param("random_state", 43'),
        ("packaging/spec.py", "scikit-learn>=1.6,<2", "scikit-learn>=1.7,<2"),
        ("packaging/spec.py", '("predict", "predict_array")', '("predict",)'),
    ],
    ids=["column type", "column name", "default", "requirement", "methods"],
)
def test_the_signature_and_the_requirements_are_part_of_it(file: str, old: str, new: str, copy: Path) -> None:
    before = {spec.name: spec.content_hash() for spec in SPECS}
    change(copy / "aicluster_cli" / file, old, new)
    after = hashes(copy)
    assert [name for name in before if before[name] == after[name]] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hdbscan>=0.8.42,<0.9", "hdbscan>=0.8.43,<0.9"),
        ('"AIClusterDeep", "spcs"', '"AIClusterDeep", "warehouse"'),
    ],
    ids=["requirement", "runtime"],
)
def test_what_only_one_model_has_changes_only_its_hash(old: str, new: str, copy: Path) -> None:
    before = {spec.name: spec.content_hash() for spec in SPECS}
    change(copy / "aicluster_cli" / "packaging" / "spec.py", old, new)
    after = hashes(copy)
    assert {name for name in before if before[name] != after[name]} == {"AI_CLUSTER_DEEP"}


@pytest.mark.parametrize(
    "alter",
    [
        lambda clustering: (clustering / "extra.py").write_text(""),
        lambda clustering: (clustering / "geometry.py").rename(clustering / "shapes.py"),
        lambda clustering: (clustering / "result.py").unlink(),
    ],
    ids=["added", "renamed", "removed"],
)
def test_a_source_that_comes_goes_or_moves_changes_it(alter: Callable[[Path], object], copy: Path) -> None:
    before = {spec.name: spec.content_hash() for spec in SPECS}
    alter(copy / "aicluster_cli" / "clustering")
    after = hashes(copy)
    assert [name for name in before if before[name] == after[name]] == []


def test_files_that_are_not_shipped_do_not_change_it(copy: Path) -> None:
    package = copy / "aicluster_cli"
    for path in (package / "errors.py", package / "packaging" / "builder.py", package / "platforms" / "base.py"):
        with path.open("a") as file:
            file.write("# one more line\n")
    (package / "clustering" / "notes.txt").write_text("not a source")
    (package / "clustering" / "__pycache__").mkdir()
    (package / "clustering" / "__pycache__" / "kmeans.cpython-311.pyc").write_bytes(b"bytecode")
    (copy / "aicluster.yaml").write_text("platform: local\n")
    assert hashes(copy) == {spec.name: spec.content_hash() for spec in SPECS}


def test_building_twice_gives_two_artefacts_and_one_hash(kmeans: Path, tmp_path: Path) -> None:
    spec = spec_for("kmeans")
    before = spec.content_hash()
    build_artefact(spec, tmp_path)
    assert spec.content_hash() == before
    assert (tmp_path / "model" / "model.yaml").read_bytes() != (kmeans / "model" / "model.yaml").read_bytes()
