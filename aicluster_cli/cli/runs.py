"""``aicluster runs``, ``status`` and ``logs``."""

from typing import Annotated

import typer

from aicluster_cli.cli.options import App, common_options, completer
from aicluster_cli.cli.session import connect, run_ids
from aicluster_cli.cli.tables import moment

_KEYS = ("run_id", "model", "version", "status", "rows", "clusters", "outliers", "bad_rows", "created", "seconds")
_SHORT_KEYS = ("run_id", "model", "status", "rows", "clusters", "outliers", "created")

_Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.", autocompletion=completer(run_ids))]


@common_options()
def runs(app: App) -> None:
    """List the runs, newest first."""
    records = connect(app).platform.runs()
    found = [{key: getattr(record, key) for key in _KEYS} for record in records]
    keys = _SHORT_KEYS if app.console.data_is_terminal else _KEYS
    shown = [{**run, "created": moment(app, run["created"])} for run in found]
    app.console.data_table(
        [key.replace("_", " ").upper() for key in keys],
        [[run[key] for key in keys] for run in shown],
        document={"schema": "aicluster.runs/1", "runs": found},
    )
    if not found:
        app.console.info("there are no runs yet: aicluster demo")


@common_options()
def status(app: App, run: _Run) -> None:
    """Show how a run stands."""
    context = connect(app)
    record = context.platform.find_run(run)
    facts = [
        ("run", record.run_id),
        ("status", record.status),
        ("model", f"{record.model} {record.version}"),
        ("source", record.source.name),
        ("parameters", ", ".join(f"{name}={value}" for name, value in record.params.items())),
        ("rows", record.rows),
        ("clustered rows", record.clustered_rows),
        ("clusters", record.clusters),
        ("outliers", record.outliers),
        ("bad rows", record.bad_rows),
        ("created", record.created),
        ("seconds", record.seconds),
        ("folder", context.platform.location(record.run_id)),
        *([("error", record.error["message"])] if record.error else []),
    ]
    app.console.data_table(["WHAT", "VALUE"], facts, document=record.to_json())


@common_options()
def logs(app: App, run: _Run) -> None:
    """Show what a run's process printed."""
    context = connect(app)
    record = context.platform.find_run(run)
    text = context.platform.logs(record.run_id)
    if app.format == "json":
        app.console.data_json({"schema": "aicluster.logs/1", "run_id": record.run_id, "text": text})
    elif text:
        app.console.data_text(text)
    else:
        app.console.info(f"the clustering process of {record.run_id} printed nothing")
