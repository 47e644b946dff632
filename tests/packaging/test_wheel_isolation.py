"""The clustering process runs the code that was registered, also where another version of the project is installed.

The project's wheel is installed into an environment of its own, where K-Means is then made to call every row 7.
"""

import json
import site
import subprocess
import sys
import sysconfig
import venv
from dataclasses import asdict
from pathlib import Path

import pytest
from artefact_jobs import LOAD_HOST, PROJECT, Shared, blobs, job_for, read_output, run_child, write_rows

from aicluster_cli.clustering import kmeans as kmeans_source
from aicluster_cli.packaging.runner import HOST

OTHER_KMEANS = """

_cluster = cluster


def cluster(matrix, **params):
    clustering = _cluster(matrix, **params)
    clustering.labels[:] = 7
    return clustering
"""

RUN = """
import json, sys
import aicluster_cli
from aicluster_cli.packaging import runner
runner.run_artefact(runner.Job(**json.loads(sys.argv[1])), lambda event: None)
print(json.dumps({"package": aicluster_cli.__file__, "host": str(runner.HOST)}))
"""

IMPORT_FIRST = (
    LOAD_HOST
    + """
from pathlib import Path
IMPORT
host = load_host(HOST)
try:
    host.load_handler(Path(sys.argv[1]), "predict_array")
except ImportError as error:
    print(json.dumps(str(error)))
"""
)

LABEL = """
import json, sys
import numpy as np
from aicluster_cli.clustering import kmeans
matrix = np.array(json.loads(sys.argv[1]), dtype=np.float32)
found = kmeans.cluster(matrix, n_clusters=2, random_state=0, n_init=1, max_iter=10)
print(json.dumps({"file": kmeans.__file__, "labels": found.labels.tolist()}))
"""

PARAMS = {"n_clusters": 3, "random_state": 0, "n_init": 1, "max_iter": 100}


@pytest.fixture(scope="session")
def installed(shared: Shared) -> Path:
    """The site-packages of an environment with an installed, different copy of the project."""
    folder = shared("installed", build_environment)
    return next(folder.glob("lib/python*/site-packages"))


def build_environment(folder: Path) -> None:
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(PROJECT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    venv.create(folder, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (wheel,) = wheels.iterdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*install, "--target", str(packages), str(wheel)], check=True, capture_output=True, timeout=120)
    # The dependencies come from this environment, after the folder the wheel is in. A .pth file there is not followed,
    # so that an editable install of the project stays out of it.
    here = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()])
    (packages / "dependencies.pth").write_text("\n".join(here) + "\n")
    with (packages / "aicluster_cli" / "clustering" / "kmeans.py").open("a") as file:
        file.write(OTHER_KMEANS)


def python_of(installed: Path) -> Path:
    return installed.parents[2] / "bin" / "python"


def host_of(installed: Path) -> Path:
    return installed / HOST.relative_to(PROJECT)


def test_installed_copy_is_what_an_ordinary_import_there_finds(installed: Path) -> None:
    rows = json.dumps([[1.0, 0.0], [0.0, 1.0]])
    found = run_child(LABEL, rows, python=python_of(installed), pythonpath="")
    assert Path(found["file"]).is_relative_to(installed)
    assert found["labels"] == [7, 7]


def test_labels_are_those_of_the_shipped_code_and_not_of_the_installed_copy(
    installed: Path, kmeans: Path, tmp_path: Path
) -> None:
    vectors, truth = blobs([40, 30, 20])
    job = job_for(kmeans, write_rows(tmp_path / "rows.parquet", vectors), params=PARAMS)
    said = run_child(RUN, json.dumps(asdict(job)), python=python_of(installed), pythonpath="")
    assert Path(said["package"]).is_relative_to(installed)
    assert Path(said["host"]) == host_of(installed)
    labels = [row["CLUSTER_ID"] for row in read_output(job)]
    assert labels == truth.tolist()
    assert labels == kmeans_source.cluster(vectors, **PARAMS).labels.tolist()


def test_project_on_pythonpath_does_not_shadow_the_shipped_code_either(
    installed: Path, kmeans: Path, tmp_path: Path
) -> None:
    vectors, truth = blobs([40, 30, 20])
    job = job_for(kmeans, write_rows(tmp_path / "rows.parquet", vectors), params=PARAMS)
    said = run_child(RUN, json.dumps(asdict(job)), pythonpath=installed)
    assert Path(said["package"]).is_relative_to(installed)
    assert [row["CLUSTER_ID"] for row in read_output(job)] == truth.tolist()


@pytest.mark.parametrize("statement", ["import aicluster_cli", "from aicluster_cli.clustering import kmeans"])
def test_code_of_the_project_from_anywhere_else_is_refused(installed: Path, kmeans: Path, statement: str) -> None:
    code = IMPORT_FIRST.replace("IMPORT", statement).replace("HOST", repr(str(host_of(installed))))
    said = run_child(code, str(kmeans), python=python_of(installed), pythonpath="")
    assert f"was imported from {installed / 'aicluster_cli'}" in said
    assert "not from the artefact" in said
