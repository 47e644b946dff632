"""What doctor finds on this machine."""

import json
import os
import sys
from pathlib import Path

import pytest

from aicluster_cli.packaging.spec import python_minor
from aicluster_cli.platforms.local.platform import LocalPlatform
from aicluster_cli.platforms.local.registry import LABEL
from aicluster_cli.records import Check


def checks(root: Path, threads: int = 1) -> dict[str, Check]:
    return {check.name: check for check in LocalPlatform(root, threads=threads).checks()}


def test_fresh_machine_is_fine_and_stays_untouched(tmp_path: Path) -> None:
    found = checks(tmp_path / "store")
    for name in ("Python", "store", "threads", "AI_CLUSTER_KMEANS", "AI_CLUSTER_DEEP"):
        assert (found[name].result, found[name].cure) == ("OK", ""), found[name]
    assert found["Python"].found == sys.version.split()[0]
    assert "first run" in found["store"].found
    assert "first run" in found["AI_CLUSTER_KMEANS"].found
    assert list(tmp_path.iterdir()) == []


def test_registered_models_are_named_with_their_version(store: Path) -> None:
    found = checks(store)
    assert found["store"].found == str(store)
    assert found["AI_CLUSTER_DEEP"] == Check("AI_CLUSTER_DEEP", "OK", "V1 is registered")


def test_store_that_cannot_be_made_fails_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = checks(tmp_path / "file" / "store")["store"]
    assert found.result == "FAIL"
    assert "another root" in found.cure


def test_more_threads_than_processors_are_a_warning(tmp_path: Path) -> None:
    found = checks(tmp_path, threads=(os.cpu_count() or 1) + 1)["threads"]
    assert (found.result, found.cure) == ("WARN", "set threads: 0 in the profile")


def test_damaged_model_fails_with_the_command_that_removes_it(store: Path) -> None:
    (store / "registry" / "AI_CLUSTER_KMEANS" / "V1" / "MANIFEST.yml").unlink()
    broken = next(check for check in LocalPlatform(store).checks() if check.name == "AI_CLUSTER_KMEANS")
    assert broken.result == "FAIL"
    assert "MANIFEST.yml" in broken.found
    assert broken.cure == "aicluster models drop kmeans --version V1 --yes"


def test_model_of_older_content_is_fine_since_the_next_run_registers(store: Path) -> None:
    label = store / "registry" / "AI_CLUSTER_DEEP" / "V1" / LABEL
    label.write_text(json.dumps({**json.loads(label.read_text()), "content_hash": "0" * 64}))
    found = checks(store)["AI_CLUSTER_DEEP"]
    assert found.result == "OK"
    assert "older content" in found.found


def test_model_of_another_python_is_a_warning_with_the_command_to_register_again(store: Path) -> None:
    manifest = store / "registry" / "AI_CLUSTER_DEEP" / "V1" / "MANIFEST.yml"
    manifest.write_text(manifest.read_text().replace(f"'{python_minor()}'", "'3.9'"))
    found = [check for check in LocalPlatform(store).checks() if check.name == "AI_CLUSTER_DEEP"]
    assert [check.result for check in found][-1] == "WARN"
    assert "built by Python 3.9" in found[-1].found
    assert found[-1].cure == "aicluster register deep"


@pytest.mark.parametrize("package", ["numpy", "scikit-learn", "snowflake-ml-python"])
def test_packages_are_listed_where_the_project_is_installed(package: str, tmp_path: Path) -> None:
    found = checks(tmp_path)
    if "packages" in found:  # run from the sources, without being installed
        assert found["packages"].result == "WARN"
    else:
        assert found[package].result == "OK"
