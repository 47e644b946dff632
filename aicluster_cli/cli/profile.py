"""``aicluster profile``: init, show, validate, schema."""

from pathlib import Path
from typing import Annotated

import typer

from aicluster_cli.cli.options import App, common_options
from aicluster_cli.cli.session import load


@common_options()
def init(
    app: App,
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("aicluster.yaml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the profile, and write nothing.")] = False,
) -> None:
    """Write a commented profile to start from."""
    from aicluster_cli.files import ensure_writable_target, write_text
    from aicluster_cli.profile.locate import template

    text = template("local")
    if dry_run:
        app.console.data_text(text)
        return
    ensure_writable_target(path, overwrite=overwrite)
    write_text(path, text)
    if app.format == "json":
        app.console.data_json({"schema": "aicluster.file/1", "path": str(path)})
    app.console.info(f"wrote {path}; check it with: aicluster profile validate --profile {path}")


@common_options()
def show(app: App) -> None:
    """Show every value in force and where it comes from."""
    from aicluster_cli.profile.load import rows

    loaded = load(app)
    found = rows(loaded)
    values = [{"key": key, "value": value, "from": origin} for key, value, origin in found]
    document = {"schema": "aicluster.profile/1", "path": str(loaded.path) if loaded.path else None, "values": values}
    app.console.data_table(["KEY", "VALUE", "FROM"], found, document=document)


@common_options()
def validate(app: App) -> None:
    """Check the profile in force."""
    loaded = load(app)
    name = str(loaded.path) if loaded.path else "the built-in local profile"
    if app.format == "json":
        app.console.data_json({"schema": "aicluster.validation/1", "profile": name, "valid": True})
    app.console.info(f"{name} is valid")


@common_options()
def schema(app: App) -> None:
    """Print the JSON schema of profiles, for editors."""
    from aicluster_cli.profile.json_schema import json_schema

    app.console.data_json(json_schema())
