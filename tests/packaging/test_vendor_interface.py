"""A canary: what builder.py and host.py use of snowflake-ml-python's private interface is still there.

A failure here means that the range of snowflake-ml-python in pyproject.toml lets in a version the packaging room does
not fit yet.
"""

import importlib
import inspect
from importlib.metadata import version
from pathlib import Path

import pytest

USED_BY_BUILDER = {
    "snowflake.ml.model._packager.model_packager:ModelPackager": {"local_dir_path"},
    "snowflake.ml.model._packager.model_packager:ModelPackager.save": {
        "name",
        "model",
        "signatures",
        "pip_requirements",
        "artifact_repository_map",
        "target_platforms",
        "code_paths",
        "options",
    },
    "snowflake.ml.model._model_composer.model_manifest.model_manifest:ModelManifest": {"workspace_path"},
    "snowflake.ml.model._model_composer.model_manifest.model_manifest:ModelManifest.save": {
        "model_meta",
        "model_rel_path",
        "options",
        "target_platforms",
    },
    "snowflake.ml._internal.platform_capabilities:PlatformCapabilities.mock_features": {"features"},
    "snowflake.ml.model.model_signature:FeatureSpec": {"name", "dtype", "shape"},
    "snowflake.ml.model.model_signature:ParamSpec": {"name", "dtype", "default_value"},
    "snowflake.ml.model.model_signature:ModelSignature": {"inputs", "outputs", "params"},
    "snowflake.ml.model.custom_model:CustomModel": {"context"},
    "snowflake.ml.model.custom_model:partitioned_api": {"func"},
}
USED_BY_HOST = (
    "from _snowflake import vectorized",
    'IMPORT_DIRECTORY_NAME = "snowflake_import_directory"',
    "sys._xoptions[IMPORT_DIRECTORY_NAME]",
    "param_cols = []",
    "df.columns = input_cols + param_cols",
    "class infer:",
    "def end_partition(self, df: pd.DataFrame) -> pd.DataFrame:",
)


def changed(what: str, room: str) -> str:
    return (
        f"snowflake-ml-python {version('snowflake-ml-python')}: {what}. aicluster_cli/packaging/{room} relies on it: "
        "adapt that file, or lower the upper limit of snowflake-ml-python in pyproject.toml and constraints.txt"
    )


@pytest.mark.parametrize("name", USED_BY_BUILDER)
def test_what_the_builder_calls_is_there_and_takes_its_arguments(name: str) -> None:
    module, _, path = name.partition(":")
    try:
        found = importlib.import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        pytest.fail(changed(f"{name} is gone ({error})", "builder.py"))
    missing = USED_BY_BUILDER[name] - set(inspect.signature(found).parameters)
    assert not missing, changed(f"{name} no longer takes {', '.join(sorted(missing))}", "builder.py")


def test_the_members_the_builder_names_are_there() -> None:
    from snowflake.ml.model import model_signature, type_hints
    from snowflake.ml.model.volatility import Volatility

    for kind, members in (
        (type_hints.TargetPlatform, ("WAREHOUSE", "SNOWPARK_CONTAINER_SERVICES")),
        (model_signature.DataType, ("STRING", "INT64", "DOUBLE", "FLOAT")),
        (Volatility, ("VOLATILE",)),
    ):
        missing = set(members) - set(kind.__members__)
        assert not missing, changed(f"{kind.__name__} has no {', '.join(sorted(missing))}", "builder.py")


def test_no_other_argument_of_the_packager_has_become_required() -> None:
    from snowflake.ml.model._model_composer.model_manifest.model_manifest import ModelManifest
    from snowflake.ml.model._packager.model_packager import ModelPackager

    for function, kind in ((ModelPackager.save, "ModelPackager"), (ModelManifest.save, "ModelManifest")):
        used = next(names for name, names in USED_BY_BUILDER.items() if name.endswith(f":{kind}.save"))
        parameters = list(inspect.signature(function).parameters.values())[1:]
        needed = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
        assert needed <= used, changed(f"{kind}.save requires {', '.join(sorted(needed - used))} too", "builder.py")


@pytest.mark.parametrize("method", ["predict", "predict_array"])
@pytest.mark.parametrize("line", USED_BY_HOST)
def test_generated_handler_has_what_the_host_drives_it_by(line: str, method: str, kmeans: Path) -> None:
    handler = (kmeans / "functions" / f"{method}.py").read_text()
    assert line in handler, changed(f"its generated {method}.py has no line {line!r}", "host.py")
