"""JSON Lines: held against Python's json, value by value, with everything that can go wrong in a line."""

import gzip
import json
import math
import random

import pyarrow as pa
import pytest

from aicluster_cli.errors import InputError

VALUES = [
    None, True, False, 0, -1, 7, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, -(2**63) - 1, 10**40,
    0.1, -0.5, 1e300, 5e-324, 1.0, 123456.789, "", " ", "007", "1", "null", "true", "NaN",
    "2020-01-01", "2020-01-01T00:00:00Z", "12:30:00", "550e8400-e29b-41d4-a716-446655440000", "é", "日本語", "😀",
    "\u2028", "\x00", "\x1f", "\x7f", '"', "\\", "/", "\n\r\t\b\f",
    "[0.1, 0.2]", '{"a": 1}', [], {}, [1, 2.5, "x", None, [True]], {"a": {"b": [None]}, "": 0}, [[[]]], "x" * 3000,
]  # fmt: skip
KEYS = ["id", "ID", "Id", "text", "a.b", "a/b", "a~b", "~1", "/", "", "*", "$", "$.a", "[0]", "0", "-", 'q"q', "q'q",
        "é", "😀", "new\nline", "tab\t", "select", "c0", "c1", "json", "vals", "\\", "\\n", " ", "column1"]  # fmt: skip


def lines(*rows, **options):
    return "".join(json.dumps(row, **options) + "\n" for row in rows).encode()


def expected_column(values, *, as_text=False):
    """What a column must hold, by the documented rule, worked out from Python's values."""
    filled = [value for value in values if value is not None]
    whole = [value for value in filled if type(value) is int]
    numbers = [value for value in filled if type(value) in (int, float)]
    if filled and not as_text:
        if len(whole) == len(filled) and all(-(2**63) <= value < 2**63 for value in whole):
            return pa.int64(), values
        if len(numbers) == len(filled) and all(abs(value) <= 2**53 for value in whole):
            return pa.float64(), [None if value is None else float(value) for value in values]
        if all(type(value) is bool for value in filled):
            return pa.bool_(), values
    return pa.string(), [
        None if value is None else value if isinstance(value, str) else Json(value) for value in values
    ]


class Json:
    """Equal to any JSON text of the same value."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, text):
        return isinstance(text, str) and json.loads(text) == self.value and type(json.loads(text)) is type(self.value)

    def __repr__(self):
        return f"Json({self.value!r})"


@pytest.mark.parametrize("seed", range(25))
def test_rows_agree_with_pythons_json(tmp_path, open_input, seed):
    draw = random.Random(seed)
    names = ["text", *draw.sample([key for key in KEYS if key != "text"], 9)]
    kinds = {name: draw.sample(VALUES, draw.randint(1, 6)) for name in names}
    # A row may lack keys; the first one has them all, so that their order is known.
    rows = [{name: draw.choice(kinds[name]) for name in names}]
    rows += [
        {name: draw.choice(kinds[name]) for name in draw.sample(names, draw.randint(0, len(names)))} for _ in range(200)
    ]
    separators = draw.choice([(",", ":"), (", ", ": ")])
    (tmp_path / "a.jsonl").write_bytes(lines(*rows, ensure_ascii=draw.choice([True, False]), separators=separators))
    id_column = draw.choice(names)
    source = open_input(tmp_path / "a.jsonl", id_column=id_column)
    table = pa.Table.from_batches(source.batches(), source.schema)
    assert table.schema == source.schema
    assert table.column_names == names
    for name in names:
        kind, values = expected_column([row.get(name) for row in rows], as_text=name in ("text", id_column))
        assert table.schema.field(name).type == kind, name
        assert table[name].to_pylist() == values, name


EMBEDDINGS = [
    [0.25, -1e-7, 3],
    [0.1, "x", 0.3],
    [0.1],
    [],
    None,
    "[0.5, 0.25]",
    "",
    "not json",
    [[0.1, 0.2]],
    [None, 0.2],
    {"vector": [1]},
    True,
    7,
    [1e400, -1e400],
    [float("nan")],
    [10**40],
]


@pytest.mark.parametrize("first", range(len(EMBEDDINGS)))
def test_the_embedding_column_survives_any_row(tmp_path, read_rows, first):
    embeddings = EMBEDDINGS[first:] + EMBEDDINGS[:first]
    (tmp_path / "a.jsonl").write_bytes(lines(*({"id": index, "e": value} for index, value in enumerate(embeddings))))
    read = [row["e"] for row in read_rows(tmp_path / "a.jsonl", embedding_column="e")]
    for value, text in zip(embeddings, read, strict=True):
        if value is None or isinstance(value, str):
            assert text == value
        elif value == [] or not isinstance(value, list) or value[0] == value[0]:
            assert json.loads(text) == value
        else:
            assert math.isnan(json.loads(text)[0])


def test_embeddings_keep_every_bit(tmp_path, read_rows):
    draw = random.Random(1)
    vectors = [[draw.gauss(0, 1) * 10 ** draw.randint(-30, 30) for _ in range(64)] for _ in range(500)]
    (tmp_path / "a.jsonl").write_bytes(lines(*({"e": vector} for vector in vectors)))
    assert [json.loads(row["e"]) for row in read_rows(tmp_path / "a.jsonl", embedding_column="e")] == vectors


def test_ids_stay_as_written_and_whole_numbers_are_plain_digits(tmp_path, read_rows):
    ids = ["007", 7, 2**53 + 1, 10**40, "2020-01-01", None, True, "  x "]
    (tmp_path / "a.jsonl").write_bytes(lines(*({"id": value, "text": "t"} for value in ids)))
    read = [row["id"] for row in read_rows(tmp_path / "a.jsonl", id_column="id")]
    assert read == ["007", "7", "9007199254740993", str(10**40), "2020-01-01", None, "true", "  x "]


def test_numbers_python_writes_outside_json_are_read(tmp_path, read_rows):
    (tmp_path / "a.jsonl").write_text(
        '{"text": "t", "n": NaN}\n{"text": "t", "n": -Infinity}\n{"text": "t", "n": 0.5}\n'
    )
    first, *rest = [row["n"] for row in read_rows(tmp_path / "a.jsonl")]
    assert math.isnan(first)
    assert rest == [-math.inf, 0.5]


def test_numbers_too_large_for_a_double_stay_digits(tmp_path, read_rows):
    (tmp_path / "a.jsonl").write_text('{"text": "t", "n": 1e400}\n{"text": "t", "n": 0.5}\n')
    assert [row["n"] for row in read_rows(tmp_path / "a.jsonl")] == ["1e400", "0.5"]


def test_the_last_row_has_a_say_in_the_columns(tmp_path, open_input):
    (tmp_path / "a.jsonl").write_bytes(
        lines(*({"text": "t", "n": 1} for _ in range(50_000)), {"n": "late", "extra": 1})
    )
    source = open_input(tmp_path / "a.jsonl")
    assert [(field.name, field.type) for field in source.schema] == [
        ("text", pa.string()),
        ("n", pa.string()),
        ("extra", pa.int64()),
    ]
    *_, last = source.batches()
    assert last.to_pylist()[-1] == {"text": None, "n": "late", "extra": 1}


def test_rows_keep_their_order_within_and_across_files(tmp_path, read_rows):
    for name, start in (("b", 60_000), ("a", 0)):
        rows = ({"text": "t" * (index % 97), "n": index} for index in range(start, start + 60_000))
        (tmp_path / f"{name}.jsonl").write_bytes(lines(*rows))
    assert [row["n"] for row in read_rows(tmp_path / "*.jsonl")] == list(range(120_000))


def test_files_may_have_other_keys(tmp_path, read_rows):
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "a", "x": 1}))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines({"y": True, "text": "b", "x": "s"})))
    assert read_rows(tmp_path / "*.jsonl*") == [{"text": "a", "x": "1", "y": None}, {"text": "b", "x": "s", "y": True}]


@pytest.mark.parametrize("size", [1_000_000, 20_000_000, 90_000_000])
def test_very_long_lines_are_read(tmp_path, open_input, size):
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "x" * size, "n": 1}, {"text": "y", "n": 2}))
    rows = [row for batch in open_input(tmp_path / "a.jsonl").batches() for row in batch.to_pylist()]
    assert [len(row["text"]) for row in rows] == [size, 1]


def test_batches_of_long_lines_stay_below_their_limit(tmp_path, open_input):
    (tmp_path / "a.jsonl").write_bytes(lines(*({"text": "x" * 1_000_000} for _ in range(150))))
    batches = list(open_input(tmp_path / "a.jsonl").batches())
    assert sum(batch.num_rows for batch in batches) == 150
    assert max(batch.nbytes for batch in batches) <= 65 << 20


def test_deep_nesting_is_kept_as_text(tmp_path, read_rows):
    deep = "[" * 20_000 + "]" * 20_000
    (tmp_path / "a.jsonl").write_text(f'{{"text": "t", "deep": {deep}}}\n')
    assert read_rows(tmp_path / "a.jsonl") == [{"text": "t", "deep": deep}]


@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbf{"text": "a"}\n{"text": "b"}\n',
        b'{"text": "a"}\r\n{"text": "b"}\r\n',
        b'\n\n{"text": "a"}\n  \n\t\r\n{"text": "b"}\n\n',
        b'  {"text": "a"}\n{"text": "b"}  ',
    ],
    ids=["mark", "crlf", "blank lines", "no end"],
)
def test_marks_blank_lines_and_line_ends_do_not_matter(tmp_path, read_rows, data):
    (tmp_path / "a.jsonl").write_bytes(data)
    assert read_rows(tmp_path / "a.jsonl") == [{"text": "a"}, {"text": "b"}]


GOOD = b'{"text": "a"}\n'
BAD_LINES = {
    "cut": (b'{"text": "b\n', "not JSON"),
    "cut at the end": (b'{"text":', "not JSON"),
    "two objects": (b'{"text": "b"}{"text": "c"}\n', "not JSON"),
    "rubbish after": (b'{"text": "b"} x\n', "not JSON"),
    "single quotes": (b"{'text': 'b'}\n", "not JSON"),
    "leading zero": (b'{"text": "b", "n": 007}\n', "not JSON"),
    "raw control character": (b'{"text": "a\x01b"}\n', "not JSON"),
    "array": (b'["text"]\n', "not a JSON object"),
    "number": (b"5\n", "not a JSON object"),
    "null": (b"null\n", "not a JSON object"),
    "key twice": (b'{"text": "b", "n": 1, "text": "c"}\n', "the key 'text' stands there twice"),
    "half a pair": (b'{"text": "a\\ud83d"}\n', r"\\ud83d is half of a character"),
    "wrong half": (b'{"text": "\\udc00a"}\n', r"\\udc00 is half of a character"),
    "csv": (b"id,text\n", "not JSON"),
}


@pytest.mark.parametrize("name", BAD_LINES)
@pytest.mark.parametrize("before", [1, 30_000])
def test_a_bad_line_is_named(tmp_path, open_input, name, before):
    line, said = BAD_LINES[name]
    (tmp_path / "0.jsonl").write_bytes(GOOD)
    (tmp_path / "a.jsonl").write_bytes(GOOD + b"\n" + GOOD * before + line)
    with pytest.raises(InputError, match=rf"a\.jsonl, line {before + 3}: {said}") as caught:
        open_input(tmp_path / "*.jsonl")
    assert caught.value.hint


def test_a_key_may_come_again_inside_a_nested_object(tmp_path, read_rows):
    (tmp_path / "a.jsonl").write_text('{"text": "t", "n": {"text": 1, "a": 1, "a": 2}}\n')
    assert read_rows(tmp_path / "a.jsonl")[0]["n"] == '{"text":1,"a":1,"a":2}'


def test_half_a_surrogate_pair_is_mended_by_the_command_of_the_hint(tmp_path, open_input, read_rows, monkeypatch):
    import subprocess

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a\\ud83d"}\n{"text": "\\uDC00b"}\n')
    with pytest.raises(InputError) as caught:
        open_input("a.jsonl")
    mended = subprocess.run(["sh", "-c", caught.value.hint.split(": ", 1)[1]], check=True, capture_output=True).stdout
    (tmp_path / "b.jsonl").write_bytes(mended)
    assert [row["text"] for row in read_rows("b.jsonl")] == ["a\ufffd", "\ufffdb"]


@pytest.mark.parametrize(
    ("data", "command"),
    [(b'[{"text": "a"}]', "jq -c '.[]'"), (b'[\n{"text": "a"}\n]', "jq -c '.[]'"), (b'{\n"text": "a"\n}\n', "jq -c .")],
)
def test_json_that_is_not_lines_is_refused_with_the_command(tmp_path, open_input, data, command):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.json, line 1") as caught:
        open_input(tmp_path / "a.json")
    assert command in caught.value.hint


@pytest.mark.parametrize(
    ("encoding", "line"), [("latin-1", 2), ("utf-16", 1), ("utf-16-le", 1)], ids=["latin-1", "marked", "unmarked"]
)
def test_other_encodings_are_refused_by_line(tmp_path, open_input, encoding, line):
    (tmp_path / "a.jsonl").write_bytes('{"text": "a"}\n{"text": "café"}\n'.encode(encoding))
    with pytest.raises(InputError, match=rf"a\.jsonl is not UTF-8 text: line {line} ") as caught:
        open_input(tmp_path / "a.jsonl")
    assert "iconv -f" in caught.value.hint


@pytest.mark.parametrize("data", [b"\n", b"  \n\r\n\t", b"\xef\xbb\xbf\n"])
def test_blank_lines_alone_have_no_rows(tmp_path, open_input, data):
    (tmp_path / "a.jsonl").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.jsonl has no rows"):
        open_input(tmp_path / "a.jsonl")


def test_empty_objects_alone_have_no_columns(tmp_path, open_input):
    (tmp_path / "a.jsonl").write_bytes(b"{}\n{}\n")
    with pytest.raises(InputError, match=r"a\.jsonl has no columns"):
        open_input(tmp_path / "a.jsonl")


def test_a_row_may_be_empty(tmp_path, read_rows):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{}\n')
    assert read_rows(tmp_path / "a.jsonl") == [{"text": "a"}, {"text": None}]
