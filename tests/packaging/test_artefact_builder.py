"""What the packager writes: the manifest, the handlers, the pickled model, its sources and its requirements."""

import tomllib
from pathlib import Path

import pytest
import yaml
from artefact_jobs import PROJECT
from packaging.requirements import Requirement

import aicluster_cli
from aicluster_cli.clustering.schema import OUTPUT_COLUMNS
from aicluster_cli.errors import ModelError
from aicluster_cli.packaging.builder import build_artefact
from aicluster_cli.packaging.spec import METHODS, SPECS, ModelSpec, python_minor, spec_for

PACKAGE = Path(aicluster_cli.__file__).parent
BOTH = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.info.alias)


def manifest(artefact: Path) -> dict:
    return yaml.safe_load((artefact / "MANIFEST.yml").read_text())


def requirements(artefact: Path) -> dict[str, Requirement]:
    runtime = manifest(artefact)["runtimes"]["python_runtime"]
    lines = (artefact / runtime["dependencies"]["pip"]).read_text().splitlines()
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


@BOTH
def test_artefact_holds_manifest_handlers_model_sources_and_environments_and_nothing_else(
    spec: ModelSpec, artefacts: Path
) -> None:
    artefact = artefacts / spec.name
    found = {path.relative_to(artefact).as_posix() for path in artefact.rglob("*") if path.is_file()}
    sources = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "clustering").rglob("*.py")}
    assert found == {
        "MANIFEST.yml",
        "functions/predict.py",
        "functions/predict_array.py",
        "model/model.yaml",
        f"model/models/{spec.name}/model.pkl",
        "model/env/conda.yml",
        "model/env/requirements.txt",
        "model/runtimes/cpu/env/conda.yml",
        "model/runtimes/cpu/env/requirements.txt",
        "runtimes/python_runtime/env/requirements.txt",
        *(f"model/code/aicluster_cli/{source}" for source in {"__init__.py", *sources}),
    }


@BOTH
def test_shipped_sources_are_the_projects_own_byte_for_byte(spec: ModelSpec, artefacts: Path) -> None:
    shipped = artefacts / spec.name / "model" / "code" / "aicluster_cli"
    for path in shipped.rglob("*.py"):
        assert path.read_bytes() == (PACKAGE / path.relative_to(shipped)).read_bytes()


@BOTH
def test_both_methods_are_partitioned_table_functions(spec: ModelSpec, artefacts: Path) -> None:
    methods = manifest(artefacts / spec.name)["methods"]
    assert [method["name"] for method in methods] == ["PREDICT", "PREDICT_ARRAY"]
    assert {method["type"] for method in methods} == {"TABLE_FUNCTION"}
    assert [method["handler"] for method in methods] == [f"functions.{name}.infer" for name in METHODS]
    meta = yaml.safe_load((artefacts / spec.name / "model" / "model.yaml").read_text())
    assert meta["function_properties"] == {name: {"PARTITIONED": True} for name in METHODS}


@BOTH
def test_methods_differ_in_the_type_of_the_embedding_only(spec: ModelSpec, artefacts: Path) -> None:
    predict, predict_array = manifest(artefacts / spec.name)["methods"]
    assert predict["inputs"] == [{"name": "ID", "type": "STRING"}, {"name": "EMBEDDING", "type": "STRING"}]
    assert predict_array["inputs"] == [{"name": "ID", "type": "STRING"}, {"name": "EMBEDDING", "type": "ARRAY"}]
    sql = {"text": "STRING", "int64": "BIGINT", "double": "DOUBLE"}
    expected = [{"name": column.name, "type": sql[column.type]} for column in OUTPUT_COLUMNS]
    assert predict["outputs"] == predict_array["outputs"] == expected


@BOTH
def test_every_parameter_is_in_the_manifest_with_its_default_as_sql(spec: ModelSpec, artefacts: Path) -> None:
    sql = {int: "BIGINT", float: "DOUBLE", str: "STRING"}
    expected = [
        {"name": param.name.upper(), "type": sql[param.type], "default": repr(param.default)}
        for param in spec.info.params
    ]
    for method in manifest(artefacts / spec.name)["methods"]:
        assert method["params"] == expected


@pytest.mark.parametrize(("alias", "platform"), [("kmeans", "WAREHOUSE"), ("deep", "SNOWPARK_CONTAINER_SERVICES")])
def test_each_model_names_the_one_platform_it_is_for(alias: str, platform: str, artefacts: Path) -> None:
    assert manifest(artefacts / spec_for(alias).name)["target_platforms"] == [platform]


@BOTH
def test_packages_come_from_the_shared_repository_for_this_python(spec: ModelSpec, artefacts: Path) -> None:
    runtime = manifest(artefacts / spec.name)["runtimes"]["python_runtime"]
    repositories = runtime["dependencies"]["artifact_repository_map"]
    assert repositories == {"pip": "snowflake.snowpark.pypi_shared_repository"}
    assert runtime["version"] == python_minor()


@BOTH
def test_only_the_vendors_own_two_packages_are_pinned(spec: ModelSpec, artefacts: Path) -> None:
    found = requirements(artefacts / spec.name)
    pinned = {name for name, found in found.items() if any(part.operator in ("==", "===") for part in found.specifier)}
    assert pinned == {"cloudpickle", "snowflake-ml-python"}
    ours = {requirement.name: requirement for requirement in map(Requirement, spec.requirements)}
    assert {name: found[name].specifier for name in found.keys() - pinned} == {
        name: requirement.specifier for name, requirement in ours.items()
    }


def test_kmeans_needs_no_more_than_numpy_pandas_and_scikit_learn() -> None:
    assert {Requirement(line).name for line in spec_for("kmeans").requirements} == {"numpy", "pandas", "scikit-learn"}


@BOTH
def test_requirements_are_ranges_and_those_the_project_itself_is_tested_with(spec: ModelSpec) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    ours = {found.name: found.specifier for found in map(Requirement, project["dependencies"])}
    for requirement in map(Requirement, spec.requirements):
        assert requirement.specifier == ours[requirement.name], requirement.name
        assert {part.operator for part in requirement.specifier} == {">=", "<"}


def test_model_is_found_by_its_name_and_its_alias_in_any_case() -> None:
    assert spec_for("AI_CLUSTER_KMEANS") is spec_for("kmeans") is spec_for("KMeans")


def test_folder_that_is_not_empty_is_refused_with_the_models_name(kmeans: Path, tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "model").write_text("a file where a folder goes")
    with pytest.raises(ModelError, match="could not package AI_CLUSTER_KMEANS") as caught:
        build_artefact(spec_for("kmeans"), occupied)
    assert "aicluster doctor" in caught.value.hint
