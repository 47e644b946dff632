"""The JSON schema of the profile, for editors that check and complete YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aicluster_cli.clustering.catalog import MODELS, ModelInfo

if TYPE_CHECKING:
    from aicluster_cli.clustering.params import Param

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE: Schema = {"$ref": "#/$defs/variable"}


def json_schema() -> Schema:
    """Return the schema (draft 2020-12) of a profile.

    Where a number or a fixed word belongs, text with a ``${VAR}`` in it is right too; a section may be left empty.
    """
    from aicluster_cli.profile.schema import LocalProfile

    generated = LocalProfile.model_json_schema()
    sections = generated["$defs"]
    properties = {name: _property(each, sections) for name, each in generated["properties"].items()}
    models = {name: {"$ref": f"#/$defs/{model.name}"} for model in MODELS for name in (model.name, model.alias)}
    properties["models"] = _mapping(generated["properties"]["models"]["description"], models)
    return {
        "$schema": _DIALECT,
        "title": "aicluster profile",
        "description": "Where and how aicluster clusters. Every key may be left out.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "examples": [{"platform": "local", "models": {MODELS[0].name: {"params": {"n_clusters": 12}}}}],
        "$defs": {
            **{model.name: _model(model, sections["ModelProfile"]) for model in MODELS},
            "variable": {
                "description": "Taken from the environment: ${VAR} or ${VAR:-default}.",
                "type": "string",
                "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
            },
        },
    }


def _property(schema: Schema, sections: Schema) -> Schema:
    if reference := schema.get("$ref"):
        section = sections[reference.rpartition("/")[2]]
        properties = {name: _property(each, sections) for name, each in section["properties"].items()}
        return _mapping(section["description"], properties)
    # Free text may hold a variable anyhow; the titles are nothing but the keys again.
    plain = {key: value for key, value in schema.items() if key != "title"}
    return plain if schema.get("type") == "string" and "const" not in schema else _or_variable(plain)


def _model(model: ModelInfo, section: Schema) -> Schema:
    told = {name: each["description"] for name, each in section["properties"].items()}
    properties = {
        "algorithm": _or_variable({"description": told["algorithm"], "const": model.algorithm}),
        "params": _mapping(told["params"], {param.name: _param(param) for param in model.params}),
    }
    return _mapping(model.meaning, properties)


def _param(param: Param) -> Schema:
    zero = f"; 0 = {param.zero}" if param.zero else ""
    told: Schema = {"description": param.meaning + zero, "default": param.default}
    if param.choices:
        return _or_variable({**told, "enum": list(param.choices)})
    limits = {"minimum": param.minimum, "maximum": param.maximum}
    number: Schema = {"type": "integer" if param.type is int else "number"}
    number |= {key: limit for key, limit in limits.items() if limit is not None}
    return {**told, "anyOf": [number, *([{"const": 0}] if param.zero else []), _VARIABLE]}


def _mapping(description: str, properties: Schema) -> Schema:
    return {
        "description": description,
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": properties,
    }


def _or_variable(schema: Schema) -> Schema:
    told: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    return {**told, "anyOf": [{key: value for key, value in schema.items() if key not in told}, _VARIABLE]}
