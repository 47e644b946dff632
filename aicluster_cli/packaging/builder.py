"""Builds the artefact with snowflake-ml-python's own packager, without a connection.

``ModelPackager`` and ``ModelManifest`` are private interfaces of the vendor; they are used nowhere else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import warnings
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from aicluster_cli.clustering.schema import EMBEDDING, ID, OUTPUT_COLUMNS
from aicluster_cli.errors import ModelError
from aicluster_cli.packaging.runner import STORAGE_ERRORS
from aicluster_cli.packaging.spec import ModelSpec, shipped_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL_FOLDER = "model"
_REPOSITORY = {"pip": "snowflake.snowpark.pypi_shared_repository"}  # needs no administrator and no external access


def build_artefact(spec: ModelSpec, folder: Path) -> None:
    """Write the artefact of a model into an empty folder.

    It holds what Snowflake would be sent: ``MANIFEST.yml``, the generated handlers in ``functions/``, the pickled model
    with the shipped sources in ``model/``, and the environment files.

    Raises
    ------
    ModelError
        If the vendor's packager refuses.
    OSError
        If there is no room for the folder's files, or they must not be written.
    """
    with _quietly(), tempfile.TemporaryDirectory(prefix="aicluster-sources-") as sources:
        try:
            _save(spec, folder, _copy_sources(Path(sources)))
        except Exception as error:
            if (number := _storage_error(error)) is not None:
                raise OSError(number, os.strerror(number)) from error
            raise ModelError(
                f"snowflake-ml-python could not package {spec.name}: {error}",
                hint="aicluster doctor shows whether the installed versions fit together",
            ) from error


def _save(spec: ModelSpec, folder: Path, code: Path) -> None:
    from snowflake.ml._internal import platform_capabilities
    from snowflake.ml.model import type_hints
    from snowflake.ml.model._model_composer.model_manifest.model_manifest import ModelManifest
    from snowflake.ml.model._packager.model_packager import ModelPackager
    from snowflake.ml.model.volatility import Volatility

    from aicluster_cli.clustering import models

    platforms = {
        "warehouse": [type_hints.TargetPlatform.WAREHOUSE],
        "spcs": [type_hints.TargetPlatform.SNOWPARK_CONTAINER_SERVICES],
    }[spec.runtime]
    options: Any = {
        "function_type": "TABLE_FUNCTION",
        "relax_version": False,
        "embed_local_ml_library": False,
        "volatility": Volatility.VOLATILE,
    }
    meta = ModelPackager(str(folder / MODEL_FOLDER)).save(
        name=spec.name,
        model=getattr(models, spec.class_name)(),
        signatures={"predict": signature(spec, array=False), "predict_array": signature(spec, array=True)},
        pip_requirements=list(spec.requirements),
        artifact_repository_map=_REPOSITORY,
        target_platforms=platforms,
        code_paths=[str(code)],
        options=options,
    )
    with platform_capabilities.PlatformCapabilities.mock_features({}):  # or it would ask a server
        ModelManifest(folder).save(
            model_meta=meta,
            model_rel_path=PurePosixPath(MODEL_FOLDER),
            options=options,
            target_platforms=platforms,
        )


def signature(spec: ModelSpec, *, array: bool) -> Any:
    """Return the vendor's signature of a method: ``PREDICT_ARRAY`` takes arrays, ``PREDICT`` JSON text."""
    from snowflake.ml.model import model_signature as ms

    types = {"text": ms.DataType.STRING, "int64": ms.DataType.INT64, "double": ms.DataType.DOUBLE}
    python_types = {int: ms.DataType.INT64, float: ms.DataType.DOUBLE, str: ms.DataType.STRING}
    embedding = (
        ms.FeatureSpec(EMBEDDING, ms.DataType.FLOAT, shape=(-1,))
        if array
        else ms.FeatureSpec(EMBEDDING, ms.DataType.STRING)
    )
    return ms.ModelSignature(
        inputs=[ms.FeatureSpec(ID, ms.DataType.STRING), embedding],
        outputs=[ms.FeatureSpec(column.name, types[column.type]) for column in OUTPUT_COLUMNS],
        params=[ms.ParamSpec(param.name, python_types[param.type], param.default) for param in spec.info.params],
    )


def _storage_error(error: Exception) -> int | None:
    """Return why a file could not be written; copying a folder tells it in words only, one for each file."""
    if isinstance(error, shutil.Error):
        told = str(error)
        return next((number for number in STORAGE_ERRORS if f"[Errno {number}]" in told), None)
    if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
        return error.errno
    return None


def _copy_sources(folder: Path) -> Path:
    for name, content in shipped_sources():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder / "aicluster_cli"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    logger = logging.getLogger("snowflake.ml")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
