"""How runs and clusters are laid out as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aicluster_cli.cli.options import App
    from aicluster_cli.records import RunRecord
    from aicluster_cli.results.summary import ClusterSummary
    from aicluster_cli.results.write import StreamForm
    from aicluster_cli.workflows.fetch import Rows

TOP = 20  # clusters on a terminal; a pipe gets all


def show_clusters(app: App, record: RunRecord, clusters: Sequence[ClusterSummary]) -> None:
    """Write a run's clusters: number, size, share and, where there are texts, key words and an example."""
    shown = clusters[:TOP] if app.console.data_is_terminal else clusters
    partition = record.source.partition_column
    has_texts = any(cluster.examples for cluster in clusters)
    columns = [
        *([partition.upper()] if partition else []),
        "CLUSTER",
        "ROWS",
        "SHARE",
        *(["KEY WORDS", "EXAMPLE"] if has_texts else []),
    ]
    rows = [
        (
            *([cluster.partition] if partition else []),
            cluster.cluster,
            cluster.rows,
            f"{cluster.share:.1%}",
            *((", ".join(cluster.keywords), next(iter(cluster.examples), "")) if has_texts else ()),
        )
        for cluster in shown
    ]
    hidden = len(clusters) - len(shown)
    footer = f"and {hidden:,} smaller clusters" if hidden else None
    app.console.data_table(columns, rows, title=f"{record.model} {record.version}", footer=footer)


def say_outcome(app: App, record: RunRecord) -> None:
    """Say in one line what a run found, then what is worth knowing about its rows."""
    groups = f" in {len(record.partitions):,} partitions" if record.partitions else ""
    app.console.info(
        f"{record.rows:,} rows{groups}: {record.clustered_rows:,} in {record.clusters:,} clusters, "
        f"{record.outliers:,} outliers, {record.bad_rows:,} bad"
    )
    for reason, count in record.bad_rows_by_reason.items():
        app.console.info(f"  {reason}: {count:,}")
    if record.source.id_column is None:
        app.console.info("ROW_ID is the row number, from 0; name a column with --id-column to have its values")
    for details in record.details:
        if "note" in details:
            app.console.warn(f"{_where(record, details)}{details['note']}")


def _where(record: RunRecord, details: Mapping[str, Any]) -> str:
    """Return the words for the partition that details are about; none where the rows were not partitioned."""
    if "partition" not in details:
        return ""
    value = details["partition"]
    return f"{record.source.partition_column} {'(null)' if value is None else value}: "


def stream_rows(app: App, rows: Rows, record: RunRecord) -> None:
    """Write result rows to standard output; CSV where no other format is asked for."""
    from aicluster_cli.results.write import stream_rows as write
    from aicluster_cli.workflows.fetch import header

    forms: dict[str, StreamForm] = {"json": "json", "jsonl": "jsonl"}
    write(rows.batches, rows.schema, app.console.data_stream(), forms.get(app.format, "csv"), header(record))


def moment(app: App, iso: str) -> str:
    """Return a point in time to the minute on a terminal, in full in a pipe; UTC."""
    return iso[:16].replace("T", " ") if app.console.data_is_terminal else iso
