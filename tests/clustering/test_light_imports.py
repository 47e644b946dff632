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
