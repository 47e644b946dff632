"""``aicluster setup`` and ``aicluster doctor``."""

from dataclasses import asdict
from typing import Annotated

import typer

from aicluster_cli.cli.options import App, common_options
from aicluster_cli.cli.session import connect


@common_options()
def setup(
    app: App,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be made, and change nothing.")] = False,
) -> None:
    """Make what runs need.

    On this machine that is the folders of the local store.
    """
    platform = connect(app).platform
    steps = platform.plan_setup()
    if not dry_run:
        platform.apply_setup(steps)
    rows = [(step.action, step.kind, step.name) for step in steps]
    document = {"schema": "aicluster.setup/1", "applied": not dry_run, "steps": [asdict(step) for step in steps]}
    app.console.data_table(["ACTION", "KIND", "NAME"], rows, document=document)
    made = sum(step.action != "nothing" for step in steps)
    if dry_run:
        app.console.info(f"{made} to make; nothing was changed")
    else:
        app.console.info(f"made {made} folders" if made else "everything is there already; nothing was changed")


@common_options()
def doctor(app: App) -> None:
    """Check what runs need, with the cures."""
    from aicluster_cli.workflows.doctor import diagnose

    checks = diagnose(connect(app))
    document = {"schema": "aicluster.doctor/1", "checks": [asdict(check) for check in checks]}
    rows = [(check.result, check.name, check.found, check.cure) for check in checks]
    app.console.data_table(["RESULT", "WHAT", "FOUND", "CURE"], rows, document=document)
    failed = sum(check.result == "FAIL" for check in checks)
    if failed:
        app.console.info(f"{failed} of {len(checks)} checks failed")
        raise typer.Exit(1)
    app.console.info(f"{len(checks)} checks, none failed")
