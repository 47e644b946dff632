import time

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicluster_cli.clustering.schema import OUTPUT_NAMES
from aicluster_cli.errors import InputError, RunError
from aicluster_cli.results.join import check_source_names, join, joined_schema

NAN = float("nan")


def _join(ids, source, table, batch_rows=2):
    """Join ``source`` in batches of a few rows, each with its ids."""
    batches = source.to_batches(max_chunksize=batch_rows)
    starts = range(0, len(ids), batch_rows)
    pairs = (
        (pa.array(ids[start : start + batch_rows], pa.string()), b) for start, b in zip(starts, batches, strict=True)
    )
    return pa.Table.from_batches(join(pairs, table))


def test_clusters_go_to_their_rows_whatever_the_order_of_the_results(rows):
    source = pa.table({"id": [3, 1, 2], "text": ["c", "a", "b"]})
    joined = _join(["3", "1", "2"], source, rows(["1", "2", "3"], [10, 20, 30]))
    assert joined.select(["id", "text", "CLUSTER_ID"]).to_pydict() == {
        "id": [3, 1, 2],
        "text": ["c", "a", "b"],
        "CLUSTER_ID": [30, 10, 20],
    }
    assert joined.column("ROW_ID").to_pylist() == ["3", "1", "2"]


def test_the_sources_columns_keep_their_types_and_places(rows):
    source = pa.table(
        {
            "price": pa.array(["1.50"]).cast(pa.decimal128(9, 2)),
            "when": pa.array([0], pa.timestamp("ns", "Europe/Berlin")),
            "vector": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)),
            "kind": pa.array(["a"]).dictionary_encode(),
            "tags": pa.array([[{"a": 1}]]),
        }
    )
    joined = _join(["0"], source, rows(["0"]))
    assert joined.schema.names == [*source.schema.names, *OUTPUT_NAMES]
    assert joined.select(source.schema.names).equals(source)
    assert joined.schema.field("CLUSTER_ID").type == pa.int64()


def test_results_without_details_join_as_well(rows):
    joined = _join(["0"], pa.table({"x": [1]}), rows(["0"]).drop_columns(["DETAILS"]))
    assert "DETAILS" not in joined.column_names


def test_duplicate_and_null_ids_keep_a_row_each_in_their_order(rows):
    ids = ["a", None, "a", "b", None, "a"]
    table = rows(["b", None, "a", "a", None, "a"], [1, 2, 3, 4, 5, 6])
    joined = _join(ids, pa.table({"x": range(6)}), table)
    assert joined.column("CLUSTER_ID").to_pylist() == [3, 2, 4, 1, 5, 6]
    assert joined.column("x").to_pylist() == list(range(6))


def test_equal_ids_of_two_partitions_do_not_swap_their_clusters(rows):
    source = pa.table({"id": [1, 1, 1], "region": ["south", "north", "south"]})
    table = rows(["1", "1", "1"], [7, 8, 9], region=["north", "south", "south"])
    joined = _join(["1", "1", "1"], source, table)
    assert joined.column("CLUSTER_ID").to_pylist() == [8, 7, 9]
    assert joined.column_names.count("region") == 1
    assert joined.column_names[:2] == ["id", "region"]


def test_null_nan_and_zero_partitions_are_found(rows):
    source = pa.table({"region": [NAN, None, 0.0, -0.0]})
    table = rows(["1"] * 4, [1, 2, 3, 4], region=[None, 0.0, 0.0, NAN])
    assert _join(["1"] * 4, source, table).column("CLUSTER_ID").to_pylist() == [4, 1, 2, 3]


def test_a_partition_column_of_another_width_is_still_the_same(rows):
    source = pa.table({"region": pa.array([5, 6], pa.int16())})
    table = rows(["1", "1"], [1, 2], region=pa.array([6, 5], pa.int64()))
    joined = _join(["1", "1"], source, table)
    assert joined.column("CLUSTER_ID").to_pylist() == [2, 1]
    assert joined.schema.field("region").type == pa.int16()


def test_a_partition_column_of_another_kind_is_an_error(rows):
    source = pa.table({"region": ["north"]})
    with pytest.raises(RunError, match="region is string in the source and int64 in the results"):
        _join(["1"], source, rows(["1"], region=[5]))


def test_a_source_without_the_partition_column_is_an_error(rows):
    with pytest.raises(InputError, match="has no column region"):
        _join(["1"], pa.table({"x": [1]}), rows(["1"], region=[5]))


def test_a_source_column_with_a_name_of_ours_is_an_error_whose_cure_works(rows, tmp_path):
    source = pa.table({"CLUSTER_ID": [1], "REASON": ["x"], "text": ["a"]})
    with pytest.raises(InputError, match="has a column CLUSTER_ID, REASON, which is the name of") as caught:
        _join(["0"], source, rows(["0"]))
    query = caught.value.hint.split("'")[1]
    with duckdb.connect() as connection:
        connection.register("input", source)
        renamed = connection.sql(query).to_arrow_table()
    assert renamed.column_names == ["source_cluster_id", "source_reason", "text"]
    assert _join(["0"], renamed, rows(["0"])).num_rows == 1


def test_names_can_be_checked_before_anything_runs(rows):
    check_source_names(["cluster_id", "text"])
    with pytest.raises(InputError, match="DISTANCE"):
        check_source_names(["text", "DISTANCE"])
    with pytest.raises(InputError, match="BLOCK_ROWS"):
        joined_schema(pa.schema([("BLOCK_ROWS", pa.int64())]), rows([]))


@pytest.mark.parametrize(
    ("source_ids", "result_ids", "words"),
    [
        (["a", "b"], ["a"], "the source holds rows that the results do not"),
        (["a"], ["a", "b"], "the results hold 1 rows more than the source"),
        (["a", "b"], ["a", "c"], "the source holds rows that the results do not"),
        (["a", "a"], ["a", "b"], "the source holds rows that the results do not"),
        (["a", None], ["a", "b"], "the source holds rows that the results do not"),
        (["a"], [], "the source holds rows that the results do not"),
        ([], ["a", "a"], "the results hold 2 rows more than the source"),
    ],
)
def test_other_rows_than_the_runs_are_an_error(rows, source_ids, result_ids, words):
    source = pa.table({"x": pa.array(range(len(source_ids)), pa.int64())})
    batches = [(pa.array(source_ids, pa.string()), batch) for batch in source.to_batches()]
    with pytest.raises(RunError, match=words):
        list(join(batches, rows(result_ids)))


def test_no_rows_at_all(rows):
    batch = pa.RecordBatch.from_pydict({"x": pa.array([], pa.int64())})
    [joined] = join([(pa.array([], pa.string()), batch)], rows([]))
    assert joined.num_rows == 0
    assert joined.schema.equals(joined_schema(batch.schema, rows([])))


@settings(deadline=None)
@given(data=st.data())
def test_joining_is_matching_by_id_partition_and_occurrence(rows, data):
    ids = st.sampled_from([None, "", "a", "b", "ä", "10", "1"])
    regions = st.sampled_from([None, "n", "s"])
    keys = data.draw(st.lists(st.tuples(ids, regions), max_size=30))
    clusters = list(range(len(keys)))
    # The platform returns partitions in any order but keeps the order of rows within equal keys.
    shuffled = data.draw(st.permutations(sorted(set(keys), key=str)))
    returned = sorted(clusters, key=lambda row: shuffled.index(keys[row]))
    partitioned = data.draw(st.booleans())
    if not partitioned:
        returned = data.draw(st.permutations([*{key[0] for key in keys}]).map(_order_of([key[0] for key in keys])))
    extra = {"region": pa.array([keys[row][1] for row in returned], pa.string())} if partitioned else {}
    table = rows([keys[row][0] for row in returned], returned, **extra)
    source = pa.table({"row": pa.array(clusters, pa.int64()), "region": pa.array([k[1] for k in keys], pa.string())})
    if not keys:
        assert list(join([], table)) == []
        return
    joined = _join([key[0] for key in keys], source, table, data.draw(st.integers(1, 10)))
    assert joined.column("CLUSTER_ID").to_pylist() == clusters
    assert joined.column("row").to_pylist() == clusters


def _order_of(keys):
    return lambda ranked: sorted(range(len(keys)), key=lambda row: ranked.index(keys[row]))


def test_a_million_rows_join_in_seconds(rows):
    size = 1_000_000
    order = np.random.default_rng(0).permutation(size)
    table = rows([]).schema.empty_table()
    ids = pa.array(np.arange(size)).cast(pa.string())
    columns = {name: pa.nulls(size, table.schema.field(name).type) for name in OUTPUT_NAMES}
    columns |= {"ROW_ID": ids.take(pa.array(order)), "CLUSTER_ID": pa.array(order)}
    table = pa.table(columns)
    source = pa.table({"row": np.arange(size)}).to_batches(max_chunksize=10_000)
    started = time.process_time()
    pairs = ((ids.slice(number * 10_000, 10_000), batch) for number, batch in enumerate(source))
    joined = pa.Table.from_batches(join(pairs, table))
    assert time.process_time() - started < 20
    assert joined.column("row").equals(joined.column("CLUSTER_ID"))
