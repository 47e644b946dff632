"""The ``--set`` flags on top of a profile: the parameters that a run is made with, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aicluster_cli.clustering.params import ParameterError, ParamValue, check_params
from aicluster_cli.errors import UsageError
from aicluster_cli.profile.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aicluster_cli.clustering.catalog import ModelInfo
    from aicluster_cli.profile.load import LoadedProfile

SET_ORIGIN = "flag --set"

_SET_HINT = "write --set NAME=VALUE, for example --set random_state=7"


def parse_set(items: Sequence[str]) -> dict[str, str]:
    """Return names and values of ``--set k=v`` flags; a value may itself hold ``=``.

    Raises
    ------
    UsageError
        If an item has no ``=`` or no name, or a name comes twice.
    """
    given: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals:
            raise UsageError(f"--set {item}: there is no = in it", hint=_SET_HINT)
        if not name:
            raise UsageError(f"--set {item}: there is no parameter name before the =", hint=_SET_HINT)
        if name in given:
            raise UsageError(f"--set {name} is given twice", hint=f"keep one --set {name}=…")
        given[name] = value.strip()
    return given


def effective_params(
    loaded: LoadedProfile, model: ModelInfo, overrides: Mapping[str, str] | None = None
) -> dict[str, ParamValue]:
    """Return all parameters of a model: the defaults, then the profile's, then the ``--set`` ones, checked.

    Raises
    ------
    UsageError
        If an override names no parameter of the model, or its value is of the wrong type or out of range.
    """
    overrides = overrides or {}
    known = {param.name: param for param in model.params}
    problems: list[str] = []
    for name, value in overrides.items():
        if name not in known:
            problems.append(f"--set {name}: {model.name} has no such parameter{did_you_mean(name, known)}")
            continue
        try:
            known[name].check(value)
        except ParameterError as error:
            problems.append(f"--set {name}={value}: {error}")
    if problems:
        raise UsageError("\n".join(problems), hint=_parameters_hint(model))
    return check_params(model.params, {**loaded.params(model.name), **overrides})


def param_origins(
    loaded: LoadedProfile, model: ModelInfo, overrides: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return where each of a model's effective parameters comes from, by its name."""
    overrides = overrides or {}
    return {
        param.name: SET_ORIGIN
        if param.name in overrides
        else loaded.origins[f"models.{model.name}.params.{param.name}"]
        for param in model.params
    }


def _parameters_hint(model: ModelInfo) -> str:
    listed = [f"{param.name} ({param.expected}; default {param.default})" for param in model.params]
    return f"parameters of {model.name}: {', '.join(listed)}"
