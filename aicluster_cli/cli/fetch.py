"""``aicluster fetch``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aicluster_cli.cli.options import App, common_options, completer
from aicluster_cli.cli.session import connect, run_ids
from aicluster_cli.cli.tables import moment, say_outcome, show_clusters, stream_rows

if TYPE_CHECKING:
    from aicluster_cli.workflows.context import Context

STDOUT = Path("-")


@common_options(extra_formats=["jsonl"])
def fetch(
    app: App,
    run: Annotated[
        str | None, typer.Argument(help="The run; the newest by default.", autocompletion=completer(run_ids))
    ] = None,
    list_files: Annotated[bool, typer.Option("--list", help="List the run's files instead.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE|-", help="Rows to .parquet, .csv, .jsonl or stdout.")
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="Put the source's own columns before the results.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Read the rows of a finished run.

    They go to a file or to a pipe; on a terminal the run's clusters are shown.
    """
    context = connect(app)
    if list_files:
        _list(app, context, run)
    else:
        _fetch(app, context, run, output, join=join, overwrite=overwrite)


def _list(app: App, context: "Context", run: str | None) -> None:
    from aicluster_cli.workflows.fetch import list_files

    record, files = list_files(context, run)
    found = [{"name": file.name, "size": file.size, "modified": file.modified.isoformat()} for file in files]
    document = {"schema": "aicluster.files/1", "run_id": record.run_id, "status": record.status, "files": found}
    rows = [(file["name"], file["size"], moment(app, str(file["modified"]))) for file in found]
    app.console.data_table(["NAME", "SIZE", "MODIFIED"], rows, document=document)
    app.console.info(f"run {record.run_id} ({record.status}): {context.platform.location(record.run_id)}")


def _fetch(app: App, context: "Context", run: str | None, output: Path | None, *, join: bool, overwrite: bool) -> None:
    from aicluster_cli.workflows import fetch

    record = fetch.finished_run(context, run)
    if output is not None and output != STDOUT:
        rows = fetch.write_output(context, record, output, join=join, overwrite=overwrite)
        if app.format == "json":
            app.console.data_json(
                {"schema": "aicluster.fetch/1", "run_id": record.run_id, "rows": rows, "output": str(output)}
            )
        app.console.info(f"wrote {rows:,} rows of run {record.run_id} to {output}")
    elif output is None and app.format == "table" and app.console.data_is_terminal:
        show_clusters(app, record, fetch.clusters(context, record))
        say_outcome(app, record)
        app.console.info(f"the rows: aicluster fetch {record.run_id} --output rows.parquet")
    else:
        stream_rows(app, fetch.result_rows(context, record, join=join), record)
