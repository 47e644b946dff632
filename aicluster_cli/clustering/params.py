"""The models' parameters: names, types, defaults, limits and what they mean. Light and shipped with every model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ParamValue = int | float | str


class ParameterError(ValueError):
    """A parameter that is unknown, of the wrong type or out of range. ``name`` is the parameter's."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Param:
    """One parameter of a model.

    ``zero`` says what 0 stands for where 0 lies outside ``minimum``; a parameter without it must not be 0 there.
    """

    name: str
    default: ParamValue
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    zero: str = ""
    choices: tuple[str, ...] = ()

    @property
    def type(self) -> type[ParamValue]:
        """The Python type of the values, which is the default's."""
        return type(self.default)

    @property
    def expected(self) -> str:
        """What a value must look like, in words: ``an integer ≥ 2, or 0 = choose``."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        kind = "an integer" if self.type is int else "a number"
        if self.minimum is not None and self.maximum is not None:
            kind += f" from {self.minimum:,} to {self.maximum:,}"
        elif self.minimum is not None:
            kind += f" of at least {self.minimum:g}"
        return kind + (f", or 0 = {self.zero}" if self.zero else "")

    def check(self, value: object) -> ParamValue:
        """Return ``value`` as this parameter's type.

        Text is read as a number where the parameter is one, as ``--set`` gives it.

        Raises
        ------
        ParameterError
            If the value has the wrong type or is out of range.
        """
        if getattr(value, "ndim", None) == 0:  # Snowflake's generated handler passes NumPy scalars
            value = value.item()  # type: ignore[attr-defined]
        read = self._read(value)
        if read is None or not self._allows(read):
            raise ParameterError(self.name, f"{self.name} must be {self.expected}; got {value!r}")
        return read

    def _read(self, value: object) -> ParamValue | None:
        if self.type is str:
            return value if isinstance(value, str) else None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            if self.type is float:
                return float(value)
            return int(value) if not isinstance(value, float) or value.is_integer() else None
        except (ValueError, OverflowError):
            return None

    def _allows(self, value: ParamValue) -> bool:
        if isinstance(value, str):
            return value in self.choices
        if value == 0 and self.zero:
            return True
        at_least = self.minimum is None or value >= self.minimum
        return at_least and (self.maximum is None or value <= self.maximum)


_RANDOM_STATE = Param("random_state", 42, "seed of every random choice", minimum=0, maximum=2**31 - 1)

KMEANS_PARAMS: tuple[Param, ...] = (
    Param("n_clusters", 0, "number of clusters", minimum=2, maximum=1_000_000, zero="choose"),
    _RANDOM_STATE,
    Param("n_init", 1, "restarts, of which the best is kept", minimum=1, maximum=1000),
    Param("max_iter", 100, "passes over the rows, at most", minimum=1, maximum=100_000),
    Param(
        "smoothing",
        "auto",
        "cluster each row's neighbourhood instead of the row; auto: on up to 20,000 rows",
        choices=("auto", "on", "off"),
    ),
)

DEEP_PARAMS: tuple[Param, ...] = (
    Param(
        "min_cluster_size", 0, "fewest rows of a dense group", minimum=2, maximum=1_000_000, zero="choose by the rows"
    ),
    Param(
        "min_samples", 5, "neighbours that make a row dense; higher means more outliers", minimum=1, maximum=1_000_000
    ),
    Param(
        "cluster_selection_method",
        "leaf",
        "the groups the hierarchy is built on; eom: the most stable ones, leaf: the finest ones",
        choices=("eom", "leaf"),
    ),
    Param(
        "granularity",
        0.0,
        "0 as found; each step up doubles, each step down halves the number of clusters",
        minimum=-10,
        maximum=10,
    ),
    Param("max_noise", 0.1, "largest share of rows left as outliers; 0 moves every row", minimum=0, maximum=1),
    _RANDOM_STATE,
)


def defaults(params: tuple[Param, ...]) -> dict[str, ParamValue]:
    """Return every parameter's default by name."""
    return {param.name: param.default for param in params}


def check_params(params: tuple[Param, ...], given: Mapping[str, object]) -> dict[str, ParamValue]:
    """Return all parameters, those ``given`` checked and the others at their defaults.

    Raises
    ------
    ParameterError
        On an unknown name, a wrong type or a value out of range.
    """
    known = {param.name: param for param in params}
    for name in given:
        if name not in known:
            raise ParameterError(name, f"unknown parameter {name}; known are {', '.join(known)}")
    return {name: param.check(given[name]) if name in given else param.default for name, param in known.items()}
