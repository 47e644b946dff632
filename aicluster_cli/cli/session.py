"""From what the command line says to the context a workflow needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aicluster_cli.cli.options import App
    from aicluster_cli.profile.load import LoadedProfile
    from aicluster_cli.workflows.context import Context


def load(app: App) -> LoadedProfile:
    """Return the profile in force."""
    from aicluster_cli.profile.load import load_profile

    profile = load_profile(app.profile_name, env=app.env, cwd=app.cwd)
    app.console.detail(f"profile: {profile.path or 'the built-in local one'}")
    return profile


def connect(app: App) -> Context:
    """Return the context of the profile in force: its platform, with the console as reporter."""
    from aicluster_cli.workflows.context import open_context

    return open_context(load(app), app.console)


def model_names(_: App) -> list[tuple[str, str]]:
    """Return the models' aliases and what they are, for completion."""
    from aicluster_cli.clustering.catalog import MODELS

    return [(model.alias, model.meaning) for model in MODELS]


def run_ids(app: App) -> list[tuple[str, str]]:
    """Return the run ids and what they ran, for completion."""
    return [(record.run_id, f"{record.model}, {record.status}") for record in connect(app).platform.runs()]
