"""Registering models and looking after what is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aicluster_cli.errors import ModelError
from aicluster_cli.packaging.spec import SPECS, ModelSpec, spec_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aicluster_cli.records import ModelVersion, Registration
    from aicluster_cli.workflows.context import Context


def register(context: Context, names: Sequence[str], *, version: str | None, comment: str) -> list[Registration]:
    """Register the named models, or all; what is registered with the present content stays as it is.

    Raises
    ------
    UsageError
        If a name is unknown, or the version's name is taken by other content.
    """
    done = []
    for spec in _specs(names):
        with context.reporter.stage(f"registering {spec.name}") as stage:
            registration = context.platform.register(spec, version=version, comment=comment)
            stage.done(describe(registration))
            done.append(registration)
    return done


def plan_registration(context: Context, names: Sequence[str]) -> list[tuple[ModelSpec, ModelVersion | None]]:
    """Return each model and the version that makes registering it needless, if there is one."""
    return [(spec, _present(context, spec)) for spec in _specs(names)]


def describe(registration: Registration) -> str:
    """Say in words what a registration did."""
    version = registration.version
    if registration.created:
        return f"registered {version.model} {version.version}"
    return f"{version.model} {version.version} has this content already; nothing to do"


def show(context: Context, name: str, version: str | None) -> list[ModelVersion]:
    """Return the versions of a model, or one of them.

    Raises
    ------
    ModelError
        If nothing of that name is registered.
    """
    spec = spec_for(name)
    found = [
        registered
        for registered in context.platform.models()
        if registered.model == spec.name and (version is None or registered.version == version.upper())
    ]
    if not found:
        wanted = f"{spec.name} {version.upper()}" if version else spec.name
        raise ModelError(f"{wanted} is not registered", hint=f"aicluster register {spec.info.alias}")
    return found


def drop(context: Context, name: str, version: str | None) -> list[ModelVersion]:
    """Remove a version, or all versions, of a model and return what was removed."""
    return context.platform.drop(spec_for(name).name, version)


def _specs(names: Sequence[str]) -> list[ModelSpec]:
    wanted = [spec_for(name) for name in names]
    return list(dict.fromkeys(wanted)) or list(SPECS)


def _present(context: Context, spec: ModelSpec) -> ModelVersion | None:
    try:
        return context.platform.find_version(spec)
    except ModelError:  # there is one that cannot be used here, so a new one would be made
        return None
