import datetime
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aicluster_cli.clustering.schema import OUTPUT_NAMES
from aicluster_cli.errors import RunError
from aicluster_cli.results.parts import read_parts, split_details
from aicluster_cli.stored import FolderFiles

NAN = float("nan")


def _read(folder, expected_rows=None, partition_column=None):
    files = FolderFiles(folder.root)
    return read_parts(files, folder.job, expected_rows=expected_rows, partition_column=partition_column)


def test_listing_has_every_file_with_size_and_time(run_folder):
    run_folder.finish()
    stamp = datetime.datetime(2025, 3, 1, 12, 0, tzinfo=datetime.UTC)
    os.utime(run_folder.root / "run.json", (stamp.timestamp(), stamp.timestamp()))
    listed = {file.name: file for file in FolderFiles(run_folder.root).list()}
    assert list(listed) == ["input/part.parquet", "output/RUN_1/_SUCCESS", "run.json"]
    assert listed["run.json"].size == 2
    assert listed["run.json"].modified == stamp
    assert listed["output/RUN_1/_SUCCESS"].size == 0


def test_listing_of_no_folder_is_empty(tmp_path):
    assert FolderFiles(tmp_path / "none").list() == []


def test_parts_are_read_in_the_order_of_their_names(run_folder, rows):
    run_folder.part(rows(["c"], [1], BLOCK_ROWS=[3]), "3_b_000001-0.parquet")
    run_folder.part(rows(["a", "b"], [0, -1], BLOCK_ROWS=[3, 3]), "3_a_000000-0.parquet")
    run_folder.finish()
    table = _read(run_folder, expected_rows=3)
    assert table.column("ROW_ID").to_pylist() == ["a", "b", "c"]
    assert table.column("CLUSTER_ID").to_pylist() == [0, -1, 1]
    assert tuple(table.column_names) == OUTPUT_NAMES


def test_a_listing_in_another_order_makes_no_difference(run_folder, rows):
    class Backwards(FolderFiles):
        def list(self):
            return super().list()[::-1]

    run_folder.part(rows(["a"], BLOCK_ROWS=[2]), "a.parquet")
    run_folder.part(rows(["b"], BLOCK_ROWS=[2]), "b.parquet")
    run_folder.finish()
    table = read_parts(Backwards(run_folder.root), run_folder.job, expected_rows=2, partition_column=None)
    assert table.column("ROW_ID").to_pylist() == ["a", "b"]


def test_the_columns_come_in_the_frozen_order_and_the_partition_last(run_folder, rows):
    table = rows(["a"], region=["north"])
    run_folder.part(table.select(table.column_names[::-1]))
    run_folder.finish()
    assert _read(run_folder, 1, "region").column_names == [*OUTPUT_NAMES, "region"]


def test_an_unfinished_run_is_not_read(run_folder, rows):
    run_folder.part(rows(["a"]))
    with pytest.raises(RunError, match="run RUN_1 has not finished, or has failed") as caught:
        _read(run_folder)
    assert "aicluster status RUN_1" in caught.value.hint
    assert "aicluster logs RUN_1" in caught.value.hint


def test_a_marker_in_lower_case_is_none(run_folder, rows):
    run_folder.part(rows(["a"]))
    (run_folder.output / "_success").touch()
    with pytest.raises(RunError, match="has not finished"):
        _read(run_folder)


def test_a_finished_run_without_parts_is_an_error(run_folder):
    run_folder.finish()
    with pytest.raises(RunError, match="there are no Parquet files in output/RUN_1/"):
        _read(run_folder)


def test_other_jobs_temporary_folders_and_other_files_are_never_read(run_folder, rows):
    run_folder.part(rows(["a"]))
    run_folder.part(rows(["z"]), "../RUN_10/part.parquet")
    run_folder.part(rows(["z"]), "../RUN_1_OTHER/part.parquet")
    run_folder.part(rows(["z"]), "../_snowflake_temporary/uuid/part.parquet")
    run_folder.part(rows(["z"]), "_snowflake_temporary/uuid/part.parquet")
    run_folder.part(rows(["z"]), "../part.parquet")
    run_folder.part(rows(["z"]), ".hidden.parquet")
    run_folder.part(rows(["z"]), "UPPER.PARQUET")
    (run_folder.output / ".part.parquet.0f.part").write_bytes(b"half")
    (run_folder.output / "notes.txt").write_text("not a part")
    run_folder.finish()
    assert _read(run_folder, expected_rows=1).column("ROW_ID").to_pylist() == ["a"]


def test_zero_byte_part_is_an_error(run_folder, rows):
    run_folder.part(rows(["a"]), "a.parquet")
    (run_folder.output / "b.parquet").touch()
    run_folder.finish()
    with pytest.raises(RunError, match=r"output/RUN_1/b\.parquet cannot be read: it is 0 bytes long"):
        _read(run_folder)


@pytest.mark.parametrize("keep", [3, 100, -8, -1])
def test_truncated_part_is_an_error(run_folder, rows, keep):
    path = run_folder.part(rows(["a"]), "a.parquet")
    path.write_bytes(path.read_bytes()[:keep])
    run_folder.finish()
    with pytest.raises(RunError, match=r"the part output/RUN_1/a\.parquet cannot be read"):
        _read(run_folder)


def test_part_that_is_no_parquet_is_an_error(run_folder):
    (run_folder.output / "a.parquet").write_text("<html>Service unavailable</html>")
    run_folder.finish()
    with pytest.raises(RunError, match=r"output/RUN_1/a\.parquet cannot be read"):
        _read(run_folder)


def test_changed_bytes_are_noticed_where_the_part_has_checksums(run_folder, rows):
    path = run_folder.output / "a.parquet"
    ids = [f"id-{number:06}" for number in range(1000)]
    pq.write_table(rows(ids), path, compression="none", use_dictionary=False, write_page_checksum=True)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"id-000500", b"id-000499"))
    run_folder.finish()
    with pytest.raises(RunError, match=r"output/RUN_1/a\.parquet cannot be read"):
        _read(run_folder)


def test_missing_column_is_named(run_folder, rows):
    run_folder.part(rows(["a"]).drop_columns(["STRENGTH", "REASON"]))
    run_folder.finish()
    with pytest.raises(RunError, match=r"3_abc123_000000-0\.parquet lacks STRENGTH, REASON"):
        _read(run_folder)


def test_lower_case_columns_are_other_columns(run_folder, rows):
    table = rows(["a"])
    run_folder.part(table.rename_columns([name.lower() for name in table.column_names]))
    run_folder.finish()
    with pytest.raises(RunError, match="lacks ROW_ID, CLUSTER_ID"):
        _read(run_folder)


def test_unknown_column_is_named(run_folder, rows):
    run_folder.part(rows(["a"], EMBEDDING=["[1, 2]"]))
    run_folder.finish()
    with pytest.raises(RunError, match="has unknown columns: EMBEDDING"):
        _read(run_folder)


def test_column_that_is_there_twice_is_named(run_folder, rows):
    table = rows(["a"])
    run_folder.part(table.append_column("REASON", table.column("REASON")))
    run_folder.finish()
    with pytest.raises(RunError, match="has more than once REASON"):
        _read(run_folder)


def test_missing_partition_column_is_named(run_folder, rows):
    run_folder.part(rows(["a"]))
    run_folder.finish()
    with pytest.raises(RunError, match="lacks region"):
        _read(run_folder, partition_column="region")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CLUSTER_ID", pa.array(["0"])),
        ("CLUSTER_ID", pa.array([0.0])),
        ("STRENGTH", pa.array([1])),
        ("ROW_ID", pa.array([7])),
        ("DETAILS", pa.array([b"{}"])),
        ("BLOCK_ROWS", pa.array([True])),
    ],
)
def test_column_of_a_wrong_type_is_named(run_folder, rows, name, values):
    run_folder.part(rows(["a"], **{name: values}))
    run_folder.finish()
    with pytest.raises(RunError, match=rf"3_abc123_000000-0\.parquet, {name} is {values.type} and must be"):
        _read(run_folder)


def test_narrow_large_and_null_types_become_the_frozen_ones(run_folder, rows):
    run_folder.part(
        rows(
            ["a"],
            ROW_ID=pa.array(["a"], pa.large_string()),
            CLUSTER_ID=pa.array([3], pa.int32()),
            BLOCK_ROWS=pa.array([2], pa.decimal128(38, 0)),
            STRENGTH=pa.array([0.5], pa.float32()),
            OUTLIER_SCORE=pa.nulls(1),
            LEVEL_1=pa.nulls(1),
            REASON=pa.array(["x"]).dictionary_encode(),
            DETAILS=pa.nulls(1),
        ),
        "a.parquet",
    )
    run_folder.part(rows(["b"], BLOCK_ROWS=[2]), "b.parquet")
    run_folder.finish()
    table = _read(run_folder, expected_rows=2)
    assert table.schema.equals(rows(["a"]).schema)
    assert table.slice(0, 1).to_pylist()[0] | {"DISTANCE": None} == {
        "ROW_ID": "a",
        "CLUSTER_ID": 3,
        "STRENGTH": 0.5,
        "DISTANCE": None,
        "RAW_CLUSTER_ID": None,
        "OUTLIER_SCORE": None,
        "LEVEL_1": None,
        "LEVEL_2": None,
        "LEVEL_3": None,
        "BLOCK_ROWS": 2,
        "REASON": "x",
        "DETAILS": None,
    }


def test_integer_that_does_not_fit_is_an_error(run_folder, rows):
    run_folder.part(rows(["a"], CLUSTER_ID=pa.array([2**63], pa.uint64())))
    run_folder.finish()
    with pytest.raises(RunError, match="CLUSTER_ID does not fit int64"):
        _read(run_folder)


def test_lost_rows_are_an_error_with_both_numbers(run_folder, rows):
    run_folder.part(rows(["a", "b"]))
    run_folder.finish()
    with pytest.raises(RunError, match="was given 3 rows and its parts hold 2: rows are lost"):
        _read(run_folder, expected_rows=3)


def test_a_doubled_part_is_an_error_with_both_numbers(run_folder, rows):
    for name in ("a.parquet", "b.parquet"):
        run_folder.part(rows(["a", "b"]), name)
    run_folder.finish()
    with pytest.raises(RunError, match="was given 2 rows and its parts hold 4: a part is there twice"):
        _read(run_folder, expected_rows=2)


def test_rows_clustered_in_pieces_are_refused(run_folder, rows):
    run_folder.part(rows(["a", "b"]), "a.parquet")
    run_folder.part(rows(["c", "d"]), "b.parquet")
    run_folder.finish()
    with pytest.raises(RunError, match="clustered in pieces: of the 4 rows, some come from a call that saw 2"):
        _read(run_folder, expected_rows=4)


def test_a_row_without_block_rows_is_refused(run_folder, rows):
    run_folder.part(rows(["a", "b"], BLOCK_ROWS=[2, None]))
    run_folder.finish()
    with pytest.raises(RunError, match="some come from no row count at all"):
        _read(run_folder)


def test_each_partition_is_one_block_null_and_nan_included(run_folder, rows):
    region = [1.0, None, NAN, 1.0, NAN, 0.0, -0.0, NAN]
    block = [2, 1, 3, 2, 3, 2, 2, 3]
    run_folder.part(rows(list("abcdefgh"), region=region, BLOCK_ROWS=block))
    run_folder.finish()
    assert _read(run_folder, 8, "region").num_rows == 8


def test_a_partition_spread_over_parts_is_one_block(run_folder, rows):
    run_folder.part(rows(["a", "b"], region=["n", "s"], BLOCK_ROWS=[2, 1]), "a.parquet")
    run_folder.part(rows(["c"], region=["n"], BLOCK_ROWS=[2]), "b.parquet")
    run_folder.finish()
    assert _read(run_folder, 3, "region").num_rows == 3


def test_the_partition_in_pieces_is_named(run_folder, rows):
    run_folder.part(rows(["a", "b", "c"], region=["north", "south", "south"], BLOCK_ROWS=[1, 2, 1]))
    run_folder.finish()
    with pytest.raises(RunError, match="of the 2 rows of region = 'south', some come from a call that saw 1"):
        _read(run_folder, 3, "region")


def test_the_partition_column_keeps_its_own_type(run_folder, rows):
    days = pa.array([datetime.date(2025, 1, 1)])
    run_folder.part(rows(["a"], day=days))
    run_folder.finish()
    assert _read(run_folder, 1, "day").schema.field("day").type == pa.date32()


def test_a_part_whose_partition_is_all_null_takes_the_type_of_the_others(run_folder, rows):
    run_folder.part(rows(["a"], region=pa.nulls(1)), "a.parquet")
    run_folder.part(rows(["b"], region=["north"]), "b.parquet")
    run_folder.finish()
    table = _read(run_folder, 2, "region")
    assert table.column("region").to_pylist() == [None, "north"]
    assert table.schema.field("region").type == pa.string()


def test_parts_whose_partition_types_cannot_be_one_are_an_error(run_folder, rows):
    run_folder.part(rows(["a"], region=["north"]), "a.parquet")
    run_folder.part(rows(["b"], region=[7]), "b.parquet")
    run_folder.finish()
    with pytest.raises(RunError, match=r"output/RUN_1/b\.parquet, region is int64, and string in the parts before"):
        _read(run_folder, 2, "region")


def test_empty_parts_are_no_error(run_folder, rows):
    run_folder.part(rows([]), "a.parquet")
    run_folder.part(rows(["a"]), "b.parquet")
    run_folder.finish()
    assert _read(run_folder, 1).num_rows == 1
    (run_folder.output / "b.parquet").unlink()
    assert _read(run_folder, 0).num_rows == 0


def test_details_are_split_off_by_partition(rows):
    table = rows(["a", "b", "c"], region=["n", None, "n"], DETAILS=['{"k": [2, NaN]}', '{"inf": -Infinity}', None])
    rest, details = split_details(table)
    assert "DETAILS" not in rest.column_names
    assert rest.num_rows == 3
    assert details == [("n", {"k": [2, None]}), (None, {"inf": None})]


def test_details_of_a_run_without_partitions(rows):
    assert split_details(rows(["a", "b"], DETAILS=[None, '{"k": 3}']))[1] == [(None, {"k": 3})]
    assert split_details(rows([]))[1] == []


@pytest.mark.parametrize("text", ["{", "[1]", "null", ""])
def test_details_that_are_no_object_are_an_error(rows, text):
    with pytest.raises(RunError, match="DETAILS of the partition 'n' are not a JSON object"):
        split_details(rows(["a"], region=["n"], DETAILS=[text]))
