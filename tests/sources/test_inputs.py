"""From what a user names to files: paths, globs, pipes, compression, formats."""

import gzip
import hashlib
import io
import os
import pty
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aicluster_cli.errors import InputError, OutputError, UsageError
from aicluster_cli.sources.reader import open_source
from aicluster_cli.sources.spec import SourceSpec

CSV = b"id,text\n1,hello\n2,world\n"
TSV = b"id\ttext\n1\thello\n2\tworld\n"
JSONL = b'{"id": "1", "text": "hello"}\n{"id": "2", "text": "world"}\n'
ROWS = [{"id": "1", "text": "hello"}, {"id": "2", "text": "world"}]


def parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue().to_pybytes()


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


PLAIN = {"a.csv": CSV, "a.tsv": TSV, "a.jsonl": JSONL, "a.ndjson": JSONL, "a.json": JSONL, "a.CSV": CSV}


@pytest.mark.parametrize("name", [*PLAIN, "a.parquet"])
@pytest.mark.parametrize(("ending", "pack"), [("", bytes), (".gz", gzip.compress), (".zst", zstd)])
def test_every_format_reads_plain_and_compressed(tmp_path, read_rows, name, ending, pack):
    path = tmp_path / (name + ending)
    path.write_bytes(pack(PLAIN.get(name) or parquet_bytes()))
    assert read_rows(path, id_column="id") == ROWS


@pytest.mark.parametrize(
    ("data", "form"),
    [(CSV, "csv"), (JSONL, "jsonl"), (b"\xef\xbb\xbf" + JSONL, "jsonl"), (None, "parquet")],
    ids=["csv", "jsonl", "jsonl with a mark", "parquet"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_standard_input_is_known_by_its_first_bytes(open_input, data, form, pack):
    sent = pack(data or parquet_bytes())
    source = open_input("-", stdin=sent)
    assert (source.name, source.format, source.files) == ("standard input", form, ())
    assert pa.Table.from_batches(source.batches()).to_pylist() == ROWS
    assert source.content_hash == hashlib.sha256(sent).hexdigest()


def test_standard_input_takes_the_format_said(read_rows):
    assert read_rows("-", stdin=TSV, input_format="tsv") == ROWS
    assert read_rows("-", stdin=gzip.compress(TSV), input_format="tsv") == ROWS


def test_empty_standard_input_has_no_rows(open_input):
    with pytest.raises(InputError, match="standard input has no rows: nothing came through"):
        open_input("-")


def test_a_terminal_as_standard_input_is_refused_with_a_hint(spool):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "rb") as terminal, pytest.raises(UsageError, match="is a terminal") as caught:
        open_source(SourceSpec(input="-", text_column="text"), stdin=terminal, spool=spool)
    os.close(ours)
    assert "pipe data in" in caught.value.hint


def test_a_named_pipe_is_read_once_and_kept(tmp_path, open_input):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(CSV,))
    writer.start()
    source = open_input(pipe)
    writer.join()
    assert (source.format, source.files) == ("csv", ())
    assert pa.Table.from_batches(source.batches()).to_pylist() == ROWS


def test_the_format_said_wins_over_the_extension(tmp_path, read_rows):
    path = tmp_path / "a.csv"
    path.write_bytes(JSONL)
    assert read_rows(path, input_format="jsonl") == ROWS


def test_an_unknown_extension_is_refused_with_the_formats(tmp_path, open_input):
    path = tmp_path / "a.txt"
    path.write_bytes(CSV)
    with pytest.raises(InputError, match=r"a\.txt cannot be told") as caught:
        open_input(path)
    assert caught.value.hint == "say it with --input-format csv|tsv|jsonl|parquet"


def test_a_glob_reads_its_files_sorted_and_once_each(tmp_path, open_input, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, row in (("b.csv", "3,c"), ("a.csv", "1,a"), ("sub/c.csv", "4,d")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"id,text\n{row}\n")
    source = open_input("**/*.csv")
    assert source.name == "3 files of **/*.csv"
    assert source.files == tuple(str(tmp_path / name) for name in ("a.csv", "b.csv", "sub/c.csv"))
    assert [row["id"] for batch in source.batches() for row in batch.to_pylist()] == ["1", "3", "4"]


def test_one_match_is_called_by_what_was_named_and_folders_do_not_count(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "b.csv").mkdir()
    assert open_input(tmp_path / "*.csv").files == (str(tmp_path / "a.csv"),)


def test_a_path_that_exists_wins_over_its_meaning_as_a_glob(tmp_path, read_rows):
    (tmp_path / "a[1].csv").write_bytes(CSV)
    (tmp_path / "a1.csv").write_bytes(b"id,text\n9,other\n")
    assert read_rows(tmp_path / "a[1].csv") == ROWS
    assert read_rows(tmp_path / "a[1].csv", query="FROM input ORDER BY id")[0]["text"] == "hello"


@pytest.mark.parametrize(("ending", "data"), [("jsonl", JSONL), ("parquet", None)])
def test_names_that_look_like_globs_stay_names_in_duckdb(tmp_path, read_rows, ending, data):
    (tmp_path / f"a[1]*?'.{ending}").write_bytes(data or parquet_bytes())
    (tmp_path / f"a1xx'.{ending}").write_bytes(b"not to be read")
    assert read_rows(tmp_path / f"a[1]*?'.{ending}", query="FROM input") == ROWS


def test_a_glob_without_a_match_is_an_error(tmp_path, open_input):
    with pytest.raises(InputError, match=r"no file matches .*\*\.csv"):
        open_input(tmp_path / "*.csv")


def test_a_glob_over_two_formats_is_an_error(tmp_path, open_input):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "a.tsv").write_bytes(TSV)
    with pytest.raises(InputError, match=r"a\.csv is csv, .*a\.tsv is tsv"):
        open_input(tmp_path / "a.*")


def test_a_folder_is_refused_with_a_glob_as_hint(tmp_path, open_input):
    with pytest.raises(InputError, match="is a folder") as caught:
        open_input(tmp_path)
    assert f"'{tmp_path}/*.csv'" in caught.value.hint


def test_a_missing_file_is_refused_with_the_close_ones(tmp_path, open_input):
    (tmp_path / "tickets.csv").write_bytes(CSV)
    with pytest.raises(InputError, match=r"ticket\.csv does not exist") as caught:
        open_input(tmp_path / "ticket.csv")
    assert caught.value.hint == f"did you mean {tmp_path / 'tickets.csv'}?"


@pytest.mark.parametrize("name", ["no/such/folder/a.csv", "a\0b.csv", "x" * 5000 + ".csv", ""])
def test_paths_that_cannot_exist_are_missing(tmp_path, open_input, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        open_input(name)


def test_an_address_is_not_a_file(open_input):
    with pytest.raises(InputError, match="is an address") as caught:
        open_input("https://example.invalid/a.csv")
    assert "download it first" in caught.value.hint


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path, read_rows, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_bytes(CSV)
    assert read_rows("~/a.csv") == ROWS
    assert read_rows("~/*.csv") == ROWS


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "a.parquet.zst"])
def test_an_empty_file_has_no_rows(tmp_path, open_input, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"{name} has no rows: the file is empty"):
        open_input(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["a.csv.gz", "a.jsonl.gz", "a.parquet.gz", "a.csv.zst", "a.jsonl.zst", "a.parquet.zst"]
)
@pytest.mark.parametrize("damage", ["cut", "trailing"])
def test_broken_compression_names_the_file(tmp_path, open_input, name, damage):
    data = {"csv": CSV, "jsonl": JSONL, "parquet": parquet_bytes()}[name.split(".")[1]]
    packed = gzip.compress(data) if name.endswith("gz") else zstd(data)
    (tmp_path / name).write_bytes(packed[:-5] if damage == "cut" else packed + b"rubbish")
    with pytest.raises(InputError, match=rf"{name} is not whole") as caught:
        open_input(tmp_path / name)
    assert "-t" in caught.value.hint


def test_compressed_members_one_after_the_other_are_all_read(tmp_path, read_rows):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV) + gzip.compress(b"3,more\n"))
    assert [row["id"] for row in read_rows(tmp_path / "a.csv.gz")] == ["1", "2", "3"]


def test_a_name_that_promises_compression_is_checked(tmp_path, open_input):
    (tmp_path / "a.csv.gz").write_bytes(CSV)
    with pytest.raises(InputError, match="is not gzip data"):
        open_input(tmp_path / "a.csv.gz")


def test_compression_is_seen_without_the_extension(tmp_path, read_rows):
    (tmp_path / "a.csv").write_bytes(gzip.compress(CSV))
    assert read_rows(tmp_path / "a.csv") == ROWS


def test_a_file_without_permission_is_named():
    """As another user where the tests run as root, whom permissions do not stop."""
    code = (
        "import io, os, pathlib\n"
        "import aicluster_cli.sources.delimited\n"
        "from aicluster_cli.errors import InputError\n"
        "from aicluster_cli.sources.reader import open_source\n"
        "from aicluster_cli.sources.spec import SourceSpec\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "try: open_source(SourceSpec(input='a.csv', text_column='text'), stdin=io.BytesIO(), spool=pathlib.Path('.'))\n"
        "except InputError as error: print(error.message, '|', error.hint)\n"
    )
    # Not tmp_path: pytest keeps other users out of it, and so from finding the file at all.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "a.csv").write_bytes(CSV)
        (Path(folder) / "a.csv").chmod(0)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder, env=environment
        )
    assert done.stdout.strip() == "a.csv cannot be read: permission denied | allow it with: chmod u+r a.csv"


def test_a_spool_that_cannot_be_written_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot write temporary data") as caught:
        open_source(SourceSpec(input="-", text_column="text"), stdin=io.BytesIO(CSV), spool=tmp_path / "absent")
    assert "TMPDIR" in caught.value.hint


def test_the_hash_of_one_file_is_that_of_its_bytes(tmp_path, open_input):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(CSV))
    assert open_input(path).content_hash == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_hash_of_several_files_sees_where_one_ends(tmp_path, open_input):
    hashes = set()
    for first, second in (("1,a\n2,b\n", "3,c\n"), ("1,a\n", "2,b\n3,c\n")):
        (tmp_path / "a.csv").write_text("text,x\n" + first)
        (tmp_path / "b.csv").write_text("text,x\n" + second)
        hashes.add(open_input(tmp_path / "*.csv").content_hash)
    assert len(hashes) == 2
