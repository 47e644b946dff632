"""``aicluster register`` and ``aicluster models``."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aicluster_cli.cli.options import App, common_options, completer
from aicluster_cli.cli.session import connect, model_names
from aicluster_cli.cli.tables import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aicluster_cli.records import ModelVersion

_Model = Annotated[str, typer.Argument(help="The model: kmeans or deep.", autocompletion=completer(model_names))]
_Version = Annotated[str | None, typer.Option(metavar="V", help="One version; all by default.")]


@common_options()
def register(
    app: App,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL ...]", help="The models; all by default.", autocompletion=completer(model_names)
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(metavar="V", help="The version's name; the next free V1, V2, … by default.")
    ] = None,
    comment: Annotated[str, typer.Option(metavar="TEXT", help="A comment kept with the version.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be registered.")] = False,
) -> None:
    """Package and register models.

    Unchanged content is not registered twice.
    """
    from aicluster_cli.workflows import models as workflow

    context = connect(app)
    if dry_run:
        plan = workflow.plan_registration(context, models or [])
        rows = [(spec.name, "nothing" if found else "register", found.version if found else "") for spec, found in plan]
        found = [{"model": name, "action": action, "version": there or None} for name, action, there in rows]
        document = {"schema": "aicluster.plan/1", "models": found}
        app.console.data_table(["MODEL", "ACTION", "PRESENT VERSION"], rows, document=document)
        app.console.info("nothing was changed")
        return
    done = workflow.register(context, models or [], version=version, comment=comment)
    rows = [(item.version.model, item.version.version, "registered" if item.created else "unchanged") for item in done]
    registered = [{**asdict(item.version), "created_now": item.created} for item in done]
    document = {"schema": "aicluster.registrations/1", "models": registered}
    app.console.data_table(["MODEL", "VERSION", "OUTCOME"], rows, document=document)


@common_options()
def models(app: App) -> None:
    """List the registered models."""
    _list(app, connect(app).platform.models())


@common_options()
def show(app: App, model: _Model, version: _Version = None) -> None:
    """Show a model's versions in full."""
    from aicluster_cli.workflows.models import show as find

    found = find(connect(app), model, version)
    document = {"schema": "aicluster.models/1", "models": [asdict(item) for item in found]}
    rows = [(item.version, key.replace("_", " "), value) for item in found for key, value in _facts(item)]
    app.console.data_table(["VERSION", "WHAT", "VALUE"], rows, document=document)


@common_options()
def drop(
    app: App,
    model: _Model,
    version: _Version = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed.")] = False,
) -> None:
    """Remove a version, or all versions, of a model."""
    from aicluster_cli.workflows.models import drop as remove
    from aicluster_cli.workflows.models import show as find

    context = connect(app)
    wanted = find(context, model, version)
    if dry_run:
        _list(app, wanted)
        app.console.info("nothing was changed")
        return
    named = ", ".join(f"{item.model} {item.version}" for item in wanted)
    app.console.confirm(f"Remove {named}?", yes=yes)
    _list(app, remove(context, model, version))
    app.console.info(f"removed {named}")


def _list(app: App, found: "Sequence[ModelVersion]") -> None:
    rows = [
        (
            item.model,
            item.version,
            item.python,
            moment(app, item.created),
            item.content_hash[:12],
            item.problem or item.comment,
        )
        for item in found
    ]
    document = {"schema": "aicluster.models/1", "models": [asdict(item) for item in found]}
    app.console.data_table(["MODEL", "VERSION", "PYTHON", "CREATED", "CONTENT", "COMMENT"], rows, document=document)


def _facts(version: "ModelVersion") -> list[tuple[str, str]]:
    def text(value: object) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{key}={item}" for key, item in value.items())
        return ", ".join(value) if isinstance(value, list) else str(value)

    return [(key, text(value)) for key, value in asdict(version).items() if key != "version" and value]
