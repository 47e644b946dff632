import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from aicluster_cli.packaging.spec import SPECS
from aicluster_cli.platforms.local.registry import LABEL, LocalRegistry

QUICK_HANDLER = """
import pandas as pd

param_cols = []


class infer:
    def end_partition(self, df):
        print("clustering quickly")
        return pd.DataFrame({"ROW_ID": df.iloc[:, 0], "REASON": pd.Series([None] * len(df), dtype="object")})
"""


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with both models as V1, built by one worker for all; for copying only."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    with FileLock(root / "registry.lock"):
        if not (root / "registry").exists():
            building = LocalRegistry(root / "registry.building")
            for spec in SPECS:
                building.register(spec, None, "the first", "0.1")
            (root / "registry.building").rename(root / "registry")
    return root / "registry"


@pytest.fixture
def store(registered: Path, tmp_path: Path) -> Path:
    """The root of a local store of its own in which both models are registered."""
    shutil.copytree(registered, tmp_path / "store" / "registry")
    return tmp_path / "store"


@pytest.fixture
def quick_store(store: Path) -> Path:
    """A store whose K-Means was registered with a handler that does without the vendor's slow imports."""
    version = store / "registry" / "AI_CLUSTER_KMEANS" / "V1"
    (version / "functions" / "predict_array.py").write_text(QUICK_HANDLER)
    label = json.loads((version / LABEL).read_text())
    label["files"]["functions/predict_array.py"] = hashlib.sha256(QUICK_HANDLER.encode()).hexdigest()
    (version / LABEL).write_text(json.dumps(label))
    return store
