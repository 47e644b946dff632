from __future__ import annotations

import json
import re

import pytest
import yaml

from aicluster_cli.clustering.catalog import MODELS
from aicluster_cli.errors import ProfileError
from aicluster_cli.profile.json_schema import json_schema
from aicluster_cli.profile.locate import template
from aicluster_cli.profile.schema import LocalProfile

TYPES = {"object": dict, "string": str, "integer": int, "number": (int, float), "null": type(None)}


def fits(value, schema, root=None) -> bool:
    """Judge by the few words of JSON schema that the profile's schema uses; any other word fails the test."""
    root = root or schema
    if reference := schema.get("$ref"):
        return fits(value, root["$defs"][reference.removeprefix("#/$defs/")], root)
    for word, wanted in schema.items():
        match word:
            case "type":
                kinds = [wanted] if isinstance(wanted, str) else wanted
                good = any(isinstance(value, TYPES[kind]) and not isinstance(value, bool) for kind in kinds)
            case "anyOf":
                good = any(fits(value, each, root) for each in wanted)
            case "const":
                good = value == wanted
            case "enum":
                good = value in wanted
            case "minimum":
                good = not isinstance(value, (int, float)) or value >= wanted
            case "maximum":
                good = not isinstance(value, (int, float)) or value <= wanted
            case "pattern":
                good = re.search(wanted, value) is not None
            case "properties":
                good = value is None or all(fits(value[key], wanted[key], root) for key in value if key in wanted)
            case "additionalProperties":
                good = value is None or (wanted is False and set(value) <= set(schema["properties"]))
            case "$schema" | "title" | "description" | "default" | "examples" | "$defs":
                good = True
            case _:
                pytest.fail(f"a word this test does not know: {word}")
        if not good:
            return False
    return True


def mappings(schema):
    """Give every schema of a mapping inside the schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for each in schema.values():
            yield from mappings(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from mappings(each)


def test_it_is_json_with_dialect_title_and_examples():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "aicluster profile"
    assert schema["examples"]
    for example in schema["examples"]:
        assert fits(example, schema)
        LocalProfile.model_validate(example)


def test_every_key_is_there_and_described_and_no_other_is_allowed():
    schema = json_schema()
    assert list(schema["properties"]) == list(LocalProfile.model_fields)
    found = list(mappings(schema))
    assert len(found) == 3 + 2 * len(MODELS)
    for each in found:
        assert each["additionalProperties"] is False
        for name, inner in each["properties"].items():
            assert "$ref" in inner or inner["description"], name


def test_every_model_is_there_under_both_names_with_its_parameters_limits_and_defaults():
    schema = json_schema()
    models = schema["properties"]["models"]["properties"]
    assert list(models) == ["AI_CLUSTER_KMEANS", "kmeans", "AI_CLUSTER_DEEP", "deep"]
    for model in MODELS:
        assert models[model.name] == models[model.alias] == {"$ref": f"#/$defs/{model.name}"}
        params = schema["$defs"][model.name]["properties"]["params"]["properties"]
        assert {name: each["default"] for name, each in params.items()} == {
            param.name: param.default for param in model.params
        }


def test_the_shipped_profile_fits():
    assert fits(yaml.safe_load(template()), json_schema())


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "embedding:",
        "models: {kmeans: , deep: {params: }}",
        "threads: 4",
        "threads: ${N:-2}",
        "platform: ${P}",
        "models: {kmeans: {params: {n_clusters: 0}}}",
        "models: {kmeans: {algorithm: kmeans, params: {n_clusters: 2}}}",
        "models: {deep: {params: {max_noise: 0.5, cluster_selection_method: leaf}}}",
    ],
)
def test_what_the_loader_takes_fits(load, text):
    load(text, N="2", P="local")
    assert fits(yaml.safe_load(text), json_schema())


@pytest.mark.parametrize(
    "text",
    [
        "rot: x",
        "platform: snowflake",
        "root: 12",
        "threads: '4'",
        "threads: -1",
        "threads: true",
        "embedding: {modl: x}",
        "models: {graph: {}}",
        "models: {kmeans: {parms: {}}}",
        "models: {kmeans: {algorithm: hdbscan}}",
        "models: {kmeans: {params: {n_clusters: 1}}}",
        "models: {kmeans: {params: {n_clusters: '12'}}}",
        "models: {kmeans: {params: {max_noise: 0.1}}}",
        "models: {deep: {params: {max_noise: 2}}}",
        "models: {deep: {params: {cluster_selection_method: best}}}",
    ],
)
def test_what_the_loader_refuses_does_not_fit(load, text):
    with pytest.raises(ProfileError):
        load(text)
    assert not fits(yaml.safe_load(text), json_schema())
