"""A program over the command-line frame, started by the tests as a process of its own."""

import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from aicluster_cli import errors
from aicluster_cli.cli.groups import add_command, group, root_group
from aicluster_cli.cli.main import main
from aicluster_cli.cli.options import App, common_options, completer

COLUMNS = ["RUN", "TEXT", "SHARE"]
ROWS = [("R1", "plain", 0.25), ("R2", "esc \x1b]0;owned\x07 bell\nnext\tline \u202eevil", None)]


@common_options()
def settings(
    app: App,
    word: Annotated[str, typer.Argument(help="A word.", autocompletion=completer(lambda app: ["alpha", "beta"]))] = "-",
    size: Annotated[int, typer.Option(help="A size.", min=1)] = 3,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="K=V", help="Repeatable.")] = None,
    out: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="A file.")] = None,
) -> None:
    """Show what a command is given.

    The second paragraph is in the help of the command only.
    """
    app.console.data_text(
        f"{app.profile_name} {app.format} {app.verbosity} {app.debug} {word} {size} {set_} {out} {app.cwd.name}"
    )


@common_options(extra_formats=("jsonl",))
def table(app: App, rows: int = 2) -> None:
    """Print rows."""
    app.console.data_table(
        COLUMNS, ROWS[:rows], document={"schema": "sample/1", "rows": ROWS[:rows]}, title="Runs", footer="that is all"
    )


@common_options(extra_formats=("jsonl",))
def stream(app: App, rows: int = 200_000) -> None:
    """Write many rows to the binary stream."""
    out = app.console.data_stream()
    for number in range(rows):
        out.write(b"%d\n" % number)
    out.close()
    app.console.info("streamed")


@common_options()
def noisy(app: App) -> None:
    """Print in every way a library might."""
    print("python noise")  # noqa: T201
    sys.stdout.write("no line end")
    os.write(1, b"descriptor noise\n")
    subprocess.run([sys.executable, "-c", "print('child noise')"], check=True)
    warnings.warn("library warning", stacklevel=1)
    logging.getLogger("snowflake.connector").error("library record")
    app.console.data_json({"schema": "sample/1", "ok": True})


@common_options()
def say(app: App) -> None:
    """Say something at every level."""
    app.console.info("an info")
    app.console.detail("a detail")
    app.console.trace("a trace")
    app.console.warn("a warning\nover two lines \x1b[31m")
    with app.console.stage("embedding texts", total=2) as stage:
        stage.update(2)
        stage.done("embedded 2 texts")


ERRORS = {
    "usage": lambda: errors.UsageError("a bad flag", hint="aicluster run --help"),
    "connection": lambda: errors.JobFailedError("the job failed\non its node", hint="aicluster logs R1"),
    "bad-rows": lambda: errors.BadRowsError("3 bad rows"),
    "running": lambda: errors.StillRunningError("R1 is still running", hint="aicluster status R1"),
    "bug": lambda: ZeroDivisionError("by zero"),
    "eof": lambda: EOFError("Ran out of input"),
    "network-pipe": lambda: BrokenPipeError(32, "Broken pipe"),
    "exit": lambda: typer.Exit(8),
    "sys-exit": lambda: SystemExit(5),
}


@common_options()
def fail(app: App, kind: str, data: bool = False) -> None:
    """Fail."""
    if data:
        app.console.data_json({"schema": "sample/1"})
    raise ERRORS[kind]()


@common_options()
def ask(app: App, yes: bool = False) -> None:
    """Ask before something is destroyed."""
    app.console.confirm("Drop model X?", yes=yes)
    app.console.info("dropped")


@common_options()
def work(app: App) -> None:
    """Work on a stage; each line of standard input is a unit done."""
    with app.console.stage("embedding texts", total=3) as stage:
        for line in sys.stdin:
            if line.startswith("say"):
                app.console.info("said in between")
            elif line.startswith("break"):
                raise errors.JobFailedError("broken in the middle")
            elif line.startswith("end"):
                break
            else:
                stage.update()
        stage.done("embedded 3 texts")


@common_options()
def wait(app: App) -> None:
    """Wait for a signal that ends it; another is answered."""
    signal.signal(signal.SIGUSR1, lambda *_: os.write(2, b"still here\n"))
    app.console.info("ready")
    while True:
        signal.pause()


@common_options()
def list_models(app: App, all_: Annotated[bool, typer.Option("--all", help="All of them.")] = False) -> None:
    """List the models."""
    app.console.data_text(f"list {app.format} {app.profile_name} {all_}")


@common_options()
def show(app: App, name: str) -> None:
    """Show one model."""
    app.console.data_text(f"show {name} {app.format} {app.profile_name} {app.verbosity}")


def build() -> typer.Typer:
    cli = root_group("A sample.", version=lambda: "sample 1.2", epilog="\b\nExit codes:\n  0  done\n  1  failed")
    add_command(cli, settings)
    add_command(cli, table)
    for command in (stream, noisy, say, fail, ask, work, wait):
        add_command(cli, command, panel="More")
    models = group("The registered models.", callback=list_models)
    add_command(models, show)
    add_command(models, table)
    add_command(cli, models, "models")
    empty = group("Profiles.")
    add_command(empty, show)
    add_command(cli, empty, "profile")
    return cli


if __name__ == "__main__":
    main(build)
