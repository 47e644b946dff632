"""What is registered: model, signature, dependencies, and the content hash over all of it. Light to import."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import aicluster_cli
from aicluster_cli.clustering.catalog import MODELS, ModelInfo, find_model
from aicluster_cli.clustering.params import defaults
from aicluster_cli.clustering.schema import EMBEDDING, ID, OUTPUT_COLUMNS
from aicluster_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

Runtime = Literal["warehouse", "spcs"]

METHODS = ("predict", "predict_array")

_NUMERICS = ("numpy>=2.1,<3", "pandas>=2.2.3,<3", "scikit-learn>=1.6,<2")


@dataclass(frozen=True)
class ModelSpec:
    """A model as it is registered.

    Attributes
    ----------
    info
        Its name, alias and parameters.
    class_name
        The CustomModel in ``aicluster_cli.clustering.models``.
    runtime
        Where Snowflake runs it.
    requirements
        The ranges of packages it needs; never exact versions, which a channel may lack.
    """

    info: ModelInfo
    class_name: str
    runtime: Runtime
    requirements: tuple[str, ...]

    @property
    def name(self) -> str:
        """The registered name."""
        return self.info.name

    def content_hash(self) -> str:
        """Return the SHA-256 over shipped sources, signature, defaults and dependency ranges.

        Built files are left out: every build writes a timestamp into them.
        """
        digest = hashlib.sha256(json.dumps(self._described(), sort_keys=True).encode())
        for name, content in shipped_sources():
            digest.update(f"\n{name}\n{len(content)}\n".encode())
            digest.update(content)
        return digest.hexdigest()

    def _described(self) -> dict[str, object]:
        return {
            "name": self.name,
            "class": self.class_name,
            "runtime": self.runtime,
            "methods": METHODS,
            "inputs": [ID, EMBEDDING],
            "outputs": [(column.name, column.type) for column in OUTPUT_COLUMNS],
            "params": defaults(self.info.params),
            "requirements": self.requirements,
        }


_CLASSES: dict[str, tuple[str, Runtime, tuple[str, ...]]] = {
    "AI_CLUSTER_KMEANS": ("AIClusterKMeans", "warehouse", _NUMERICS),
    "AI_CLUSTER_DEEP": ("AIClusterDeep", "spcs", (*_NUMERICS, "hdbscan>=0.8.42,<0.9")),
}

SPECS: tuple[ModelSpec, ...] = tuple(ModelSpec(info, *_CLASSES[info.name]) for info in MODELS)


def spec_for(name: str) -> ModelSpec:
    """Return the model of this name or alias.

    Raises
    ------
    UsageError
        If there is no such model.
    """
    info = find_model(name)
    if info is None:
        known = ", ".join(f"{model.alias} ({model.name})" for model in MODELS)
        raise UsageError(f"no model is called {name!r}", hint=f"the models are {known}")
    return next(spec for spec in SPECS if spec.info is info)


def shipped_sources() -> Iterator[tuple[str, bytes]]:
    """Yield the path inside the artefact and the content of every source file that is shipped, in a fixed order."""
    package = Path(aicluster_cli.__file__).parent
    yield "aicluster_cli/__init__.py", (package / "__init__.py").read_bytes()
    for path in sorted((package / "clustering").rglob("*.py")):
        yield f"aicluster_cli/{path.relative_to(package).as_posix()}", path.read_bytes()


def python_minor() -> str:
    """Return the running Python's minor version, ``3.11``: an artefact works on the minor that pickled it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
