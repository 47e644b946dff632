"""Rows that cannot be clustered come out with a reason, all others with a cluster, and none is lost."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from e2e_tools import Project, Result

GOOD = ["[1.0, 0.1, 0]", "[1, 0.2, 0.0]", "[0, 1, 0]", "[0, 1, 1e-1]"]
BAD_JSON = {
    "null": (None, "null embedding"),
    "the word null": ("null", "null embedding"),
    "empty": ("", "blank embedding"),
    "blank": (" \t ", "blank embedding"),
    "malformed": ("[1, 2", "malformed JSON: "),
    "two arrays": ("[1, 0, 0] [1]", "malformed JSON: "),
    "nested": ("[[1, 2, 3]]", "nested array"),
    "object": ('{"x": 1}', "not an array: an object"),
    "number": ("1.5", "not an array: a number"),
    "short": ("[1, 2]", "wrong length: 2, not 3"),
    "long": ("[1, 2, 3, 4]", "wrong length: 4, not 3"),
    "one number": ("[1]", "wrong length: 1, not 2 to 4096"),
    "no number": ("[]", "wrong length: 0, not 2 to 4096"),
    "NaN": ("[NaN, 1, 2]", "NaN or Infinity inside the vector"),
    "Infinity": ("[1, -Infinity, 2]", "NaN or Infinity inside the vector"),
    "too large for float32": ("[1e39, 1, 2]", "NaN or Infinity inside the vector"),
    "zero vector": ("[0, 0.0, -0.0]", "zero vector"),
    "strings": ('["1", "2", "3"]', "not a number inside the vector"),
    "null inside": ("[1, null, 2]", "not a number inside the vector"),
    "boolean inside": ("[1, true, 2]", "not a number inside the vector"),
}
BAD_LISTS = {
    "null": (None, "null embedding"),
    "short": ([1, 2], "wrong length: 2, not 3"),
    "empty": ([], "wrong length: 0, not 2 to 4096"),
    "NaN": ([float("nan"), 1, 2], "NaN or Infinity inside the vector"),
    "Infinity": ([1, float("inf"), 2], "NaN or Infinity inside the vector"),
    "zero vector": ([0, 0, 0], "zero vector"),
    "null inside": ([1, None, 2], "not a number inside the vector"),
}
ARGS = ("--id-column", "id", "--embedding-column", "e", "--set", "n_clusters=2", "--run-id", "R1")
LISTS = ("--input", "rows.parquet", "--query", "SELECT id, e FROM input")


class Judged:
    """A run over bad rows: its answer, its record, and the rows of its output file by their ids."""

    def __init__(self, project: Project, result: Result) -> None:
        self.project = project
        self.result = result
        self.record = project.record("R1")
        self.rows = pq.read_table(project.folder / "out.parquet").to_pylist()

    def reasons(self, row_id: str | None) -> list[str | None]:
        found = [row for row in self.rows if row["ROW_ID"] == row_id]
        assert all((row["CLUSTER_ID"] is None) == (row["REASON"] is not None) for row in found)
        assert all(row["STRENGTH"] is None and row["DISTANCE"] is None for row in found if row["REASON"])
        return [row["REASON"] for row in found]


@pytest.fixture(scope="session")
def json_rows(shared, models) -> Judged:
    """JSON text of all kinds; two rows with one id, one without."""

    def make(folder) -> Result:
        project = Project.new(folder, models=models)
        rows = [(f"good {n}", text) for n, text in enumerate(GOOD)]
        rows += [(name, text) for name, (text, _) in BAD_JSON.items()]
        rows += [("twice", GOOD[0]), ("twice", GOOD[1]), (None, GOOD[0]), (None, GOOD[1])]
        lines = (json.dumps({"id": row_id, "e": text}) + "\n" for row_id, text in rows)
        project.write("rows.jsonl", "".join(lines))
        return project("run", "kmeans", "--input", "rows.jsonl", *ARGS, "--output", "out.parquet", "--json")

    return Judged(*shared.once("json-rows", make))


@pytest.fixture(scope="session")
def list_rows(shared, models) -> Judged:
    """Lists of all kinds, in a list column, through a query over the input."""

    def make(folder) -> Result:
        project = Project.new(folder, models=models)
        vectors = [json.loads(text) for text in GOOD] + [vector for vector, _ in BAD_LISTS.values()]
        ids = [*(f"good {n}" for n in range(len(GOOD))), *BAD_LISTS]
        table = pa.table({"id": ids, "e": pa.array(vectors, pa.list_(pa.float64()))})
        pq.write_table(table, folder / "rows.parquet")
        return project("run", "kmeans", *LISTS, *ARGS, "--output", "out.parquet", "--json")

    return Judged(*shared.once("list-rows", make))


@pytest.mark.parametrize("name", BAD_JSON)
def test_reason_of_json_text_that_is_no_embedding(json_rows, name):
    (reason,) = json_rows.reasons(name)
    expected = BAD_JSON[name][1]
    assert reason.startswith(expected) if expected.endswith(": ") else reason == expected


@pytest.mark.parametrize("name", BAD_LISTS)
def test_reason_of_a_list_that_is_no_embedding(list_rows, name):
    assert list_rows.reasons(name) == [BAD_LISTS[name][1]]


def test_query_over_an_input_is_on_record(list_rows):
    source = list_rows.record.source
    assert (source.name, source.format, source.rows) == ("query over rows.parquet", "query", 11)
    assert (source.input, source.query) == (LISTS[1], LISTS[3])
    assert re.fullmatch(r"[0-9a-f]{64}", source.content_hash)


def test_every_copy_of_a_duplicate_id_is_bad(json_rows):
    assert json_rows.reasons("twice") == ["duplicate id: 2 rows have it"] * 2


def test_rows_without_an_id_are_bad(json_rows):
    assert json_rows.reasons(None) == ["null id"] * 2


@pytest.mark.parametrize("fixture", ["json_rows", "list_rows"])
def test_good_rows_are_clustered_among_bad_ones(request, fixture):
    judged = request.getfixturevalue(fixture)
    good = [row["CLUSTER_ID"] for row in judged.rows if row["REASON"] is None]
    assert good == [0, 0, 1, 1]


def test_rows_out_are_rows_in_and_in_order(json_rows):
    names = [*(f"good {n}" for n in range(4)), *BAD_JSON, "twice", "twice", None, None]
    assert [row["ROW_ID"] for row in json_rows.rows] == names
    assert json_rows.record.rows == len(names)


def test_bad_rows_end_with_5_though_the_output_is_written(json_rows):
    bad = len(BAD_JSON) + 4
    assert json_rows.result.code == 5
    error, hint = json_rows.result.errors
    assert error.startswith(f"error: {bad} of {bad + 4} rows could not be clustered (")
    assert "nested array: 1" in error
    assert f"--max-bad-rows {bad} accepts them" in hint
    document = json_rows.result.json  # one object, the run's: the error does not make a second one
    assert (document["status"], document["bad_rows"], document["rows"]) == ("done", bad, bad + 4)


def test_bad_rows_are_counted_by_verdict(json_rows):
    counts = json_rows.record.bad_rows_by_reason
    assert counts["malformed JSON"] == 2
    assert counts["wrong length"] == 4
    assert sum(counts.values()) == json_rows.record.bad_rows == len(BAD_JSON) + 4
    assert f"  wrong length: {counts['wrong length']}" in json_rows.result.err


@pytest.mark.parametrize(
    ("limit", "code"), [("0", 5), ("6", 5), ("7", 0), ("999", 0), ("63.5%", 5), ("63.7%", 0), ("100%", 0), ("0%", 5)]
)
def test_limit_of_bad_rows_is_a_number_or_a_share(list_rows, tmp_path, limit, code):
    assert (list_rows.record.bad_rows, list_rows.record.rows) == (7, 11)
    project = list_rows.project.copy(tmp_path)  # the finished run is rejoined, which costs nothing
    result = project("run", "kmeans", *LISTS, *ARGS, "--max-bad-rows", limit, "--json")
    assert result.code == code
    assert result.json["bad_rows"] == 7


def test_all_rows_bad(ready):
    ready.write("rows.csv", 'e\n"[0, 0]"\n""\n"[1, 0"\n')
    args = ("--input", "rows.csv", "--embedding-column", "e", "--output", "out.csv", "--max-bad-rows", "100%")
    result = ready("run", "kmeans", *args, "--json")
    assert result.code == 5
    assert result.errors == [
        "error: no row could be clustered (blank embedding: 1, malformed JSON: 1, zero vector: 1)",
        "hint: see the REASON column of the output",
    ]
    document = result.json
    assert (document["status"], document["clusters"], document["clustered_rows"]) == ("done", 0, 0)
    assert len((ready.folder / "out.csv").read_text().splitlines()) == 4
    assert ready("fetch").succeeded().text == (ready.folder / "out.csv").read_text()


def test_one_row(only_row):
    project, result = only_row
    assert (result.json["rows"], result.json["clusters"], result.json["bad_rows"]) == (1, 1, 0)
    (row,) = project("fetch", "--json").json["rows"]
    assert (row["ROW_ID"], row["CLUSTER_ID"], row["REASON"]) == ("0", 0, None)
    assert "warning: one cluster: the rows are too few" in result.err


# --- what depends on the whole partition ---

EDGES = {"one": 1, "few": 2, None: 12, "zero": 3, "good": 16}
EDGE_ARGS = ("--input", "edges.parquet", "--embedding-column", "e", "--partition-by", "part", "--max-bad-rows", "6")
EDGE_KMEANS = ("run", "kmeans", *EDGE_ARGS, "--set", "n_clusters=3", "--run-id", "KMEANS")


@pytest.fixture(scope="session")
def edges(shared, models) -> Project:
    """Both models over partitions of one row, of few, of identical rows, of zero vectors, and over a good one."""

    def make(folder) -> Result:
        project = Project.new(folder, models=models)
        vectors = {
            "one": [[1.0, 0.0]],
            "few": [[1.0, 0.0], [0.0, 1.0]],
            None: [[0.5, 0.25]] * 12,
            "zero": [[0.0, 0.0]] * 3,
            "good": [[side, 1.0 - side + step / 64] for side in (0.0, 1.0) for step in range(8)],
        }
        table = pa.table(
            {
                "part": pa.array([part for part, size in EDGES.items() for _ in range(size)], pa.string()),
                "e": [vector for part in EDGES for vector in vectors[part]],
            }
        )
        pq.write_table(table, folder / "edges.parquet")
        result = project(*EDGE_KMEANS)
        if result.code == 0:
            result = project("run", "deep", *EDGE_ARGS, "--set", "min_cluster_size=4", "--run-id", "DEEP")
        return result

    project, result = shared.once("edges", make)
    assert result.code == 0, result.err
    return project


def rows_of_part(project: Project, run_id: str, part: str | None) -> list[dict]:
    document = project("fetch", run_id, "--json").succeeded().json
    assert document["rows_total"] == len(document["rows"]) == sum(EDGES.values())
    rows = [row for row in document["rows"] if row["part"] == part]
    assert {row["BLOCK_ROWS"] for row in rows} == {EDGES[part]} == {len(rows)}
    return rows


@pytest.mark.parametrize("part", ["one", "few"])
@pytest.mark.parametrize(("run_id", "said"), [("KMEANS", "3 clusters asked for"), ("DEEP", "min_cluster_size is 4")])
def test_fewer_rows_than_clusters(edges, run_id, said, part):
    reasons = {row["REASON"] for row in rows_of_part(edges, run_id, part)}
    assert reasons == {f"too few rows: {EDGES[part]} usable, {said}"}


@pytest.mark.parametrize("run_id", ["KMEANS", "DEEP"])
def test_identical_rows_are_one_cluster(edges, run_id):
    rows = rows_of_part(edges, run_id, None)
    assert {row["CLUSTER_ID"] for row in rows} == {0}
    assert all(abs(row["DISTANCE"]) < 1e-6 and row["STRENGTH"] == 1 for row in rows)


def test_fewer_distinct_rows_than_clusters_is_noted(edges):
    notes = {details["partition"]: details.get("note") for details in edges.record("KMEANS").details}
    note = "1 of the 3 clusters asked for: the rows hold no more distinct vectors"
    assert notes == {None: note, "good": None}
    assert f"warning: part (null): {note}\n" in edges(*EDGE_KMEANS).succeeded().err


@pytest.mark.parametrize("run_id", ["KMEANS", "DEEP"])
def test_partition_of_zero_vectors(edges, run_id):
    assert {row["REASON"] for row in rows_of_part(edges, run_id, "zero")} == {"zero vector"}


@pytest.mark.parametrize(("run_id", "clusters"), [("KMEANS", 3), ("DEEP", 2)])
def test_good_partition_beside_bad_ones(edges, run_id, clusters):
    rows = rows_of_part(edges, run_id, "good")
    assert {row["CLUSTER_ID"] for row in rows} == set(range(clusters))
    parts = {part["value"]: part for part in edges.record(run_id).partitions}
    assert set(parts) == set(EDGES)
    assert parts["few"]["reasons"] == {"too few rows": 2}
    assert sum(part["clusters"] for part in parts.values()) == clusters + 1
