"""``${VAR}``, ``${VAR:-default}`` and the escape ``$${`` inside the values of a profile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(
    r"""
    (?P<escaped>\$\$\{)
    | \$\{ (?P<name>[A-Za-z_][A-Za-z0-9_]*) (?: :- (?P<default>[^{}]*) )? \}
    | (?P<broken>\$\{)
    """,
    re.VERBOSE,
)


class MalformedReferenceError(ValueError):
    """A ``${`` that is not the start of one of the forms there are."""


class MissingVariableError(ValueError):
    """A variable without a default that the environment does not have. ``variable`` is its name."""

    def __init__(self, variable: str) -> None:
        super().__init__(f"environment variable {variable} is not set")
        self.variable = variable


@dataclass(frozen=True)
class Interpolated:
    """The text after interpolation, and the variables it names; ``from_env`` are those the environment gave."""

    text: str
    variables: tuple[str, ...] = ()
    from_env: tuple[str, ...] = ()


def interpolate(text: str, env: Mapping[str, str]) -> Interpolated:
    """Put the environment's values in the place of the references in ``text``; what is put in is not looked at again.

    As in a shell, ``:-`` gives its default for a variable that is unset or empty.

    Raises
    ------
    MalformedReferenceError
        If a ``${`` is neither ``${VAR}`` nor ``${VAR:-default}`` nor escaped.
    MissingVariableError
        If a variable is not set and has no default.
    """
    variables: dict[str, None] = {}
    from_env: dict[str, None] = {}

    def replace(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        if match["broken"]:
            raise MalformedReferenceError("a ${ that is neither ${VAR} nor ${VAR:-default}; write $${ for a plain ${")
        name, default = match["name"], match["default"]
        variables[name] = None
        value = env.get(name)
        if default is not None and not value:
            return default
        if value is None:
            raise MissingVariableError(name)
        from_env[name] = None
        return value

    return Interpolated(_REFERENCE.sub(replace, text), tuple(variables), tuple(from_env))
