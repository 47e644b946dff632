"""PREDICT, which takes JSON text, and PREDICT_ARRAY, which takes arrays, give the same rows for the same vectors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artefact_jobs import LOAD_HOST, blobs, run_child

PREDICT_BOTH = (
    LOAD_HOST
    + """
from pathlib import Path
import numpy as np
import pandas as pd

host, artefact, rows = load_host(), Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())

def call(method, embeddings):
    handler, params = host.load_handler(artefact, method)
    frame = pd.DataFrame({"ID": rows["ids"], "EMBEDDING": pd.Series(embeddings, dtype="object")})
    for at, name in enumerate(params):
        frame[f"PARAM_{at}"] = rows["params"][name]
    return json.loads(handler.end_partition(frame).to_json(orient="records", double_precision=15))

arrays = [None if row is None else np.array(row, dtype=np.float32) for row in rows["arrays"]]
print(json.dumps([call("predict", rows["texts"]), call("predict_array", arrays)]))
"""
)

PARAMS: dict[str, dict[str, Any]] = {
    "AI_CLUSTER_KMEANS": {"n_clusters": 4, "random_state": 1, "n_init": 2, "max_iter": 50, "smoothing": "on"},
    "AI_CLUSTER_DEEP": {
        "min_cluster_size": 15,
        "min_samples": 5,
        "cluster_selection_method": "leaf",
        "granularity": 0.5,
        "max_noise": 0.05,
        "random_state": 1,
    },
}
# JSON text, the array of the same meaning, and the verdict; None where the array cannot say the same.
BAD = (
    (None, None, "null embedding"),
    ("null", None, "null embedding"),
    ("[1, 2, 3]", [1, 2, 3], "wrong length"),
    ("[" + "0, " * 11 + "0]", [0] * 12, "zero vector"),
    ("[NaN, " + "1, " * 10 + "1]", [float("nan"), *[1] * 11], "NaN or Infinity inside the vector"),
    ("[-Infinity, " + "1, " * 10 + "1]", [float("-inf"), *[1] * 11], "NaN or Infinity inside the vector"),
    ("", None, "blank embedding"),
    ("[1, 2", None, "malformed JSON"),
    ("[[1, 2], [3, 4]]", None, "nested array"),
    ('["1", "2"]', None, "not a number inside the vector"),
    ('{"a": 1}', None, "not an array"),
)


def rows(model: str) -> dict[str, Any]:
    vectors, _ = blobs([120, 80, 60, 40], dimension=12, seed=3)
    noise = np.random.default_rng(3).normal(size=(20, 12)).astype(np.float32)
    arrays: list[Any] = np.concatenate([vectors, noise]).tolist()
    texts: list[str | None] = [json.dumps(array) for array in arrays]
    for at, (text, array, _) in enumerate(BAD):
        texts.insert(at * 20, text)
        arrays.insert(at * 20, array)
    ids = [f"row {at}" for at in range(len(texts))]
    ids[-1] = ids[-2]
    return {"ids": ids, "texts": texts, "arrays": arrays, "params": PARAMS[model]}


@pytest.mark.parametrize("model", PARAMS)
def test_text_and_arrays_of_the_same_vectors_get_the_same_rows(model: str, artefacts: Path, tmp_path: Path) -> None:
    given = rows(model)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(given))
    from_text, from_arrays = run_child(PREDICT_BOTH, str(artefacts / model), str(path))

    labels = [row["CLUSTER_ID"] for row in from_text]
    assert len(labels) == len(given["ids"])
    assert len(set(labels) - {None, -1}) == 4
    for text_row, array_row in zip(from_text, from_arrays, strict=True):
        assert {**text_row, "REASON": ""} == {**array_row, "REASON": ""}

    bad = [at * 20 for at in range(len(BAD))]
    for at, (_, array, verdict) in zip(bad, BAD, strict=True):
        assert from_text[at]["REASON"].partition(":")[0] == verdict
        assert from_arrays[at]["REASON"].partition(":")[0] == (verdict if array is not None else "null embedding")
    assert from_text[-1]["REASON"] == from_arrays[-1]["REASON"] == "duplicate id: 2 rows have it"
    assert [at for at, label in enumerate(labels) if label is None] == [*bad, len(labels) - 2, len(labels) - 1]
