"""``aicluster run``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aicluster_cli.cli.options import App, common_options, completer
from aicluster_cli.cli.session import connect, model_names
from aicluster_cli.cli.tables import say_outcome, show_clusters, stream_rows

if TYPE_CHECKING:
    from aicluster_cli.records import RunRecord
    from aicluster_cli.workflows.request import RunRequest

STDOUT = Path("-")


@common_options(extra_formats=["jsonl"])
def run(
    app: App,
    model: Annotated[str, typer.Argument(help="The model: kmeans or deep.", autocompletion=completer(model_names))],
    source: Annotated[
        str | None,
        typer.Option("--input", "-i", metavar="SRC", help="CSV, TSV, JSON Lines or Parquet; a glob; - for stdin."),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="DuckDB SQL over files; with --input, over the view named input."),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(metavar="F", help="csv, tsv, jsonl or parquet, where the name does not tell."),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="C", help="The rows' ids; without it the row number is the id.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(metavar="C", help="Text, to be embedded on this machine.")] = None,
    embedding_column: Annotated[
        str | None, typer.Option(metavar="C", help="Embeddings: JSON text, lists or fixed-size lists.")
    ] = None,
    partition_by: Annotated[
        str | None, typer.Option(metavar="C", help="Cluster the rows of each value of this column alone.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="k=v", help="A parameter of the model; may be repeated.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(metavar="V", help="A registered version; else the present content is run.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE|-", help="Rows to .parquet, .csv, .jsonl or stdout.")
    ] = None,
    join: Annotated[bool, typer.Option("--join", help="Put the source's own columns before the results.")] = False,
    max_bad_rows: Annotated[
        str, typer.Option(metavar="N|P%", help="Exit 5 when more rows cannot be clustered; they are written anyway.")
    ] = "0",
    run_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The run's id; a finished run of the same work is not done again.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run and output file.")] = False,
    no_keep_inputs: Annotated[
        bool, typer.Option("--no-keep-inputs", help="Leave no copy of the input in the run's folder.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and show what would be done.")] = False,
) -> None:
    """Cluster the rows of a table."""
    from aicluster_cli.profile.overrides import parse_set
    from aicluster_cli.sources.spec import SourceSpec
    from aicluster_cli.workflows.request import RowLimit, RunRequest

    request = RunRequest(
        model=model,
        source=SourceSpec(source, query, input_format, id_column, text_column, embedding_column, partition_by),
        params=parse_set(settings or []),
        version=version,
        output=None if output == STDOUT else output,
        join=join,
        max_bad_rows=RowLimit.parse(max_bad_rows),
        run_id=run_id,
        overwrite=overwrite,
        keep_inputs=not no_keep_inputs,
    )
    if dry_run:
        _plan(app, request)
    else:
        _run(app, request, to_stdout=output == STDOUT)


def _plan(app: App, request: "RunRequest") -> None:
    from aicluster_cli.workflows.run import plan_run

    plan = plan_run(connect(app), request, sys.stdin.buffer)
    rows = [(key, value) for key, value in plan.to_json().items() if key != "schema"]
    app.console.data_table(["WHAT", "WOULD BE"], rows, document=plan.to_json())
    app.console.info("nothing was changed")


def _run(app: App, request: "RunRequest", *, to_stdout: bool) -> None:
    from aicluster_cli.workflows import fetch
    from aicluster_cli.workflows.run import run as run_model

    context = connect(app)

    def present(record: "RunRecord") -> None:
        if to_stdout:
            stream_rows(app, fetch.result_rows(context, record, join=request.join), record)
        elif app.format != "json":
            show_clusters(app, record, fetch.clusters(context, record))

    result = run_model(context, request, sys.stdin.buffer, present)
    if app.format == "json" and not to_stdout:
        app.console.data_json(result.to_json())
    if result.rejoined:
        app.console.info(f"the run {result.record.run_id} was finished already; nothing was done again")
    say_outcome(app, result.record)
    app.console.info(f"run {result.record.run_id}: {result.output}")
    if result.excess is not None:
        raise result.excess
