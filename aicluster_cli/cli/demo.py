"""``aicluster demo``."""

from aicluster_cli.cli.options import App, common_options
from aicluster_cli.cli.session import connect
from aicluster_cli.cli.tables import show_clusters


@common_options()
def demo(app: App) -> None:
    """Cluster sample messages with both models."""
    from aicluster_cli.samples import messages_path
    from aicluster_cli.workflows.demo import demonstrate

    console = app.console
    console.info(f"sample: {messages_path()}")
    found = demonstrate(connect(app))
    if app.format == "json":
        console.data_json({"schema": "aicluster.demo/1", "runs": [item.to_json() for item in found]})
    for item in found:
        record = item.result.record
        if app.format != "json":
            show_clusters(app, record, item.clusters)
        agreement = item.agreement
        console.info(
            f"{record.model}: {record.clusters} clusters, {record.outliers} outliers among {record.rows} messages; "
            f"agreement with the 12 known topics: V-measure {agreement.v_measure:.2f}, "
            f"adjusted Rand {agreement.ari:.2f}"
        )
        console.info(f"run {record.run_id}: {item.result.output}\n")
    console.info("next: aicluster run kmeans --input FILE --text-column COLUMN --output clusters.csv")
