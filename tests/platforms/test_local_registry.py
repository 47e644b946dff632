"""The local registry: versions that never change, and the same content only once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from local_stores import hear, largest_file, say, start

from aicluster_cli.errors import ModelError, OutputError, UsageError
from aicluster_cli.packaging.spec import python_minor, spec_for
from aicluster_cli.platforms.local.registry import LABEL, LocalRegistry

KMEANS, DEEP = spec_for("kmeans"), spec_for("deep")
OTHER_PYTHON = "3.9"


@pytest.fixture
def registry(store: Path) -> LocalRegistry:
    return LocalRegistry(store / "registry")


@pytest.fixture
def home(store: Path) -> Path:
    """The folder of K-Means' versions."""
    return store / "registry" / KMEANS.name


def relabel(folder: Path, **changes: object) -> None:
    label = json.loads((folder / LABEL).read_text())
    (folder / LABEL).write_text(json.dumps({**label, **changes}))


def copy_version(home: Path, version: str, **changes: object) -> Path:
    shutil.copytree(home / "V1", home / version)
    relabel(home / version, **changes)
    return home / version


def build_with_other_python(folder: Path) -> None:
    manifest = folder / "MANIFEST.yml"
    content = manifest.read_text()
    assert f"version: '{python_minor()}'" in content
    manifest.write_text(content.replace(f"version: '{python_minor()}'", f"version: '{OTHER_PYTHON}'"))


def names(registry: LocalRegistry) -> list[tuple[str, str]]:
    return [(version.model, version.version) for version in registry.versions()]


def register(registry: LocalRegistry, version: str | None = None) -> tuple[str, bool]:
    done = registry.register(KMEANS, version, "", "0.1")
    return done.version.version, done.created


def test_empty_registry_has_no_versions_and_finds_nothing(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path / "nowhere")
    assert registry.versions() == []
    assert registry.find(KMEANS, None) is None
    assert not (tmp_path / "nowhere").exists()


def test_first_version_is_v1_and_says_what_it_is(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path)
    done = registry.register(KMEANS, None, "für die Nacht ☾", "1.2.3")
    assert done.created
    version = done.version
    assert (version.model, version.version, version.python) == ("AI_CLUSTER_KMEANS", "V1", python_minor())
    assert version.content_hash == KMEANS.content_hash()
    assert (version.comment, version.package_version) == ("für die Nacht ☾", "1.2.3")
    assert version.params == {"n_clusters": 0, "random_state": 42, "n_init": 1, "max_iter": 100, "smoothing": "auto"}
    assert version.requirements == list(KMEANS.requirements)
    assert Path(version.location) == tmp_path / "AI_CLUSTER_KMEANS" / "V1"
    assert [path.name for path in (tmp_path / "AI_CLUSTER_KMEANS").iterdir()] == ["V1"]
    assert LocalRegistry(tmp_path).versions() == [version]
    assert registry.find(KMEANS, None) == version


def test_same_content_is_not_registered_twice(registry: LocalRegistry, home: Path) -> None:
    assert register(registry) == ("V1", False)
    assert [path.name for path in home.iterdir()] == ["V1"]


def test_a_new_name_for_unchanged_content_changes_nothing(registry: LocalRegistry, home: Path) -> None:
    assert register(registry, "nightly") == ("V1", False)
    assert [path.name for path in home.iterdir()] == ["V1"]


def test_changed_content_becomes_the_next_version(registry: LocalRegistry, home: Path) -> None:
    relabel(home / "V1", content_hash="0" * 64)
    assert registry.find(KMEANS, None) is None
    assert register(registry) == ("V2", True)
    found = registry.find(KMEANS, None)
    assert found is not None
    assert found.version == "V2"


def test_version_can_be_named_and_is_spelt_in_upper_case(registry: LocalRegistry, home: Path) -> None:
    relabel(home / "V1", content_hash="0" * 64)
    assert register(registry, "nightly_1") == ("NIGHTLY_1", True)
    found = registry.find(KMEANS, "Nightly_1")
    assert found is not None
    assert found.version == "NIGHTLY_1"


@pytest.mark.parametrize("version", ["V1", "v1"])
def test_name_that_other_content_has_is_refused(version: str, registry: LocalRegistry, home: Path) -> None:
    relabel(home / "V1", content_hash="0" * 64)
    with pytest.raises(UsageError, match="AI_CLUSTER_KMEANS has a version V1 already") as caught:
        register(registry, version)
    assert "choose another name" in caught.value.hint
    assert [path.name for path in home.iterdir()] == ["V1"]


@pytest.mark.parametrize("version", ["", "1x", "a-b", "a b", "../x", "/x", "é", ".x", "V1\n", "x" * 256])
def test_name_that_is_no_identifier_is_refused(version: str, registry: LocalRegistry) -> None:
    with pytest.raises(UsageError, match="cannot be a version's name"):
        register(registry, version)


def test_a_stray_file_in_the_way_is_stepped_over(tmp_path: Path) -> None:
    (tmp_path / KMEANS.name).mkdir()
    (tmp_path / KMEANS.name / "V1").write_text("not a version")
    registry = LocalRegistry(tmp_path)
    assert register(registry) == ("V2", True)
    assert names(registry) == [(KMEANS.name, "V2")]


def test_half_built_folders_are_no_versions_and_do_not_hinder(registry: LocalRegistry, home: Path) -> None:
    (home / "V1").rename(home / ".building-abc")
    assert names(registry) == [(DEEP.name, "V1")]
    assert register(registry) == ("V1", True)


def test_versions_are_listed_oldest_first_and_by_number_where_that_is_equal(
    registry: LocalRegistry, home: Path
) -> None:
    relabel(home / "V1", created="2024-03-01T00:00:00.000+00:00")
    for version, created in (("V10", "2024-02-01"), ("V9", "2024-02-01"), ("AN_OLD_ONE", "2023-01-01")):
        copy_version(home, version, created=f"{created}T00:00:00.000+00:00")
    assert [version.version for version in registry.versions(KMEANS.name)] == ["AN_OLD_ONE", "V9", "V10", "V1"]
    found = registry.find(KMEANS, None)
    assert found is not None
    assert found.version == "V1"


def test_unknown_version_is_an_error_that_lists_the_known_ones(registry: LocalRegistry, home: Path) -> None:
    copy_version(home, "V2")
    with pytest.raises(ModelError, match="has no version V7; registered: V1, V2") as caught:
        registry.find(KMEANS, "v7")
    assert "choose one of these" in caught.value.hint


def test_unknown_version_of_an_unregistered_model_says_how_to_register_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="registered: none") as caught:
        LocalRegistry(tmp_path).find(DEEP, "first")
    assert caught.value.hint == "aicluster register deep --version FIRST"


def test_dropping_one_version_leaves_the_others(registry: LocalRegistry, home: Path) -> None:
    copy_version(home, "V2")
    assert [version.version for version in registry.drop(KMEANS.name, "v1")] == ["V1"]
    assert names(registry) == [(DEEP.name, "V1"), (KMEANS.name, "V2")]


def test_dropping_a_model_removes_all_its_versions_and_no_other_model(registry: LocalRegistry, home: Path) -> None:
    copy_version(home, "V2")
    assert [version.version for version in registry.drop(KMEANS.name, None)] == ["V1", "V2"]
    assert names(registry) == [(DEEP.name, "V1")]
    assert register(registry) == ("V1", True)


@pytest.mark.parametrize(("version", "named"), [("v7", "AI_CLUSTER_KMEANS V7"), (None, "AI_CLUSTER_KMEANS")])
def test_dropping_what_is_not_there_is_an_error(version: str | None, named: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"^{named} is not registered$"):
        LocalRegistry(tmp_path).drop(KMEANS.name, version)


@pytest.mark.parametrize("version", [None, "V1"])
def test_version_of_another_python_is_refused_naming_both_and_the_cure(
    version: str | None, registry: LocalRegistry, home: Path
) -> None:
    build_with_other_python(home / "V1")
    with pytest.raises(ModelError) as caught:
        registry.find(KMEANS, version)
    assert f"V1 was built by Python {OTHER_PYTHON} and this is {python_minor()}" in caught.value.message
    assert caught.value.hint == "aicluster register kmeans"


def test_registering_again_for_this_python_makes_the_model_usable(registry: LocalRegistry, home: Path) -> None:
    build_with_other_python(home / "V1")
    assert register(registry) == ("V2", True)
    found = registry.find(KMEANS, None)
    assert found is not None
    assert (found.version, found.python) == ("V2", python_minor())
    assert register(registry) == ("V2", False)
    assert {version.version: version.python for version in registry.versions(KMEANS.name)} == {
        "V1": OTHER_PYTHON,
        "V2": python_minor(),
    }


def test_version_of_this_python_is_found_although_another_python_registered_later(
    registry: LocalRegistry, home: Path
) -> None:
    build_with_other_python(copy_version(home, "V2", created="2999-01-01T00:00:00.000+00:00"))
    found = registry.find(KMEANS, None)
    assert found is not None
    assert found.version == "V1"


SHIPPED = "model/code/aicluster_cli/clustering/kmeans.py"


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("# changed\n")


@pytest.mark.parametrize("version", [None, "V1"])
@pytest.mark.parametrize(
    ("damage", "name", "problem"),
    [
        (append, SHIPPED, "has changed since it was registered"),
        (Path.unlink, SHIPPED, "is missing"),
        (append, "functions/predict_array.py", "has changed since it was registered"),
        (lambda path: path.write_bytes(b""), f"model/models/{KMEANS.name}/model.pkl", "has changed"),
        (append, "MANIFEST.yml", "has changed since it was registered"),
    ],
    ids=["changed source", "missing source", "changed handler", "emptied pickle", "changed manifest"],
)
def test_changed_or_missing_file_is_refused_by_name(
    damage: Callable[[Path], object],
    name: str,
    problem: str,
    version: str | None,
    registry: LocalRegistry,
    home: Path,
) -> None:
    damage(home / "V1" / name)
    with pytest.raises(ModelError, match=f"V1 is broken: {name} {problem}") as caught:
        registry.find(KMEANS, version)
    assert caught.value.hint.startswith("aicluster models drop kmeans --version V1 --yes")
    assert [found.problem.startswith(name) for found in registry.versions(KMEANS.name)] == [True]


def test_registering_again_replaces_a_broken_version_by_a_new_one(registry: LocalRegistry, home: Path) -> None:
    append(home / "V1" / SHIPPED)
    assert register(registry) == ("V2", True)
    found = registry.find(KMEANS, None)
    assert found is not None
    assert found.version == "V2"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'{"files": []}', b'"text"'],
    ids=["empty", "cut off", "list", "null", "no keys", "not UTF-8", "few keys", "text"],
)
def test_version_with_an_unreadable_label_is_listed_as_broken_and_refused(
    content: bytes, registry: LocalRegistry, home: Path
) -> None:
    (home / "V1" / LABEL).write_bytes(content)
    broken, *others = sorted(registry.versions(), key=lambda version: version.model, reverse=True)
    assert broken.problem.startswith("unreadable: ")
    assert [version.problem for version in others] == [""]
    with pytest.raises(ModelError, match="V1 is broken: unreadable"):
        registry.find(KMEANS, "V1")
    assert registry.find(KMEANS, None) is None
    assert register(registry) == ("V2", True)


@pytest.mark.parametrize("files", [[], None, "x", {"MANIFEST.yml": 1}])
def test_label_with_wrong_kinds_of_values_is_broken_and_no_crash(
    files: object, registry: LocalRegistry, home: Path
) -> None:
    relabel(home / "V1", files=files)
    with pytest.raises(ModelError, match="V1 is broken"):
        registry.find(KMEANS, "V1")


@pytest.mark.parametrize("content", ["{", "", "runtimes: 3", "runtimes: {python_runtime: {}}"])
def test_version_with_a_broken_manifest_is_refused(content: str, registry: LocalRegistry, home: Path) -> None:
    (home / "V1" / "MANIFEST.yml").write_text(content)
    with pytest.raises(ModelError, match="V1 is broken"):
        registry.find(KMEANS, "V1")


def test_no_room_is_an_output_error_that_leaves_nothing_behind(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    with largest_file(2000), pytest.raises(OutputError, match="V1"):
        register(registry)
    assert [path for path in (tmp_path / "registry").rglob("*") if path.is_file()] == []
    assert registry.versions() == []


def test_registry_where_no_folder_can_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=str(tmp_path / "file")):
        register(LocalRegistry(tmp_path / "file"))


REGISTER = """
import sys
from pathlib import Path
from aicluster_cli.packaging import builder
from aicluster_cli.packaging.spec import spec_for
from aicluster_cli.platforms.local.registry import LocalRegistry
import snowflake.ml.model.custom_model
print("ready", flush=True)
sys.stdin.readline()
done = LocalRegistry(Path(sys.argv[1])).register(spec_for("kmeans"), None, "", "")
print(done.version.version, done.created)
"""


def test_two_processes_that_register_at_once_end_with_one_version(tmp_path: Path) -> None:
    with start(REGISTER, str(tmp_path)) as first, start(REGISTER, str(tmp_path)) as second:
        assert [hear(first), hear(second)] == ["ready", "ready"]
        say(first, "go")
        say(second, "go")
        said = [hear(first), hear(second)]
    assert sorted(said) == ["V1 False", "V1 True"]
    assert [path.name for path in (tmp_path / KMEANS.name).iterdir()] == ["V1"]
