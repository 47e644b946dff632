from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import aicluster_cli

ROOT = Path(aicluster_cli.__file__).parents[1]


def python(code):
    """Run code in a process of its own that finds the project; return what it printed as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", ["params", "schema", "catalog"])
def test_the_light_modules_import_nothing_but_the_standard_library(module):
    loaded = python(
        f"""
        import json
        before = set(sys.modules)
        import aicluster_cli.clustering.{module}
        roots = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        print(json.dumps(sorted(roots - set(sys.stdlib_module_names))))
        """
    )
    assert loaded == ["aicluster_cli"]


def test_kmeans_works_with_numpy_pandas_and_scikit_learn_alone():
    found = python(
        """
        import importlib.abc, json
        REFUSED = {"hdbscan", "pyarrow", "duckdb", "snowflake", "wordllama", "pydantic", "yaml", "typer", "rich"}
        REFUSED |= {"numba", "llvmlite"}

        class Refuse(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in REFUSED:
                    raise ImportError(f"{name} is refused")
                return None

        sys.meta_path.insert(0, Refuse())
        before = set(sys.modules)  # a namespace package may have been made when Python started
        import pandas as pd
        from aicluster_cli.clustering import kmeans
        from aicluster_cli.clustering.block import cluster_block
        from aicluster_cli.clustering.embeddings import parse_json

        texts = ["[1, 0]", "oops", "[0, 1]", "[1, 0.1]", "[0.1, 1]", "[1, 0.2]"]
        options = {"random_state": 0, "n_init": 1, "max_iter": 10}
        labels = []
        for clusters in (0, 2):
            frame = cluster_block(
                pd.Series(list("abcdef")),
                parse_json(texts),
                lambda matrix: kmeans.cluster(matrix, n_clusters=clusters, **options),
            )
            labels.append([None if label is pd.NA else int(label) for label in frame["CLUSTER_ID"]])
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(json.dumps({"labels": labels, "refused": sorted(loaded & REFUSED)}))
        """
    )
    assert found == {"labels": [[0, None, 1, 0, 1, 0]] * 2, "refused": []}


REFUSING = """
import importlib.abc, json
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if refused(name.partition(".")[0]):
            raise ImportError(f"{name} is refused")
        return None
sys.meta_path.insert(0, Refuse())
"""


def test_without_numba_long_tables_of_text_are_parsed_to_the_same_bits():
    code = """
import hashlib
import numpy as np
from aicluster_cli.clustering import texts
from aicluster_cli.clustering.embeddings import parse_json
rows = np.random.default_rng(0).standard_normal((400, 300))
written = [json.dumps(row.tolist()) for row in rows] + ["[1, 2", "oops", None]
assert sum(len(text or "") for text in written) > texts._COMPILED_FROM
parsed = parse_json(written)
digest = hashlib.sha256(parsed.matrix[:400].tobytes()).hexdigest()
print(json.dumps([digest, parsed.reasons[400:], texts.compiled_parser() is not None]))
"""
    found = []
    for names in (set(), {"numba", "llvmlite"}):
        found.append(python(f"refused = {names!r}.__contains__" + REFUSING + code))
    pytest.importorskip("numba")
    assert [compiled for *_, compiled in found] == [True, False]
    assert found[0][:2] == found[1][:2]


def test_kmeans_needs_the_numeric_packages_and_what_pandas_needs_alone():
    """Every other package that is installed is refused, whatever its name."""
    found = python(
        """
allowed = {"numpy", "scipy", "sklearn", "pandas", "threadpoolctl", "joblib", "dateutil", "pytz", "tzdata", "six"}
allowed |= set(sys.stdlib_module_names) | {"aicluster_cli", "_distutils_hack"}
refused = lambda root: root not in allowed and not root.startswith("_")  # Python names its build so
"""
        + REFUSING
        + """
import numpy as np
import pandas as pd
from aicluster_cli.clustering import kmeans
from aicluster_cli.clustering.block import cluster_block
from aicluster_cli.clustering.embeddings import parse_json
from aicluster_cli.clustering.params import KMEANS_PARAMS, defaults
rows = np.repeat(np.eye(4), 30, axis=0) + np.random.default_rng(0).normal(size=(120, 4)) * 0.05
texts = [json.dumps(row.tolist()) for row in rows]
ids = pd.Series([str(row) for row in range(120)])
frame = cluster_block(ids, parse_json(texts), lambda matrix: kmeans.cluster(matrix, **defaults(KMEANS_PARAMS)))
print(json.dumps(frame["CLUSTER_ID"].astype(int).tolist()))
"""
    )
    assert found == [row // 30 for row in range(120)]
