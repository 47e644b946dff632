"""The command line: which commands there are, in the order and under the headings that ``aicluster --help`` shows.

Each command's module is imported here, so it must be light: heavy libraries are imported inside its functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aicluster_cli.cli import demo, fetch, models, profile, run, runs, setup
from aicluster_cli.cli.groups import add_command, group, root_group

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer

# \b keeps the lines as they are.
EXIT_CODES = """\b
Exit codes:
  0    done
  1    failed
  2    usage or profile
  3    connection or authentication
  4    the remote job failed
  5    bad input rows beyond --max-bad-rows, or none usable
  8    still running (detached or timed out waiting)
  130  interrupted before anything was submitted"""


def build() -> typer.Typer:
    """Return the program with all its commands."""
    cli = root_group(
        "Turn a table of text or embeddings into clusters that people can name, look at and trust: "
        "on this machine, or in Snowflake with the same models and commands.",
        version=_version,
        epilog=EXIT_CODES,
    )
    _add(cli, "Start here", demo.demo, run.run, fetch.fetch)
    _add(cli, "Runs", runs.runs, runs.status, runs.logs)
    _add(cli, "Models", models.register)
    versions = group("List, show and remove registered models.", callback=models.models)
    _add(versions, "Commands", models.show, models.drop)
    add_command(cli, versions, "models", panel="Models")
    _add(cli, "Set-up", setup.setup, setup.doctor)
    profiles = group("Write, show and check profiles.")
    _add(profiles, "Commands", profile.init, profile.show, profile.validate, profile.schema)
    add_command(cli, profiles, "profile", panel="Set-up")
    return cli


def _add(parent: typer.Typer, panel: str, *commands: Callable[..., object]) -> None:
    for command in commands:
        add_command(parent, command, panel=panel)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"aicluster {version('aicluster-cli')}"
    except PackageNotFoundError:
        return "aicluster (not installed: run from its sources)"
