"""Finding, reading and checking a profile: every problem of the file in one error, and the origin of every value."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aicluster_cli.clustering.catalog import MODELS, find_model
from aicluster_cli.errors import ProfileError
from aicluster_cli.profile.locate import Found, find_profile
from aicluster_cli.profile.suggest import did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError

    from aicluster_cli.clustering.params import ParamValue
    from aicluster_cli.profile.document import Document, KeyPath, Place, Problem
    from aicluster_cli.profile.schema import Profile

DEFAULT_ORIGIN = "default"

_MAX_BYTES = 1 << 20
_MAX_SHOWN = 60
_MAX_THREADS = 64  # beyond it, more threads cost more than they bring
_SECRET = re.compile(r"PASSWORD|PASSPHRASE|TOKEN|SECRET|KEY", re.IGNORECASE)
_REDACTED = "***"


@dataclass(frozen=True)
class LoadedProfile:
    """A profile that has been read and checked.

    ``path`` is None for the built-in one; ``base`` is the folder that a relative root starts from. ``origins`` says for
    every key path where its value comes from (``local.yaml:3``, ``local.yaml:3 from ${VAR}``, ``default``), ``secrets``
    which of them must not be shown.
    """

    profile: Profile
    path: Path | None
    name: str
    base: Path
    origins: dict[str, str]
    secrets: frozenset[str] = frozenset()

    @property
    def root(self) -> Path:
        """The folder of the local store, absolute."""
        return (self.base / Path(self.profile.root).expanduser()).resolve()

    @property
    def threads(self) -> int:
        """How many threads to compute with, at least 1."""
        return self.profile.threads or min(_cores(), _MAX_THREADS)

    def params(self, model: str) -> dict[str, ParamValue]:
        """Return the parameters that the profile gives for a model, by its registered name; no defaults."""
        section = self.profile.models.get(model)
        return dict(section.params) if section else {}


def load_profile(
    value: str | None = None, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> LoadedProfile:
    """Load the profile that ``value`` of ``--profile`` names, else the one that environment and folder ask for.

    Raises
    ------
    ProfileError
        If it is not found, cannot be read, or is wrong; the message then has a line for every problem of the file.
    """
    env = os.environ if env is None else env
    cwd = Path.cwd() if cwd is None else cwd.absolute()
    found = find_profile(value, env, cwd)
    if found.path is None:
        from aicluster_cli.profile.document import Document

        document = Document()
    else:
        document = _read(found.path, env, cwd)
    profile, problems = _check(document)
    if profile is None:
        raise _error(_shown_path(found.path, cwd), problems)
    return _loaded(found, profile, document)


def rows(loaded: LoadedProfile) -> list[tuple[str, ParamValue, str]]:
    """Return key path, value and origin of everything in force, defaults too, for ``profile show``."""
    return [
        (path, _REDACTED if path in loaded.secrets else value, loaded.origins[path])
        for path, value in _leaves(loaded.profile)
    ]


def _read(path: Path, env: Mapping[str, str], cwd: Path) -> Document:
    from aicluster_cli.profile.document import read_document

    shown = _shown_path(path, cwd)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except IsADirectoryError:
        raise ProfileError(f"profile {shown} is a folder", hint="name the YAML file itself") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ProfileError(f"profile {shown} cannot be read: {reason}", hint="check the path and its rights") from None
    if len(content) > _MAX_BYTES:
        raise ProfileError(f"profile {shown} is larger than 1 MB", hint="is it a profile? name another with --profile")
    return read_document(content, env)


def _check(document: Document) -> tuple[Profile | None, list[Problem]]:
    from pydantic import ValidationError

    from aicluster_cli.profile.schema import PLATFORMS

    problems = list(document.problems)
    if any(problem.keys[:1] in ((), ("platform",)) for problem in problems):
        return None, problems  # without the platform nobody knows which keys there are
    platform = document.data.get("platform", "local")
    schema = PLATFORMS.get(platform) if isinstance(platform, str) else None
    if schema is None:
        return None, [*problems, _platform_problem(document, platform)]
    profile: Profile | None = None
    try:
        profile = schema.model_validate(document.data)
    except ValidationError as error:
        problems += _problems(error, document)
    # The error is raised by the caller, outside of the handler, so that no traceback shows what pydantic was given.
    return (None if problems else profile), problems


def _platform_problem(document: Document, platform: object) -> Problem:
    from aicluster_cli.profile.document import Problem
    from aicluster_cli.profile.schema import PLANNED_PLATFORMS, PLATFORMS

    place = _nearest(document, ("platform",))
    if platform in PLANNED_PLATFORMS:
        return Problem(
            place.line,
            (),
            f"platform {platform} is not part of this version; use platform: local",
            "use platform: local",
        )
    guess = did_you_mean(platform, PLATFORMS) if isinstance(platform, str) and not place.from_env else ""
    reason = f"must be one of {', '.join(PLATFORMS)}; got {_shown(platform, place)}{guess}"
    return Problem(place.line, ("platform",), reason)


def _problems(error: ValidationError, document: Document) -> Iterator[Problem]:
    from aicluster_cli.profile.document import Problem
    from aicluster_cli.profile.schema import BAD_VALUE

    for details in error.errors():
        keys = details["loc"]
        place = _nearest(document, keys)
        got = f"; got {_shown(details['input'], place)}" if details["type"] == BAD_VALUE else ""
        yield Problem(place.line, keys, details["msg"] + got)


def _nearest(document: Document, keys: KeyPath) -> Place:
    from aicluster_cli.profile.document import Place

    parents = (keys[:end] for end in range(len(keys), 0, -1))
    return next((document.places[parent] for parent in parents if parent in document.places), Place(1))


def _shown(value: object, place: Place) -> str:
    """Return a value for an error message; never one from the environment, which may be a secret."""
    if place.variables:
        return "the value of " + ", ".join(f"${{{name}}}" for name in place.variables)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _error(file: str, problems: list[Problem]) -> ProfileError:
    ordered = sorted(problems, key=lambda problem: problem.line)
    lines = [f"{file}:{each.line}: {_dotted(each.keys)}{each.reason}" for each in ordered]
    hints = dict.fromkeys(problem.hint for problem in ordered if problem.hint)
    hint = "; ".join(hints) or f"correct it, then check with: aicluster profile validate --profile {shlex.quote(file)}"
    if len(lines) == 1:
        return ProfileError(lines[0], hint=hint)
    return ProfileError("\n".join([f"{file} has {len(lines)} problems", *(f"  {line}" for line in lines)]), hint=hint)


def _dotted(keys: KeyPath) -> str:
    parts = [str(key) if str(key).isprintable() else repr(key) for key in keys]
    return ".".join(parts) + ": " if parts else ""


def _shown_path(path: Path | None, cwd: Path) -> str:
    if path is None:
        return "the built-in profile"
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)


def _loaded(found: Found, profile: Profile, document: Document) -> LoadedProfile:
    file = found.path.name if found.path else ""
    places = {_canonical(keys): place for keys, place in document.places.items()}
    leaves = [path for path, _ in _leaves(profile)]
    return LoadedProfile(
        profile=profile,
        path=found.path,
        name=found.name,
        base=found.base,
        origins={path: _origin(file, places.get(path)) for path in leaves},
        secrets=frozenset(path for path in leaves if _is_secret(path, places.get(path))),
    )


def _leaves(profile: Profile) -> Iterator[tuple[str, ParamValue]]:
    """Give every key path and value in force; models and parameters in the catalogue's order."""
    for name in type(profile).model_fields:
        value = getattr(profile, name)
        if name != "models":
            yield from _flat(name, value.model_dump() if hasattr(value, "model_dump") else value)
    for model in MODELS:
        section = profile.models.get(model.name)
        if section and section.algorithm is not None:
            yield f"models.{model.name}.algorithm", section.algorithm
        given = section.params if section else {}
        for param in model.params:
            yield f"models.{model.name}.params.{param.name}", given.get(param.name, param.default)


def _flat(path: str, value: object) -> Iterator[tuple[str, ParamValue]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{path}.{key}", item)
    elif isinstance(value, int | float | str):
        yield path, value


def _canonical(keys: KeyPath) -> str:
    """Return the dotted key path, with the model under its registered name, however the file spells it."""
    names = [str(key) for key in keys]
    if len(names) > 1 and names[0] == "models" and (model := find_model(names[1])):
        names[1] = model.name
    return ".".join(names)


def _origin(file: str, place: Place | None) -> str:
    if place is None:
        return DEFAULT_ORIGIN
    where = f"{file}:{place.line}"
    if place.from_env:
        return f"{where} from " + ", ".join(f"${{{name}}}" for name in place.from_env)
    if place.variables:
        return f"{where}, default of " + ", ".join(f"${{{name}}}" for name in place.variables)
    return where


def _is_secret(path: str, place: Place | None) -> bool:
    if place is None or not place.variables:
        return False
    return any(_SECRET.search(name) for name in (*place.variables, path.rpartition(".")[2]))


def _cores() -> int:
    # Of a container's or a batch system's share, not of the whole machine, where the system can tell.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
