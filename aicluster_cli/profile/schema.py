"""The profile as pydantic models: one class a platform, told apart by ``platform``; everything strict, nothing extra.

A further platform is a further class with its own ``Literal``, added to ``PLATFORMS`` and to the union ``Profile``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SkipValidation,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from aicluster_cli.clustering.catalog import MODELS, ModelInfo, find_model
from aicluster_cli.clustering.params import Param, ParameterError, ParamValue
from aicluster_cli.profile.suggest import did_you_mean

# The two types of every validation error of a profile. For the second, what was given is worth telling.
BAD_KEY: Final = "profile_key"
BAD_VALUE: Final = "profile_value"

_MAX_THREADS = 1024


class _Section(BaseModel):
    """A mapping of the file. An empty one (``embedding:`` and nothing after it) stands for its defaults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _in_plain_words(cls, value: object, handler: ModelWrapValidatorHandler[_Section]) -> _Section:
        try:
            return handler({} if value is None else value)
        except ValidationError as error:
            found = [_reworded(details, tuple(cls.model_fields)) for details in error.errors()]
        raise ValidationError.from_exception_data(cls.__name__, found, hide_input=True)


def _empty_if_null(value: object) -> object:
    return {} if value is None else value


def _check_folder(value: str) -> str:
    if not value.strip():
        raise _problem(BAD_KEY, "is empty; give a folder")
    if any(ord(char) < ord(" ") for char in value):
        raise _problem(BAD_KEY, "holds a control character; give a folder")
    try:
        Path(value).expanduser()
    except RuntimeError:
        raise _problem(BAD_VALUE, "starts with ~ and a user whose home folder is not known") from None
    return value


def _check_name(value: str) -> str:
    if not value.strip():
        raise _problem(BAD_KEY, "is empty; give the name of an embedding model")
    return value


class EmbeddingProfile(_Section):
    """How text becomes vectors."""

    model: Annotated[str, AfterValidator(_check_name)] = Field(
        "wordllama-256",
        description="The model that embeds text; wordllama-256 is built in and works offline.",
        examples=["wordllama-256"],
    )


class ModelProfile(_Section):
    """What the profile says about one clustering model. ``params`` holds only what is given, checked."""

    algorithm: str | None = Field(
        None, description="The model's algorithm, for readers; each model has one of its own."
    )
    params: Annotated[dict[str, Annotated[ParamValue, SkipValidation]], BeforeValidator(_empty_if_null)] = Field(
        {}, description="Parameters of the model; --set overrides them for one run."
    )


def _check_models(value: object) -> object:
    """Check every model's section against the catalogue and key it by the registered name, all problems at once."""
    if not isinstance(value, Mapping):
        return _empty_if_null(value)
    checked: dict[str, ModelProfile] = {}
    spelled: dict[str, str] = {}
    problems: list[InitErrorDetails] = []
    for key, section in value.items():
        name = str(key)
        model = find_model(name)
        if model is None:
            names = [known for each in MODELS for known in (each.name, each.alias)]
            problems.append(_located(BAD_KEY, f"unknown model{did_you_mean(name, names)}", (name,), section))
        elif first := spelled.get(model.name):
            problems.append(_located(BAD_KEY, f"the same model as {first}; keep one of the two", (name,), section))
        else:
            spelled[model.name] = name
            checked[model.name], found = _read_model(model, name, section)
            problems += found
    if problems:
        raise ValidationError.from_exception_data("models", problems, hide_input=True)
    return checked


class LocalProfile(_Section):
    """The profile of the embedded default: this machine, no account, no server."""

    platform: Literal["local"] = Field("local", description="Where models run: local is this machine.")
    root: Annotated[str, AfterValidator(_check_folder)] = Field(
        ".aicluster",
        description="Folder of the local store: registered models and runs. Relative to the profile's own folder.",
        examples=[".aicluster"],
    )
    embedding: EmbeddingProfile = EmbeddingProfile()
    threads: int = Field(0, ge=0, le=_MAX_THREADS, description="Threads to compute with; 0 takes all cores there are.")
    models: Annotated[dict[str, ModelProfile], BeforeValidator(_check_models)] = Field(
        {}, description="Parameters by model, under its registered name or its alias."
    )


Profile: TypeAlias = LocalProfile
PLATFORMS: dict[str, type[Profile]] = {"local": LocalProfile}
PLANNED_PLATFORMS: Final = ("snowflake",)


def _read_model(model: ModelInfo, key: str, section: object) -> tuple[ModelProfile, list[InitErrorDetails]]:
    try:
        profile, problems = ModelProfile.model_validate(section), []
    except ValidationError as error:
        problems = [_located(e["type"], e["msg"], (key, *e["loc"]), e["input"]) for e in error.errors()]
        # What is wrong with the parameters is told in the same go, unless they are no mapping at all.
        given = section.get("params") if isinstance(section, Mapping) else None
        profile = ModelProfile.model_construct(params=given if isinstance(given, dict) else {})
    problems += _model_problems(model, profile, key)
    if problems:
        return profile, problems
    params = {
        param.name: param.check(profile.params[param.name]) for param in model.params if param.name in profile.params
    }
    return profile.model_copy(update={"params": params}), []


def _model_problems(model: ModelInfo, profile: ModelProfile, key: str) -> Iterator[InitErrorDetails]:
    if profile.algorithm is not None and profile.algorithm != model.algorithm:
        reason = f"must be {model.algorithm}, which is what {model.name} is"
        yield _located(BAD_VALUE, reason, (key, "algorithm"), profile.algorithm)
    known = {param.name: param for param in model.params}
    for name, value in profile.params.items():
        keys = (key, "params", str(name))
        if name not in known:
            yield _located(BAD_KEY, f"unknown parameter{did_you_mean(str(name), known)}", keys, value)
        elif problem := _param_problem(known[name], value):
            yield _located(BAD_VALUE, problem, keys, value)


def _param_problem(param: Param, value: object) -> str:
    # --set hands over text, and Param.check reads numbers in it; in a file, quotes mean text.
    quoted = isinstance(value, str) and param.type is not str
    try:
        param.check(value)
    except ParameterError:
        return f"must be {param.expected}"
    return f"must be {param.expected}, without quotes" if quoted else ""


def _reworded(details: ErrorDetails, known: tuple[str, ...]) -> InitErrorDetails:
    kind, keys, value = details["type"], details["loc"], details["input"]
    if kind in (BAD_KEY, BAD_VALUE):
        return _located(kind, details["msg"], keys, value)
    if kind == "extra_forbidden":
        return _located(BAD_KEY, f"unknown key{did_you_mean(str(keys[-1]), known)}", keys, value)
    return _located(BAD_VALUE, _reason(details), keys, value)


def _reason(details: ErrorDetails) -> str:
    limits: dict[str, Any] = details.get("ctx", {})
    match details["type"]:
        case "int_type" if _is_quoted_integer(details["input"]):
            return "must be an integer, without quotes"
        case "int_type" | "int_from_float":
            return "must be an integer"
        case "string_type" if isinstance(details["input"], int | float):
            return "must be text; put it in quotes"
        case "string_type":
            return "must be text"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case "literal_error":
            return f"must be {limits['expected']}"
        case "dict_type" | "model_type" | "mapping_type":
            return "must be a mapping of keys"
        case _:
            return details["msg"][:1].lower() + details["msg"][1:]


def _is_quoted_integer(value: object) -> bool:
    return isinstance(value, str) and value.strip().lstrip("+-").isdecimal()


def _problem(kind: str, reason: str) -> PydanticCustomError:
    # The reason goes in as context: as a template, braces in it would be read as fields.
    return PydanticCustomError(kind, "{reason}", {"reason": reason})


def _located(kind: str, reason: str, keys: tuple[int | str, ...], value: object) -> InitErrorDetails:
    return InitErrorDetails(type=_problem(kind, reason), loc=keys, input=value)
