"""The hash of rows sees every value and no batch boundary."""

import datetime
import decimal
import itertools

import pyarrow as pa
import pytest

from aicluster_cli.sources.digest import RowDigest

ARRAYS = [
    pa.array([1, None, 3, 4, 5]),
    pa.array([1.5, None, float("nan"), -0.0, 0.0]),
    pa.array([True, None, False, True, True]),
    pa.array(["a", None, "", "bcd", "é"]),
    pa.array(["a", None, "", "bcd", "é"], pa.large_string()),
    pa.array(["a", None, "", "bcd", "a string longer than twelve bytes"], pa.string_view()),
    pa.array(["x", None, "y", "x", "x"]).dictionary_encode(),
    pa.array([b"a", None, b"", b"\x00", b"b"]),
    pa.array([b"ab", None, b"cd", b"ef", b"gh"], pa.binary(2)),
    pa.array([decimal.Decimal("1.5"), None, decimal.Decimal(2), decimal.Decimal(3), decimal.Decimal(4)]),
    pa.array([datetime.date(2020, 1, 1), None, datetime.date(2021, 1, 1)] + [None] * 2),
    pa.array([[1, 2], None, [], [3], [None]]),
    pa.array([[1.0, 2.0], None, [3.0, 4.0], [5.0, None], [7.0, 8.0]], pa.list_(pa.float32(), 2)),
    pa.array([[["a"], []], None, [], [None], [["b", "c"]]]),
    pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, {"a": 3, "b": None}, {"a": 4, "b": "z"}]),
    pa.array([[("k", 1)], None, [], [("l", None)], [("m", 2), ("n", 3)]], pa.map_(pa.string(), pa.int64())),
    pa.nulls(5),
]


def digest(*batches):
    whole = RowDigest(batches[0].schema)
    for batch in batches:
        whole.update(batch)
    return whole.hexdigest()


def batch_of(array):
    return pa.record_batch({"column": array})


@pytest.mark.parametrize("array", ARRAYS, ids=[str(array.type) for array in ARRAYS])
def test_batch_boundaries_do_not_matter(array):
    whole = digest(batch_of(array))
    for cuts in itertools.chain.from_iterable(itertools.combinations(range(6), count) for count in range(4)):
        edges = [0, *cuts, 5]
        parts = [batch_of(array.slice(start, end - start)) for start, end in itertools.pairwise(edges)]
        assert digest(*parts) == whole


REORDERED = [array for array in ARRAYS[:-1] if not pa.types.is_string_view(array.type)]  # Arrow cannot reorder views


@pytest.mark.parametrize("array", REORDERED, ids=[str(array.type) for array in REORDERED])
def test_order_nulls_and_values_matter(array):
    variants = [array, array[:4], array.take(pa.array([1, 0, 2, 3, 4])), array.take(pa.array([0, 1, 2, 3, 2]))]
    assert len({digest(batch_of(variant)) for variant in variants}) == len(variants)


def test_where_a_string_or_list_ends_matters():
    assert digest(batch_of(pa.array(["ab", "c"]))) != digest(batch_of(pa.array(["a", "bc"])))
    assert digest(batch_of(pa.array([[1, 2], [3]]))) != digest(batch_of(pa.array([[1], [2, 3]])))
    assert digest(batch_of(pa.array(["", None]))) != digest(batch_of(pa.array([None, ""])))
    assert digest(batch_of(pa.array([[], None], pa.list_(pa.int8())))) != digest(
        batch_of(pa.array([None, []], pa.list_(pa.int8())))
    )


def test_names_and_types_matter():
    hashes = {
        digest(pa.record_batch({"a": [1]})),
        digest(pa.record_batch({"b": [1]})),
        digest(pa.record_batch({"a": pa.array([1], pa.int32())})),
        digest(pa.record_batch({"a": [1], "b": [1]})),
    }
    assert len(hashes) == 4


def test_what_lies_under_a_null_does_not_matter():
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 99]).buffers()[1]])
    assert hidden.to_pylist() == [1, None]
    assert digest(batch_of(hidden)) == digest(batch_of(pa.array([1, None])))
