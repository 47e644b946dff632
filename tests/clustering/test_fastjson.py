"""Embeddings to matrix: the compiled parser and the plain one give the same bits and the same reasons."""

from __future__ import annotations

import json
import struct
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicluster_cli.clustering import texts as texts_module
from aicluster_cli.clustering.embeddings import RowCollector, assemble, normalise, parse_arrays, parse_arrow, parse_json
from aicluster_cli.clustering.plain import from_json
from aicluster_cli.clustering.schema import Verdict, verdict_of

fastjson = pytest.importorskip("aicluster_cli.clustering.fastjson", reason="numba is not installed")


def compiled(texts, dimension):
    """Return (matrix, odd) of the compiled parser alone."""
    pieces = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
    data = np.frombuffer(b"".join(pieces) + b" " * 64, dtype=np.uint8)
    matrix, odd = np.zeros((len(texts), dimension), np.float32), np.zeros(len(texts), bool)
    fastjson.parse_rows(data, offsets, 0, len(texts), matrix, odd)
    return matrix, odd


def bits(vector):
    return np.asarray(vector, dtype=np.float32).view(np.uint32).tolist()


def agrees(text, dimension):
    matrix, odd = compiled([text], dimension)
    expected = from_json(text)
    if not odd[0]:
        assert not isinstance(expected, str), text
        assert bits(matrix[0]) == bits(expected), text
    return not odd[0]


@pytest.fixture(params=["compiled", "plain"])
def engine(request, monkeypatch):
    monkeypatch.setattr(texts_module, "_COMPILED_FROM", 0)
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "aicluster_cli.clustering.fastjson", None)
    return request.param


ODDITIES = [
    ("[1, 2, 3]", None),
    (" [1,2,\t3]\r\n", None),
    ("[-0.0, -0, 1]", None),
    ("[1e-3, 2E+2, 3e0]", None),
    (None, Verdict.NULL_EMBEDDING),
    ("null", Verdict.NULL_EMBEDDING),
    ("", Verdict.BLANK_EMBEDDING),
    (" \n", Verdict.BLANK_EMBEDDING),
    ("[1,2,3", Verdict.MALFORMED),
    ("[1,2,3]]", Verdict.MALFORMED),
    ("[1,2,3] x", Verdict.MALFORMED),
    ("[1,2,,3]", Verdict.MALFORMED),
    ("[1,2,3,]", Verdict.MALFORMED),
    ("[01,2,3]", Verdict.MALFORMED),
    ("[1.,2,3]", Verdict.MALFORMED),
    ("[.5,2,3]", Verdict.MALFORMED),
    ("[+1,2,3]", Verdict.MALFORMED),
    ("[1e,2,3]", Verdict.MALFORMED),
    ("[--1,2,3]", Verdict.MALFORMED),
    ("[1 2,2,3]", Verdict.MALFORMED),
    ("[0x1,2,3]", Verdict.MALFORMED),
    ("[1_0,2,3]", Verdict.MALFORMED),
    ("[\u0661,2,3]", Verdict.MALFORMED),
    ("[1,2,\u00a03]", Verdict.MALFORMED),
    ("[1,\v2,3]", Verdict.MALFORMED),
    ('{"a": 1}', Verdict.NOT_AN_ARRAY),
    ('"[1,2,3]"', Verdict.NOT_AN_ARRAY),
    ("3.5", Verdict.NOT_AN_ARRAY),
    ("true", Verdict.NOT_AN_ARRAY),
    ("[[1,2,3]]", Verdict.NESTED),
    ("[1,[2],3]", Verdict.NESTED),
    ('[1,"2",3]', Verdict.NOT_A_NUMBER),
    ("[1,null,3]", Verdict.NOT_A_NUMBER),
    ("[1,true,3]", Verdict.NOT_A_NUMBER),
    ("[1,NaN,3]", Verdict.NOT_FINITE),
    ("[1,-Infinity,3]", Verdict.NOT_FINITE),
    ("[1,1e39,3]", Verdict.NOT_FINITE),
    ("[1,1e999,3]", Verdict.NOT_FINITE),
    ("[1,2]", Verdict.WRONG_LENGTH),
    ("[1,2,3,4]", Verdict.WRONG_LENGTH),
    ("[]", Verdict.WRONG_LENGTH),
    ("[1]", Verdict.WRONG_LENGTH),
    ("[0,0.0,-0]", Verdict.ZERO_VECTOR),
    ("[1e-60,0,0]", Verdict.ZERO_VECTOR),
    ("[1e-45,0,0]", None),
]


@pytest.mark.parametrize(
    "form", ["python", "series", "object series", "string", "large_string", "string_view", "chunks"]
)
def test_every_oddity_gets_its_verdict_in_every_form(engine, form):
    texts = [text for text, _ in ODDITIES] + ["[1,2,3]"] * 40
    forms = {
        "python": lambda: parse_json(texts),
        "series": lambda: parse_json(pd.Series(texts, dtype="str")),
        "object series": lambda: parse_json(pd.Series(texts, dtype=object)),
        "string": lambda: parse_arrow(pa.array(texts, pa.string())),
        "large_string": lambda: parse_arrow(pa.array(texts, pa.large_string())),
        "string_view": lambda: parse_arrow(pa.array(texts, pa.string_view())),
        "chunks": lambda: parse_arrow(pa.chunked_array([texts[:5], texts[5:30], texts[30:]], pa.string())),
    }
    found = assemble([str(i) for i in range(len(texts))], forms[form]())
    for (text, verdict), reason in zip(ODDITIES, found.reasons, strict=False):
        assert (None if reason is None else verdict_of(reason)) == verdict, text
    expected = [from_json(text) for text, verdict in ODDITIES if verdict is None] + [[1, 2, 3]] * 40
    assert bits(found.matrix) == [bits(vector) for vector in expected]


def test_reasons_are_word_for_word_those_of_the_plain_parser(monkeypatch):
    texts = [text for text, _ in ODDITIES]
    plain = parse_json(texts)
    monkeypatch.setattr(texts_module, "_COMPILED_FROM", 0)
    assert parse_json(texts).reasons == plain.reasons


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
def test_any_float64_in_python_spelling(values):
    agrees(json.dumps(values), 3)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
        min_size=2,
        max_size=4,
    )
)
def test_any_json_number(numbers):
    agrees("[" + ", ".join(numbers) + "]", len(numbers))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet='[]0123456789.,-+eE \n"n', max_size=24))
def test_nothing_is_accepted_that_json_refuses(text):
    for dimension in (2, 3):
        agrees(text, dimension)
        agrees(f"[1,{text}]", dimension)


def test_midpoints_between_two_float32_and_their_neighbours():
    generator = np.random.default_rng(0)
    for pattern in generator.integers(0x00800000, 0x7F000000, 300):
        low = struct.unpack("f", struct.pack("I", int(pattern)))[0]
        high = struct.unpack("f", struct.pack("I", int(pattern) + 1))[0]
        middle = (low + high) / 2
        spellings = [repr(middle), f"{middle:.17e}", f"{middle:.60f}", f"{middle:.18e}"]
        spellings += [repr(float(np.nextafter(middle, towards))) for towards in (0, np.inf)]
        for text in spellings:
            agrees(f"[{text}, -{text}]", 2)


def test_ordinary_embeddings_are_not_odd():
    generator = np.random.default_rng(1)
    rows = (generator.standard_normal((300, 256)) * 0.05).tolist()
    spelled = [json.dumps(row) for row in rows]
    spelled += [json.dumps(np.float32(row).tolist(), separators=(",", ":")) for row in rows]
    spelled += ["[" + ",".join(f"{value:.7f}" for value in row) + "]" for row in rows]
    spelled += ["[" + ",".join(f"{value:.9g}" for value in np.float32(row)) + "]" for row in rows]
    spelled += ["[" + ",".join(str(int(value * 1000)) for value in row) + "]" for row in rows]
    matrix, odd = compiled(spelled, 256)
    assert odd.sum() <= 1
    expected = np.array([json.loads(text) for text in spelled], dtype=np.float32)
    assert (matrix == expected)[~odd].all()


@pytest.mark.parametrize("dimension", [2, 3, 257, 4096])
def test_any_dimension_and_any_number_of_threads(engine, dimension):
    rows = np.random.default_rng(2).standard_normal((60, dimension)).astype(np.float32)
    texts = [json.dumps(row.tolist()) for row in rows]
    for threads in (1, 2, 5):
        assert (parse_json(texts, threads=threads).matrix == rows).all()


def test_a_null_whose_bytes_spell_an_array_stays_null(engine):
    array = pa.array(["[1,2]", "[3,4]", "[5,6]"], pa.string())
    masked = pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(bytes([0b101])), *array.buffers()[1:]])
    assert parse_arrow(masked).reasons == [None, Verdict.NULL_EMBEDDING, None]


def test_a_row_never_reads_on_into_the_next_one(engine):
    texts = ["[1,2", "3]", "[1,0.5", "5]", "[1,2]", "[3,4]"]
    for parsed in (parse_json(texts), parse_arrow(pa.array(texts))):
        assert [reason is None for reason in parsed.reasons] == [False, False, False, False, True, True]


def test_a_slice_reads_only_its_own_rows(engine):
    array = pa.array([f"[{i},{i + 0.5}]" for i in range(50)], pa.string())[10:20]
    assert parse_arrow(array).matrix[:, 0].tolist() == list(range(10, 20))


def test_the_majority_decides_the_length_even_late(engine):
    texts = ["[1,2]"] * 5 + ["[1,2,3]"] * 6
    collected = RowCollector(2)
    for text in texts:
        collected.add_json([text])
    found = assemble([str(i) for i in range(11)], collected.finish())
    assert found.matrix.tolist() == [[1, 2, 3]] * 6
    assert found.reasons[0] == "wrong length: 2, not 3"


def test_equally_common_lengths_go_to_the_first(engine):
    assert assemble(["a", "b"], parse_json(["[1,2,3]", "[1,2]"])).matrix.shape == (1, 3)


def test_ids_are_judged_before_values():
    found = assemble([None, "a", "a", "b"], parse_json(["[1,2]", "[1,2]", "[0,0]", "[3,4]"]))
    assert [reason and verdict_of(reason) for reason in found.reasons] == [
        Verdict.NULL_ID,
        *[Verdict.DUPLICATE_ID] * 2,
        None,
    ]
    assert found.matrix.tolist() == [[3, 4]]


def test_ids_of_another_number_are_refused():
    with pytest.raises(ValueError, match="1 ids for 2 rows"):
        assemble(["a"], parse_json(["[1,2]", "[1,2]"]))


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)])
def test_lists_of_float32_are_not_copied(kind):
    array = pa.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], kind)[1:]
    parsed = parse_arrow(array)
    assert parsed.matrix.tolist() == [[4, 5, 6], [7, 8, 9]]
    values = array.values.to_numpy()
    assert np.shares_memory(parsed.matrix, values)


def test_lists_of_other_kinds_and_lengths():
    rows = [[1, 2, 3], None, [1, 2], [1, None, 3], [4, 5, 6]]
    for kind in (pa.list_(pa.float64()), pa.list_(pa.int16()), pa.large_list(pa.float32())):
        found = assemble(list("abcde"), parse_arrow(pa.array(rows, kind)))
        assert found.matrix.tolist() == [[1, 2, 3], [4, 5, 6]]
        assert [reason and verdict_of(reason) for reason in found.reasons] == [
            None, Verdict.NULL_EMBEDDING, Verdict.WRONG_LENGTH, Verdict.NOT_A_NUMBER, None,
        ]  # fmt: skip
        assert (parse_arrays(rows).reasons) == parse_arrow(pa.array(rows, kind)).reasons


def test_a_read_only_view_is_not_written_to():
    array = pa.array([[1, 2], [0, 0], [3, 4]], pa.list_(pa.float32(), 2))
    assert assemble(list("abc"), parse_arrow(array)).matrix.tolist() == [[1, 2], [3, 4]]
    assert array.to_pylist() == [[1, 2], [0, 0], [3, 4]]


def test_no_rows():
    for parsed in (parse_json([]), parse_arrays([]), parse_arrow(pa.array([], pa.string()))):
        assert assemble([], parsed).matrix.shape[0] == 0


def test_lengths_beyond_float32_are_normalised():
    rows = np.array([[3e30, 4e30], [3e-30, 4e-30], [3, 4], [1e-45, 0]], dtype=np.float32)
    assert np.allclose(normalise(rows), [[0.6, 0.8]] * 3 + [[1, 0]])
