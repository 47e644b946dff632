import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from aicluster_cli.errors import RunError
from aicluster_cli.results.partitions import group_rows, partition_column_of

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (pa.array(["b", None, "a", "b"]), [1, 2, 0, 1]),
        (pa.array(["b", None, "a", "b"]).dictionary_encode(), [1, 2, 0, 1]),
        (pa.array(["b", "a"], pa.string_view()), [0, 1]),
        (pa.array([10, 9, None, 10]), [1, 0, 2, 1]),
        (pa.array([2.5, NAN, None, -0.0, 0.0, NAN]), [1, 2, 3, 0, 0, 2]),
        (pa.array(np.array([1.5, NAN, NAN], np.float16)), [0, 1, 1]),
        (pa.array([True, False, None]), [1, 0, 2]),
        (pa.array([Decimal("1.50"), Decimal("1.5")]), [0, 0]),
        (pa.array([datetime.date(2025, 1, 2), datetime.date(2025, 1, 1)]), [1, 0]),
        (pa.nulls(3), [0, 0, 0]),
        (pa.array([], pa.string()), []),
    ],
)
def test_equal_values_are_one_group_in_rising_order(values, codes):
    groups = group_rows(pa.table({"g": values}), "g")
    assert groups.codes.tolist() == codes


def test_groups_span_the_chunks_of_a_column():
    table = pa.table({"g": pa.chunked_array([["a", "b"], ["b", "a"]])})
    groups = group_rows(table, "g")
    assert groups.codes.tolist() == [0, 1, 1, 0]
    assert [groups.value(0), groups.value(1)] == ["a", "b"]


def test_without_a_column_all_rows_are_one_group():
    groups = group_rows(pa.table({"x": [1, 2]}), None)
    assert groups.codes.tolist() == [0, 0]
    assert groups.value(0) is None


def test_lists_are_no_groups():
    with pytest.raises(RunError, match="cannot be grouped by g, which is list"):
        group_rows(pa.table({"g": [[1], [2]]}), "g")


def test_the_partition_column_is_the_one_that_is_not_ours(rows):
    assert partition_column_of(rows(["a"])) is None
    assert partition_column_of(rows(["a"], region=["n"])) == "region"
