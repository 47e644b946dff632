"""Both models on the project's own sample, judged against the topics its writer had in mind."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aicluster_cli.samples import messages_path
from aicluster_cli.sources.spec import SourceSpec
from aicluster_cli.workflows.fetch import clusters, input_folder, result_table
from aicluster_cli.workflows.request import RunRequest, RunResult
from aicluster_cli.workflows.run import run

if TYPE_CHECKING:
    from aicluster_cli.results.agreement import Agreement
    from aicluster_cli.results.summary import ClusterSummary
    from aicluster_cli.workflows.context import Context

NO_TOPIC = "none"
_MODELS = ("kmeans", "deep")


@dataclass(frozen=True)
class Demonstration:
    """One model's run on the sample: what it found, and how far it agrees with the known topics."""

    result: RunResult
    clusters: list[ClusterSummary]
    agreement: Agreement

    def to_json(self) -> dict[str, Any]:
        """Return the demonstration as JSON values."""
        found = [{**vars(cluster), "partition": None} for cluster in self.clusters]
        return {"run": self.result.to_json(), "agreement": vars(self.agreement), "clusters": found}


def demonstrate(context: Context) -> list[Demonstration]:
    """Run every model on the sample messages, with no parameter given.

    Agreement is measured on the messages that have a topic.
    """
    source = SourceSpec(input=str(messages_path()), id_column="id", text_column="text")
    found = []
    for model in _MODELS:
        result = run(context, RunRequest(model, source, {}), io.BytesIO())
        found.append(Demonstration(result, clusters(context, result.record), _agreement(context, result)))
    return found


def _agreement(context: Context, result: RunResult) -> Agreement:
    import pyarrow.parquet as pq

    from aicluster_cli.results.agreement import agreement
    from aicluster_cli.workflows.staging import SOURCE_FILE

    topics = pq.read_table(input_folder(context, result.record) / SOURCE_FILE, columns=["topic"])["topic"].to_pylist()
    labels = result_table(context, result.record)["CLUSTER_ID"]
    has_topic = [topic != NO_TOPIC for topic in topics]
    return agreement([topic for topic in topics if topic != NO_TOPIC], labels.filter(has_topic).combine_chunks())
