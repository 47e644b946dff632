"""``aicluster profile``: init, show, validate, schema."""

import json

import pytest


def test_init_writes_a_profile_that_is_valid_and_never_replaces_one(project):
    path = project.folder / "aicluster.yaml"
    kept = path.read_text()
    refused = project("profile", "init")
    assert (refused.code, refused.errors[0]) == (1, "error: aicluster.yaml exists already")
    assert path.read_text() == kept
    made = project("profile", "init", "mine.yaml").succeeded()
    assert "aicluster profile validate --profile mine.yaml" in made.err
    assert project("profile", "validate", "--profile", "mine.yaml").succeeded().err.endswith("mine.yaml is valid\n")
    assert project("profile", "init", "--dry-run").text == (project.folder / "mine.yaml").read_text()
    project("profile", "init", "--overwrite").succeeded()
    assert path.read_text() == (project.folder / "mine.yaml").read_text()


def test_show_tells_every_value_and_where_it_comes_from(project):
    path = project.folder / "aicluster.yaml"
    path.write_text(path.read_text() + "models:\n  deep:\n    params: {max_noise: '${NOISE:-0.2}'}\n")
    path.write_text(path.read_text().replace("'${NOISE:-0.2}'", "0.2") + "embedding:\n  model: ${EMBEDDER}\n")
    document = project("profile", "show", "--json", env={"EMBEDDER": "wordllama-128"}).succeeded().json
    values = {value["key"]: (value["value"], value["from"]) for value in document["values"]}
    assert document["path"] == str(path)
    assert values["root"] == (str(project.root), "aicluster.yaml:2")
    assert values["embedding.model"] == ("wordllama-128", "aicluster.yaml:8 from ${EMBEDDER}")
    assert values["models.AI_CLUSTER_DEEP.params.max_noise"] == (0.2, "aicluster.yaml:6")
    assert values["models.AI_CLUSTER_KMEANS.params.n_clusters"] == (0, "default")


def test_missing_variable_names_the_key(project):
    path = project.folder / "aicluster.yaml"
    path.write_text(path.read_text() + "embedding:\n  model: ${EMBEDDER}\n")
    result = project("profile", "show")
    assert result.code == 2
    assert result.errors[0].startswith("error: aicluster.yaml:5: embedding.model: ")
    assert "EMBEDDER" in result.errors[0]
    assert "export EMBEDDER=" in result.errors[1]


@pytest.mark.parametrize(("yaml", "code"), [("platform: local\n", 0), ("platform: moon\n", 2), ("- a\n", 2)])
def test_validate(project, yaml, code):
    project.write("other.yaml", yaml)
    result = project("profile", "validate", "--profile", "other.yaml", "--json")
    assert result.code == code
    assert ("error" in result.json) is (code != 0)


def test_schema_knows_every_key(project):
    schema = project("profile", "schema").succeeded().json
    assert "$schema" in schema
    text = json.dumps(schema)
    for key in ("root", "threads", "embedding", "AI_CLUSTER_KMEANS", "n_clusters", "min_cluster_size", "max_noise"):
        assert f'"{key}"' in text
