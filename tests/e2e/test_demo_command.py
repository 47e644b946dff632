"""``aicluster demo``: what a newcomer sees first, from nothing."""

import json
import re

import pytest

from aicluster_cli.cli.render import json_text
from aicluster_cli.profile.load import load_profile
from aicluster_cli.results.agreement import Agreement
from aicluster_cli.workflows.context import open_context
from aicluster_cli.workflows.demo import Demonstration
from aicluster_cli.workflows.fetch import clusters
from aicluster_cli.workflows.request import RunResult


def runs_of(project):
    return {run["model"]: run for run in project("runs", "--json").json["runs"]}


def test_demo_runs_both_models_on_every_message(demo):
    project, _ = demo
    runs = runs_of(project)
    assert set(runs) == {"AI_CLUSTER_KMEANS", "AI_CLUSTER_DEEP"}
    for run in runs.values():
        assert (run["status"], run["bad_rows"]) == ("done", 0)
        assert run["rows"] > 300
        assert run["clusters"] >= 9
    assert runs["AI_CLUSTER_KMEANS"]["outliers"] == 0
    assert runs["AI_CLUSTER_DEEP"]["outliers"] > 0


def test_demo_shows_sizes_key_words_and_an_example_of_each_cluster(demo):
    project, result = demo
    lines = [line.split("\t") for line in result.text.splitlines()]
    tables = [row for row in lines if row[0] != "CLUSTER"]
    assert [row for row in lines if row[0] == "CLUSTER"] == [["CLUSTER", "ROWS", "SHARE", "KEY WORDS", "EXAMPLE"]] * 2
    runs = runs_of(project)
    assert len(tables) == sum(run["clusters"] for run in runs.values())
    assert sum(int(row[1]) for row in tables) == sum(run["rows"] - run["outliers"] for run in runs.values())
    assert all(len(row[3].split(", ")) == 5 and len(row[4]) > 10 for row in tables)


@pytest.mark.parametrize(("model", "least"), [("AI_CLUSTER_KMEANS", 0.8), ("AI_CLUSTER_DEEP", 0.75)])
def test_demo_tells_how_well_it_agrees_with_the_known_topics(demo, model, least):
    (line,) = [line for line in demo[1].err.splitlines() if line.startswith(f"{model}: ")]
    found = re.search(r"agreement with the 12 known topics: V-measure (\d\.\d\d), adjusted Rand (\d\.\d\d)$", line)
    assert least <= float(found[1]) <= 1
    assert 0.5 <= float(found[2]) <= 1


def test_demo_tells_where_the_files_are_and_what_comes_next(demo):
    project, result = demo
    for run in runs_of(project).values():
        folder = project.run_folder(run["run_id"])
        assert f"run {run['run_id']}: {folder}/output/{run['run_id']}" in result.err
        assert (folder / "output" / run["run_id"] / "_SUCCESS").exists()
    assert "next: aicluster run kmeans --input FILE --text-column COLUMN" in result.err
    (sample,) = re.findall(r"^sample: (.*)$", result.err, re.MULTILINE)
    assert sample.endswith(".csv")


def test_outliers_of_the_demo_are_at_most_a_tenth(demo):
    project, _ = demo
    run = runs_of(project)["AI_CLUSTER_DEEP"]
    rows = project("fetch", run["run_id"], "--join", "--json").json["rows"]
    outliers = [row for row in rows if row["CLUSTER_ID"] == -1]
    assert len(outliers) == run["outliers"] <= 0.1 * len(rows)
    assert all(row["OUTLIER_SCORE"] is not None and row["STRENGTH"] == 0 for row in outliers)


def test_demonstration_as_json(demo):
    project, _ = demo
    context = open_context(load_profile(env={}, cwd=project.folder), reporter=None)
    record = context.platform.find_run(None)
    told = Demonstration(RunResult(record, "out"), clusters(context, record), AGREEMENT).to_json()
    document = json.loads(json_text(told))
    assert document["run"]["run_id"] == record.run_id
    assert document["agreement"]["v_measure"] == AGREEMENT.v_measure
    assert [cluster["cluster"] for cluster in document["clusters"]] == list(range(record.clusters))
    assert all(len(cluster["keywords"]) == 5 for cluster in document["clusters"])
    assert all(len(cluster["examples"]) == 3 for cluster in document["clusters"])


AGREEMENT = Agreement(v_measure=0.5, ari=0.25, ami=0.125, rows=8, unclustered_rows=0, unlabelled_rows=0)
