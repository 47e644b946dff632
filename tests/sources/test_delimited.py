"""CSV and TSV: verbatim cells, and an error with file, line and cure for everything else."""

import csv
import gzip
import io
import random

import pyarrow as pa
import pytest

from aicluster_cli.errors import InputError
from aicluster_cli.sources.reader import MAX_BATCH_ROWS

HOSTILE = [
    "", " ", "007", "NA", "null", "None", "NaN", "nan", "-", "#", "true", "1e5", "0x10", "2020-01-01", '"', '""', '"""',
    ",", "\t", "\n", "\r", "\r\n", '",\n"', "a,b", 'say "hi"', "it's", "\\", '\\"', "\\n", "é", "日本語", "😀",
    "\u2028", "\x85", "\x00", "\x1a", "\ufeff", "=1+1", " padded ", '"quoted"', 'end"', '"start', "x" * 500,
    "[0.1, 0.2]", '{"a": "b,c"}',
]  # fmt: skip


def written(rows, dialect="excel", quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n"):
    target = io.StringIO(newline="")
    csv.writer(target, dialect=dialect, quoting=quoting, lineterminator=lineterminator).writerows(rows)
    return target.getvalue().encode()


@pytest.mark.parametrize("seed", range(60))
def test_hostile_cells_written_by_python_come_back_verbatim(tmp_path, open_input, monkeypatch, seed):
    draw = random.Random(seed)
    # Small blocks too, so that cells and line ends lie across their borders.
    monkeypatch.setattr("aicluster_cli.sources.lines.CHUNK", draw.choice([13, 100, 5000, 4 << 20]))
    form, dialect = draw.choice([("csv", "excel"), ("tsv", "excel-tab")])
    width = draw.randint(1, 6)
    header = ["text", *(f"column {draw.choice(HOSTILE)[:9]}{index}".replace("\0", "") for index in range(1, width))]
    rows = [[draw.choice(HOSTILE) for _ in header] for _ in range(draw.choice([1, 20, 200]))]
    # Not minimal quoting with \n alone: Python then leaves a lone \r unquoted, and reads it back as a line end itself.
    quoting, end = draw.choice([(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n")])
    data = written([header, *rows], dialect, quoting, end)
    path = tmp_path / f"a.{form}"
    path.write_bytes(draw.choice([b"", b"\xef\xbb\xbf"]) + data)
    source = open_input(path)
    assert source.schema == pa.schema([pa.field(name, pa.string()) for name in header])
    read = [list(row.values()) for batch in source.batches() for row in batch.to_pylist()]
    assert read == rows


@pytest.mark.parametrize("cells", [HOSTILE, [cell for cell in HOSTILE if "\0" not in cell]], ids=["NUL", "no NUL"])
def test_many_hostile_rows_over_many_blocks_come_back_verbatim(tmp_path, open_input, cells):
    draw = random.Random(0)
    rows = [[str(index), *(draw.choice(cells) for _ in range(3))] for index in range(80_000)]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(written([["id", "text", "b", "c"], *rows]), compresslevel=1))
    source = open_input(tmp_path / "a.csv.gz")
    batches = list(source.batches())
    assert len(batches) > 4
    assert [list(row.values()) for batch in batches for row in batch.to_pylist()] == rows


def test_a_source_can_be_read_again(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(b"text\na\nb\n")
    source = open_input(tmp_path / "a.csv")
    assert [sum(batch.num_rows for batch in source.batches()) for _ in range(3)] == [2, 2, 2]


def test_batches_stay_small(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(b"text\n" + b"short\n" * 100_000)
    sizes = [batch.num_rows for batch in open_input(tmp_path / "a.csv").batches()]
    assert sum(sizes) == 100_000
    assert max(sizes) <= MAX_BATCH_ROWS


@pytest.mark.parametrize("size", [1_000_000, 5_000_000, 20_000_000])
def test_very_long_cells_are_read(tmp_path, read_rows, size):
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,"' + b'x\n""' * (size // 4) + b'"\n2,short\n')
    first, second = read_rows(tmp_path / "a.csv")
    assert first["text"] == 'x\n"' * (size // 4)
    assert second == {"id": "2", "text": "short"}


def test_long_cells_among_stray_quotes_are_read(tmp_path, read_rows):
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,5" pipe\n2,' + b"x" * 9_000_000 + b"\n")
    assert [len(row["text"]) for row in read_rows(tmp_path / "a.csv")] == [7, 9_000_000]


def test_blank_lines_are_no_rows_and_quoted_empty_cells_are(tmp_path, read_rows):
    (tmp_path / "a.csv").write_bytes(b'text\n\na\n""\n\n\nb\n\n')
    assert [row["text"] for row in read_rows(tmp_path / "a.csv")] == ["a", "", "b"]


def test_a_quote_inside_an_unquoted_cell_belongs_to_it(tmp_path, read_rows):
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,5" pipe\n2,it\'s 6" or "more"\n')
    assert [row["text"] for row in read_rows(tmp_path / "a.csv")] == ['5" pipe', 'it\'s 6" or "more"']


def test_the_last_line_needs_no_end(tmp_path, read_rows):
    (tmp_path / "a.csv").write_bytes(b'id,text\n1,a\n2,"b"')
    assert [row["text"] for row in read_rows(tmp_path / "a.csv")] == ["a", "b"]


def test_stray_quotes_among_hostile_cells_come_back_as_python_reads_them(tmp_path, open_input):
    draw = random.Random(2)
    tame = [cell for cell in HOSTILE if not set(cell) & set('",\r\n') or cell == '"']
    strays = ['5" pipe', 'a""b', 'it\'s 6" or more"', 'x"', *tame[:-1]]
    lines = [f"{index},{draw.choice(strays)}" for index in range(30_000)]
    data = "\n".join(["id,text", *(line for line in lines if not line.endswith(',"'))]) + "\n"
    (tmp_path / "a.csv").write_bytes(data.encode())
    expected = list(csv.DictReader(io.StringIO(data, newline="")))
    batches = list(open_input(tmp_path / "a.csv").batches())
    assert [row for batch in batches for row in batch.to_pylist()] == expected
    assert max(batch.num_rows for batch in batches) <= MAX_BATCH_ROWS


def test_megabytes_of_blank_lines_before_the_header_do_not_matter(tmp_path, read_rows):
    (tmp_path / "a.csv").write_bytes(b"\n" * 5_000_000 + b"text\na\n")
    assert read_rows(tmp_path / "a.csv") == [{"text": "a"}]


def test_a_column_may_have_no_name(tmp_path, read_rows):
    (tmp_path / "a.csv").write_bytes(b",text\n0,a\n")
    assert read_rows(tmp_path / "a.csv") == [{"": "0", "text": "a"}]


@pytest.mark.parametrize(
    "data", [b"id,text\n", b"id,text", b"id,text\r\n\r\n\n", b'"id","text"', b"\xef\xbb\xbfid,text\n"]
)
def test_a_header_alone_has_no_rows(tmp_path, open_input, data):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.csv has no rows"):
        open_input(tmp_path / "a.csv")


@pytest.mark.parametrize("data", [b"\n", b"\r\n\n\n", b"\xef\xbb\xbf"])
def test_blank_lines_alone_have_no_rows(tmp_path, open_input, data):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.csv has no rows"):
        open_input(tmp_path / "a.csv")


def test_several_files_follow_one_another_and_one_of_them_may_be_a_header_alone(tmp_path, read_rows):
    for name, data in (("a", b"id,text\n1,a\n"), ("b", b"id,text\n"), ("c", b"id,text\n2,c")):
        (tmp_path / f"{name}.csv").write_bytes(data)
    assert [row["id"] for row in read_rows(tmp_path / "*.csv")] == ["1", "2"]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,txt", "it lacks text and it adds txt"),
        ("id", "it lacks text"),
        ("id,text,more", "it adds more"),
        ("text,id", "their order is text, id, not id, text"),
        ("id,Text", "it lacks text and it adds Text"),
    ],
)
def test_files_with_another_header_are_refused_with_the_difference(tmp_path, open_input, header, said):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "b.csv").write_text(f"{header}\n1,b\n")
    with pytest.raises(InputError, match=rf"b\.csv has other columns than .*a\.csv: {said}"):
        open_input(tmp_path / "*.csv")


@pytest.mark.parametrize(
    ("header", "said"), [("text,a,a", "2 columns named a"), ("text,,", "2 columns without a name")]
)
def test_columns_of_one_name_are_refused(tmp_path, open_input, header, said):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2,3\n")
    with pytest.raises(InputError, match=said) as caught:
        open_input(tmp_path / "a.csv")
    assert "rename" in caught.value.hint


@pytest.mark.parametrize("rows", [10, 500_000], ids=["near", "far"])
@pytest.mark.parametrize(("row", "said"), [("1,b,c", "3 cells"), ("1", "1 cell")])
def test_a_ragged_row_is_named_by_its_line(tmp_path, open_input, rows, row, said):
    good = '1,"two\nlines"\n' + "1,a\n" * rows
    (tmp_path / "a.csv").write_text(f"id,text\n{good}{row}\n1,a\n")
    with pytest.raises(InputError, match=rf"a\.csv, line {rows + 4}: {said}, but the header has 2"):
        list(open_input(tmp_path / "a.csv").batches())


def test_a_ragged_row_is_named_by_its_line_in_a_compressed_later_file(tmp_path, open_input):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"id,text\n1,a\n1,a,b\n"))
    with pytest.raises(InputError, match=r"b\.csv\.gz, line 3: 3 cells"):
        list(open_input(tmp_path / "*.csv*").batches())


@pytest.mark.parametrize(
    "rest",
    ['2,"open\n3,c\n4,d\n', '2,"open\n3,c\n4,d', '2,"open', '2,""open\n"\n3,"', '2,"', '2,"a ""b""\n3,c\n'],
)
def test_a_quote_never_closed_does_not_swallow_the_rest(tmp_path, open_input, rest):
    (tmp_path / "a.csv").write_text(f"id,text\n1,a\n{rest}")
    with pytest.raises(InputError, match=r"a\.csv.*line [34]"):
        open_input(tmp_path / "a.csv")


def test_two_quotes_never_closed_do_not_swallow_the_rows_between(tmp_path, open_input):
    (tmp_path / "a.csv").write_text('id,text\n1,"hello\n2,b\n3,c\n4,"bye\n5,e\n')
    with pytest.raises(InputError, match=r"a\.csv, lines 2 to 5: text follows") as caught:
        open_input(tmp_path / "a.csv")
    assert "double the quotes" in caught.value.hint


def test_backslash_escapes_are_refused_with_the_cure(tmp_path, open_input):
    (tmp_path / "a.csv").write_text('id,text\n1,"say \\"hi\\" now"\n')
    with pytest.raises(InputError, match=r"a\.csv, line 2") as caught:
        open_input(tmp_path / "a.csv")
    assert "backslashes do not escape" in caught.value.hint


def test_a_quote_at_the_edge_of_a_block_is_sound(tmp_path, read_rows):
    block = 4 << 20
    for shift in range(-3, 4):
        filler = "x" * (block - len("text\n") - len('"') + shift)
        (tmp_path / "a.csv").write_text(f'text\n"{filler}""y"\n"z"\n')
        assert [row["text"] for row in read_rows(tmp_path / "a.csv")] == [filler + '"y', "z"]


@pytest.mark.parametrize(
    ("encoding", "named", "line"),
    [("cp1252", "WINDOWS-1252", 3), ("utf-16", "UTF-16", 1), ("utf-16-le", "UTF-16", 1), ("utf-16-be", "UTF-16", 1)],
)
def test_other_encodings_are_refused_with_file_line_and_command(
    tmp_path, open_input, encoding, named, line, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my tickets.csv").write_bytes("id,text\n1,plain\n2,café “quoted”\n".encode(encoding))
    with pytest.raises(InputError, match=rf"my tickets\.csv is not UTF-8 text: line {line} ") as caught:
        open_input("my tickets.csv")
    assert caught.value.hint.endswith(f"iconv -f {named} -t UTF-8 'my tickets.csv' > 'my tickets.utf8.csv'")


def test_the_command_that_converts_a_file_works(tmp_path, open_input, read_rows, monkeypatch):
    import subprocess

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("id,text\n1,café\n".encode("latin-1")))
    with pytest.raises(InputError) as caught:
        open_input("a.csv.gz")
    subprocess.run(["sh", "-c", caught.value.hint.split(": ", 1)[1]], check=True)
    assert read_rows("a.utf8.csv") == [{"id": "1", "text": "café"}]


def test_standard_input_in_another_encoding_is_converted_on_the_way(open_input):
    with pytest.raises(InputError, match="standard input is not UTF-8 text: line 2") as caught:
        open_input("-", stdin=b"id,text\n1,caf\xe9\n")
    assert "… | iconv -f WINDOWS-1252 -t UTF-8 | aicluster …" in caught.value.hint


def test_bytes_that_are_not_utf8_are_found_far_into_a_file(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(b"id,text\n" + b"1,plain\n" * 1_200_000 + b"2,caf\xe9\n")
    with pytest.raises(InputError, match="line 1200002 holds other bytes"):
        open_input(tmp_path / "a.csv")


def test_a_character_cut_at_the_end_is_not_utf8(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,caf\xc3")
    with pytest.raises(InputError, match="line 2 holds other bytes"):
        open_input(tmp_path / "a.csv")


def test_characters_that_straddle_blocks_are_utf8(tmp_path, read_rows):
    for shift in range(4):
        text = "x" * shift + "😀" * (1 << 20) * 2
        (tmp_path / "a.csv").write_text(f"text\n{text}\n", encoding="utf-8")
        assert read_rows(tmp_path / "a.csv") == [{"text": text}]


def test_a_header_of_another_encoding_is_refused(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(b"caf\xe9,text\n1,2\n")
    with pytest.raises(InputError, match="line 1 holds other bytes"):
        open_input(tmp_path / "a.csv")


def test_bytes_of_a_program_are_not_text(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(b"PK\x00\x00text\x00,b\n1,2\n")
    with pytest.raises(InputError, match="NUL bytes"):
        open_input(tmp_path / "a.csv")


def test_a_header_with_an_open_quote_is_refused(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(b'id,"text\n1,2\n')
    with pytest.raises(InputError, match=r"a\.csv: a double quote opened in the row at line 1 is never closed"):
        open_input(tmp_path / "a.csv")
