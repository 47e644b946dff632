from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from aicluster_cli.clustering.embeddings import ParsedRows, assemble, normalise, parse_arrays, parse_json
from aicluster_cli.clustering.schema import MAX_DIMENSION, Verdict, verdict_of

pytestmark = pytest.mark.filterwarnings("error")

DEEP = 100_000


def judge(parsed):
    """The reason of a row that is alone."""
    return assemble(["a"], parsed).reasons[0]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        pytest.param(None, Verdict.NULL_EMBEDDING, id="none"),
        pytest.param(float("nan"), Verdict.NULL_EMBEDDING, id="pandas-nan"),
        pytest.param(pd.NA, Verdict.NULL_EMBEDDING, id="pandas-na"),
        pytest.param("null", Verdict.NULL_EMBEDDING, id="json-null"),
        pytest.param("", Verdict.BLANK_EMBEDDING, id="empty"),
        pytest.param(" \t\n", Verdict.BLANK_EMBEDDING, id="spaces"),
        pytest.param("\u00a0", Verdict.BLANK_EMBEDDING, id="no-break-space"),
        pytest.param("[1, 2", Verdict.MALFORMED, id="unclosed"),
        pytest.param("[1, 2]]", Verdict.MALFORMED, id="closed-twice"),
        pytest.param("[1, 2] 3", Verdict.MALFORMED, id="something-behind"),
        pytest.param("[1, 2]\x00", Verdict.MALFORMED, id="nul-behind"),
        pytest.param("[1, 2,]", Verdict.MALFORMED, id="trailing-comma"),
        pytest.param("[1 2]", Verdict.MALFORMED, id="no-comma"),
        pytest.param("[1;2]", Verdict.MALFORMED, id="semicolon"),
        pytest.param("[01, 2]", Verdict.MALFORMED, id="leading-zero"),
        pytest.param("[.5, 2]", Verdict.MALFORMED, id="leading-point"),
        pytest.param("[1., 2]", Verdict.MALFORMED, id="trailing-point"),
        pytest.param("[+1, 2]", Verdict.MALFORMED, id="plus"),
        pytest.param("[0x1, 2]", Verdict.MALFORMED, id="hexadecimal"),
        pytest.param("[1_0, 2]", Verdict.MALFORMED, id="underscore"),
        pytest.param("[nan, 1]", Verdict.MALFORMED, id="lower-case-nan"),
        pytest.param("[None, 1]", Verdict.MALFORMED, id="python-none"),
        pytest.param("hello", Verdict.MALFORMED, id="a-word"),
        pytest.param("[\u0661, \u0662]", Verdict.MALFORMED, id="unicode-digits"),
        pytest.param("\ud800", Verdict.MALFORMED, id="lone-surrogate"),
        pytest.param("\ufeff[1, 2]", Verdict.MALFORMED, id="byte-order-mark"),
        pytest.param("5", Verdict.NOT_AN_ARRAY, id="number"),
        pytest.param("1" * 5000, Verdict.NOT_AN_ARRAY, id="huge-number"),
        pytest.param("NaN", Verdict.NOT_AN_ARRAY, id="nan"),
        pytest.param("true", Verdict.NOT_AN_ARRAY, id="boolean"),
        pytest.param('"[1, 2]"', Verdict.NOT_AN_ARRAY, id="string"),
        pytest.param('{"values": [1, 2]}', Verdict.NOT_AN_ARRAY, id="object"),
        pytest.param("[[1, 2], [3, 4]]", Verdict.NESTED, id="matrix"),
        pytest.param("[1, [2]]", Verdict.NESTED, id="array-inside"),
        pytest.param("[[]]", Verdict.NESTED, id="empty-inside"),
        pytest.param('[1, {"a": 2}]', Verdict.NESTED, id="object-inside"),
        pytest.param("[" * 500 + "]" * 500, Verdict.NESTED, id="500-deep"),
        pytest.param("[" * DEEP + "]" * DEEP, Verdict.NESTED, id="100k-deep"),
        pytest.param("[" * DEEP, Verdict.NESTED, id="100k-deep-unclosed"),
        pytest.param("[1, 2, " + "[" * DEEP, Verdict.NESTED, id="100k-deep-inside"),
        pytest.param('["1", "2"]', Verdict.NOT_A_NUMBER, id="strings"),
        pytest.param('[1, "2"]', Verdict.NOT_A_NUMBER, id="string-inside"),
        pytest.param('["\ud800", 1]', Verdict.NOT_A_NUMBER, id="lone-surrogate-inside"),
        pytest.param("[true, false]", Verdict.NOT_A_NUMBER, id="booleans"),
        pytest.param("[1, true]", Verdict.NOT_A_NUMBER, id="boolean-inside"),
        pytest.param("[1, null]", Verdict.NOT_A_NUMBER, id="null-inside"),
        pytest.param("[NaN, 1]", Verdict.NOT_FINITE, id="nan-inside"),
        pytest.param("[1, Infinity]", Verdict.NOT_FINITE, id="infinity"),
        pytest.param("[-Infinity, 1]", Verdict.NOT_FINITE, id="minus-infinity"),
        pytest.param("[1e400, 1]", Verdict.NOT_FINITE, id="beyond-float64"),
        pytest.param("[1e39, 1]", Verdict.NOT_FINITE, id="beyond-float32"),
        pytest.param("[-1e39, 1]", Verdict.NOT_FINITE, id="beyond-minus-float32"),
        pytest.param(f"[{10**400}, 1]", Verdict.NOT_FINITE, id="integer-of-401-digits"),
        pytest.param("[1" + "0" * 5000 + ", 1]", Verdict.NOT_FINITE, id="integer-of-5001-digits"),
        pytest.param("[]", Verdict.WRONG_LENGTH, id="no-value"),
        pytest.param("[1]", Verdict.WRONG_LENGTH, id="one-value"),
        pytest.param(json.dumps([1.0] * (MAX_DIMENSION + 1)), Verdict.WRONG_LENGTH, id="4097-values"),
        pytest.param("[0, 0]", Verdict.ZERO_VECTOR, id="zeros"),
        pytest.param("[-0.0, 0e5]", Verdict.ZERO_VECTOR, id="zeros-otherwise"),
        pytest.param("[1e-60, 1e-60]", Verdict.ZERO_VECTOR, id="zero-in-float32"),
    ],
)
def test_text_that_is_no_embedding_gets_its_verdict(text, verdict):
    assert verdict_of(judge(parse_json([text]))) == verdict


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        pytest.param(None, Verdict.NULL_EMBEDDING, id="none"),
        pytest.param(float("nan"), Verdict.NULL_EMBEDDING, id="pandas-nan"),
        pytest.param(np.float32("nan"), Verdict.NULL_EMBEDDING, id="numpy-nan"),
        pytest.param(5.0, Verdict.NOT_AN_ARRAY, id="number"),
        pytest.param("[1, 2]", Verdict.NOT_AN_ARRAY, id="text"),
        pytest.param({"a": 1}, Verdict.NOT_AN_ARRAY, id="object"),
        pytest.param(np.ones((2, 2), dtype=np.float32), Verdict.NESTED, id="matrix"),
        pytest.param(np.ones((2, 2)).astype(object), Verdict.NESTED, id="matrix-of-objects"),
        pytest.param([[1.0, 2.0], [3.0, 4.0]], Verdict.NESTED, id="lists-inside"),
        pytest.param([1.0, (2.0,)], Verdict.NESTED, id="tuple-inside"),
        pytest.param([np.ones(2), np.ones(2)], Verdict.NESTED, id="arrays-inside"),
        pytest.param(["1", "2"], Verdict.NOT_A_NUMBER, id="strings"),
        pytest.param(np.array(["1", "2"]), Verdict.NOT_A_NUMBER, id="numpy-strings"),
        pytest.param([1.0, True], Verdict.NOT_A_NUMBER, id="boolean-inside"),
        pytest.param(np.array([True, False]), Verdict.NOT_A_NUMBER, id="numpy-booleans"),
        pytest.param([1.0, None], Verdict.NOT_A_NUMBER, id="none-inside"),
        pytest.param(np.array([1.0, None], dtype=object), Verdict.NOT_A_NUMBER, id="none-inside-objects"),
        pytest.param([1.0, pd.NA], Verdict.NOT_A_NUMBER, id="na-inside"),
        pytest.param([1 + 2j, 1.0], Verdict.NOT_A_NUMBER, id="complex"),
        pytest.param([1.0, float("nan")], Verdict.NOT_FINITE, id="nan-inside"),
        pytest.param(np.array([1.0, np.nan], dtype=np.float32), Verdict.NOT_FINITE, id="numpy-nan-inside"),
        pytest.param([1.0, float("inf")], Verdict.NOT_FINITE, id="infinity"),
        pytest.param([1e39, 1.0], Verdict.NOT_FINITE, id="beyond-float32"),
        pytest.param(np.array([1e39, 1.0]), Verdict.NOT_FINITE, id="numpy-beyond-float32"),
        pytest.param([10**400, 1], Verdict.NOT_FINITE, id="beyond-float64"),
        pytest.param([], Verdict.WRONG_LENGTH, id="no-value"),
        pytest.param(np.array([]), Verdict.WRONG_LENGTH, id="numpy-no-value"),
        pytest.param(np.ones(1), Verdict.WRONG_LENGTH, id="one-value"),
        pytest.param(np.ones(MAX_DIMENSION + 1, dtype=np.float32), Verdict.WRONG_LENGTH, id="4097-values"),
        pytest.param([0.0] * (MAX_DIMENSION + 1), Verdict.WRONG_LENGTH, id="list-of-4097"),
        pytest.param(np.zeros(2, dtype=np.float32), Verdict.ZERO_VECTOR, id="zeros"),
        pytest.param([-0.0, 0], Verdict.ZERO_VECTOR, id="zeros-otherwise"),
        pytest.param(np.array([1e-60, 1e-60]), Verdict.ZERO_VECTOR, id="zero-in-float32"),
    ],
)
def test_an_array_that_is_no_embedding_gets_its_verdict(row, verdict):
    assert verdict_of(judge(parse_arrays([row]))) == verdict


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[1,2]", [1, 2]),
        ("\r\n [ 1 ,\t2 ] \n", [1, 2]),
        ("[-1, 2.5e-3]", [-1, 2.5e-3]),
        ("[1E5, -0.0]", [1e5, -0.0]),
        ("[3.4028234663852886e38, 1]", [np.finfo(np.float32).max, 1]),
        ("[1e-45, 0]", [np.finfo(np.float32).smallest_subnormal, 0]),
        (f"[{10**30}, 1]", [1e30, 1]),
        (json.dumps([0.5] * MAX_DIMENSION), [0.5] * MAX_DIMENSION),
    ],
)
def test_text_that_is_an_embedding_is_read(text, values):
    found = assemble(["a"], parse_json([text]))
    assert found.reasons == [None]
    assert np.array_equal(found.matrix, np.array([values], dtype=np.float32))


@pytest.mark.parametrize(
    "row",
    [
        [1, 2],
        (1.0, 2.0),
        [np.float32(1), 2],
        np.array([1, 2], dtype=np.float16),
        np.array([1, 2], dtype=np.float32),
        np.array([1, 2], dtype=np.float64),
        np.array([1, 2], dtype=">f4"),
        np.array([1, 2], dtype=np.uint8),
        np.array([1.0, 2], dtype=object),
        np.array([1.0, 9, 2, 9])[::2],
    ],
)
def test_an_array_of_any_number_type_is_read(row):
    found = assemble(["a"], parse_arrays([row]))
    assert found.reasons == [None]
    assert found.matrix.dtype == np.float32
    assert found.matrix.tolist() == [[1.0, 2.0]]


def test_arrays_are_parsed_into_one_matrix():
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    parsed = parse_arrays(list(rows))
    assert np.array_equal(parsed.matrix, rows)
    assert all(np.shares_memory(vector, parsed.matrix) for vector in parsed.vectors)


def test_the_longest_vector_of_snowflake_is_allowed_as_an_array_too():
    assert judge(parse_arrays([np.ones(MAX_DIMENSION)])) is None


def test_reasons_tell_the_particulars():
    texts = ["[1,2,3]", "[1,2,3]", "[1,2]", "[1]", "{}", '"x"', "true", "1", "[1,2", "[NaN,1,1]"]
    reasons = assemble([str(row) for row in range(len(texts))], parse_json(texts)).reasons
    assert reasons[:8] == [
        None,
        None,
        "wrong length: 2, not 3",
        "wrong length: 1, not 2 to 4096",
        "not an array: an object",
        "not an array: a string",
        "not an array: a boolean",
        "not an array: a number",
    ]
    assert reasons[8].startswith("malformed JSON: Expecting ',' delimiter")
    assert reasons[9] == "NaN or Infinity inside the vector"
    assert {type(reason) for reason in reasons} == {str, type(None)}


def test_the_majority_decides_the_length_and_not_the_first_row():
    found = assemble(list("abcd"), parse_json(["[1,2,3]", "[1,2]", "[3,4]", "[5,6,7,8]"]))
    assert found.reasons == ["wrong length: 3, not 2", None, None, "wrong length: 4, not 2"]
    assert found.matrix.tolist() == [[1, 2], [3, 4]]


def test_of_equally_common_lengths_the_first_to_appear_counts():
    texts = ["oops", "[1,2,3]", "[1,2]", "[3,4]", "[4,5,6]"]
    reasons = assemble(list("abcde"), parse_json(texts)).reasons
    assert reasons[1:] == [None, "wrong length: 2, not 3", "wrong length: 2, not 3", None]


def test_every_copy_of_an_id_is_unusable():
    found = assemble(["a", "b", "a", "c", "a", "b"], parse_json(["[1,2]"] * 6))
    three, two = "duplicate id: 3 rows have it", "duplicate id: 2 rows have it"
    assert found.reasons == [three, two, three, None, three, two]
    assert found.usable.tolist() == [False, False, False, True, False, False]


def test_null_ids_are_null_and_not_duplicates_of_each_other():
    assert assemble([None, "a", None], parse_json(["[1,2]"] * 3)).reasons == ["null id", None, "null id"]


def test_a_fault_of_the_id_comes_before_one_of_the_embedding():
    reasons = assemble([None, "a", "a"], parse_json(["oops", None, "[1]"])).reasons
    assert reasons == ["null id", "duplicate id: 2 rows have it", "duplicate id: 2 rows have it"]


def test_ids_are_compared_as_they_are():
    assert assemble(["a", "A", " a", "1", "01"], parse_json(["[1,2]"] * 5)).reasons == [None] * 5


def test_usable_rows_keep_their_order_around_bad_ones():
    texts = ["[1,1]", "[0,0]", "[2,1]", "oops", "[NaN,1]", "[3,1]", "[1,2,3]", "[4,1]"]
    found = assemble(list("abcdefgh"), parse_json(texts))
    assert found.matrix.tolist() == [[1, 1], [2, 1], [3, 1], [4, 1]]
    assert found.usable.tolist() == [reason is None for reason in found.reasons]
    assert [None if reason is None else verdict_of(reason) for reason in found.reasons] == [
        None,
        "zero vector",
        None,
        "malformed JSON",
        "NaN or Infinity inside the vector",
        None,
        "wrong length",
        None,
    ]


def test_the_matrix_is_contiguous_float32():
    for texts in (["[1,2]", "[3,4]"], ["[1,2]", "[0,0]", "[3,4]"]):
        matrix = assemble([str(row) for row in range(len(texts))], parse_json(texts)).matrix
        assert matrix.dtype == np.float32
        assert matrix.flags.c_contiguous


@pytest.mark.parametrize("texts", [[], ["oops"], ["oops", None], ["[NaN,NaN]"], ["[0,0]", "[0,0]"]])
def test_there_may_be_no_usable_row_at_all(texts):
    found = assemble([str(row) for row in range(len(texts))], parse_json(texts))
    assert len(found.matrix) == 0
    assert len(found.reasons) == len(texts)
    assert None not in found.reasons


def test_ids_and_vectors_must_be_equally_many():
    with pytest.raises(ValueError, match="1 ids for 2 rows"):
        assemble(["a"], ParsedRows(np.zeros((2, 0), dtype=np.float32), ["x", "y"]))


def test_every_verdict_is_found_again_in_its_reason():
    assert [verdict_of(f"{verdict}: 3, not 2: really") for verdict in Verdict] == list(Verdict)
    assert [verdict_of(str(verdict)) for verdict in Verdict] == list(Verdict)


def random_doubles(count, seed):
    """Doubles of every size inside float32's range, and such as lie half-way between two float32 values."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**32, size=count, dtype=np.uint32).view(np.float32)
    singles = bits[np.isfinite(bits)].astype(np.float64)
    with np.errstate(over="ignore"):
        above = np.nextafter(singles.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    halves = ((singles + above) / 2)[np.isfinite(above)]
    signs, sizes = rng.choice([-1.0, 1.0], size=count), rng.uniform(-46, 38.5, size=count)
    return np.concatenate([singles, halves, signs * rng.uniform(1, 10, size=count) ** 0.5 * 10**sizes])


@pytest.mark.parametrize("seed", range(3))
def test_text_is_read_to_the_nearest_float32_bit_by_bit(seed):
    values = random_doubles(4000, seed)
    values = values[np.abs(values) < 3.4e38]
    rows = [values[start : start + 100] for start in range(0, len(values) // 100 * 100, 100)]
    for written in (repr, "{:.9g}".format, "{:.17e}".format):
        texts = ["[" + ", ".join(written(float(value)) for value in row) + "]" for row in rows]
        for text, vector in zip(texts, parse_json(texts).vectors, strict=True):
            expected = np.array([np.float32(value) for value in json.loads(text)])
            assert np.array_equal(vector.view(np.uint32), expected.view(np.uint32))


def test_float32_survives_being_written_as_text():
    bits = np.random.default_rng(5).integers(0, 2**32, size=(40, 64), dtype=np.uint32).view(np.float32)
    rows = np.where(np.isfinite(bits), bits, np.float32(1))
    texts = ["[" + ",".join(str(value) for value in row) + "]" for row in rows]
    assert np.array_equal(np.array(parse_json(texts).vectors).view(np.uint32), rows.view(np.uint32))


def test_text_and_arrays_give_the_same_vectors():
    rng = np.random.default_rng(6)
    rows = [(rng.normal(size=size) * 10.0 ** rng.integers(-40, 40)).tolist() for size in rng.integers(0, 20, size=200)]
    ids = [str(row) for row in range(len(rows))]
    from_text = assemble(ids, parse_json([json.dumps(row) for row in rows]))
    for arrays in (rows, [np.array(row) for row in rows], [np.array(row, dtype=object) for row in rows]):
        from_arrays = assemble(ids, parse_arrays(arrays))
        assert from_arrays.reasons == from_text.reasons
        assert np.array_equal(from_arrays.matrix, from_text.matrix)
    assert 0 < len(from_text.matrix) < len(rows)


@pytest.mark.parametrize("length", [1e-45, 1e-38, 1e-25, 1e-21, 1e-20, 1e-18, 1e-15, 1e-3, 1.0, 1e3, 1e15, 1e25, 1e38])
def test_rows_of_any_length_are_scaled_to_unit_length(length):
    direction = np.array([3.0, -4.0, 12.0]) / 13
    rows = np.array([direction * length], dtype=np.float32)
    scaled = normalise(rows)
    assert scaled.dtype == np.float32
    assert np.linalg.norm(scaled.astype(np.float64), axis=1) == pytest.approx(1, abs=1e-6)
    exact = rows[0].astype(np.float64) / np.linalg.norm(rows[0].astype(np.float64))
    assert scaled[0] == pytest.approx(exact, abs=1e-6)


def test_extreme_rows_do_not_disturb_the_others():
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(50, 64)).astype(np.float32)
    extreme = rows * np.float32(1e25)
    tiny = rows * np.float32(1e-25)
    mixed = normalise(np.vstack([rows, extreme, tiny]))
    for part in np.split(mixed, 3):
        assert part == pytest.approx(normalise(rows), abs=2e-7)


def test_the_longest_finite_row_is_scaled():
    rows = np.full((1, MAX_DIMENSION), np.finfo(np.float32).max, dtype=np.float32)
    assert normalise(rows) == pytest.approx(1 / np.sqrt(MAX_DIMENSION), rel=1e-6)


def test_scaling_leaves_its_input_alone():
    for factor in (1.0, 1e-25):
        rows = np.array([[3.0, 4.0]], dtype=np.float32) * np.float32(factor)
        before = rows.copy()
        normalise(rows)
        assert np.array_equal(rows, before)
