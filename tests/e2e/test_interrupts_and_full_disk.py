"""Work that is cut short, by a signal or by a disk that is full, leaves nothing half-written and can be repeated."""

import contextlib
import csv
import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_tools import PATIENCE, Project, Running, Terminal, after, children_of, clean_environment, command, processes
from sample_tables import VECTOR_ARGS, texts, write_csv

if sys.platform != "linux":
    pytest.skip("looks at processes in /proc and waits for them by pidfd", allow_module_level=True)

ROWS = 3000
# The best of a thousand restarts takes minutes: no signal comes too late.
LONG = (*VECTOR_ARGS[:-1], "n_clusters=1000", "--set", "n_init=1000", "--set", "max_iter=100000")


@pytest.fixture
def many(ready) -> Project:
    """A project with many different vectors, as ``many.csv``."""
    chance = random.Random(1)
    rows = ({"id": str(n), "embedding": str([chance.random(), chance.random()])} for n in range(ROWS))
    write_csv(ready.folder / "many.csv", rows)
    return ready


@contextlib.contextmanager
def clustering(project: Project, *args: str):
    """A run that is clustering, under the id R1, and the process that does it."""
    with project.started("run", *LONG, "--input", "many.csv", "--run-id", "R1", *args) as running:
        running.read_until(f"read {ROWS:,} rows of many.csv")
        yield running, clustering_process(project, running)


def clustering_process(project: Project, running: Running) -> int:
    """Return the process that clusters, once it has been started."""
    log = project.root / "logs" / "R1.log"
    while not log.exists():
        assert running.process.poll() is None
    while not (children := children_of(running.process)):
        assert running.process.poll() is None
    (child,) = children
    return child


def gone(pid: int) -> bool:
    """Wait for the end of a process that need not be our own child; one that goes on is ended after all."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ended = bool(select.select([handle], [], [], PATIENCE / 4)[0])
        if not ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        return ended
    finally:
        os.close(handle)


def nothing_half_written(project: Project) -> bool:
    folder = project.run_folder("R1")
    return [path.name for path in folder.rglob("*")] == ["run.json"] and not project.leftovers()


# --- signals ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_clustering(many, number):
    with clustering(many, "--output", "out.csv", "--json") as (running, child):
        running.process.send_signal(number)
        result = running.finish()
        assert gone(child)
    assert result.code == 130
    assert result.errors == ["error: interrupted"]
    assert result.json["error"]["code"] == "interrupted"
    assert not (many.folder / "out.csv").exists()
    assert nothing_half_written(many)
    record = many.record("R1")
    assert (record.status, record.error) == ("interrupted", {"code": "interrupted", "message": "interrupted"})
    assert record.finished
    fetched = many("fetch", "R1")
    assert fetched.code == 1
    assert fetched.errors == ["error: the run R1 was interrupted", "hint: run it again with --run-id R1"]
    if number == signal.SIGINT:
        again = many("run", *VECTOR_ARGS, "--input", "many.csv", "--run-id", "R1", "--output", "out.csv").succeeded()
        assert "finished already" not in again.err
        assert many.record("R1").status == "done"
        assert len(list(csv.reader((many.folder / "out.csv").open()))) == ROWS + 1


def test_run_that_is_still_running_can_be_asked_about(many):
    with clustering(many):
        status = many("status", "r1", "--json").succeeded().json
        assert (status["status"], status["rows"]) == ("running", ROWS)
        fetched = many("fetch", "R1")
        assert (fetched.code, fetched.out) == (8, b"")
        assert fetched.errors == ["error: the run R1 is still running", "hint: aicluster status R1"]
        listed = many("fetch", "R1", "--list", "--json").succeeded().json
        names = [file["name"] for file in listed["files"]]
        assert names == ["input/rows.parquet", "input/source.parquet", "run.json"]


def test_killed_process_takes_the_clustering_with_it(many):
    query = "SELECT *, id <> '0' AS part FROM input"
    args = ("--input", "many.csv", "--query", query, "--partition-by", "part", "--run-id", "R1")
    terminal = Terminal(many.folder, "run", *LONG, *args)
    terminal.read_until(" 1/2")  # the one row of the first partition is done, and the work on the others has begun
    (child,) = children_of(terminal.process)
    terminal.process.kill()
    terminal.finish()
    assert gone(child)
    assert many("status", "R1", "--json").succeeded().json["status"] == "interrupted"
    assert many("fetch", "R1").errors == ["error: the run R1 was interrupted", "hint: run it again with --run-id R1"]
    assert not many.run_folder("R1").joinpath("output").exists()


def test_clustering_that_dies_is_a_failed_job(many):
    with clustering(many, "--output", "out.csv") as (running, child):
        os.kill(child, signal.SIGKILL)
        result = running.finish()
    assert (result.code, result.out) == (4, b"")
    error, hint = result.errors
    assert error == "error: the clustering process ran out of memory or was killed"
    assert str(many.root / "logs" / "R1.log") in hint
    record = many.record("R1")
    assert (record.status, record.error["code"]) == ("failed", "job_failed")
    assert nothing_half_written(many)
    assert not (many.folder / "out.csv").exists()
    assert many("fetch", "R1").errors[0] == f"error: the run R1 has failed: {error.removeprefix('error: ')}"


def test_ctrl_c_typed_while_texts_are_embedded(ready):
    with (ready.folder / "texts.csv").open("w") as file:
        file.write("text\n")
        file.writelines(f'"{text} {n}"\n' for n in range(6000) for text in texts())
    run = ("run", "kmeans", "--input", "texts.csv", "--text-column", "text", "--run-id", "R1")
    terminal = Terminal(ready.folder, *run, "--output", "out.parquet")
    terminal.read_until("embedding texts.csv")
    terminal.type("\x03")
    assert terminal.finish() == 130
    assert terminal.output.splitlines()[-1].endswith("interrupted")
    assert nothing_half_written(ready)
    assert ready.record("R1").status == "interrupted"
    assert not (ready.folder / "out.parquet").exists()


# --- full disks ---


def limited(project: Project, limit: int, *args: str):
    """Run a command that may write no file larger than ``limit`` bytes, which is how a full disk looks to it."""
    lower = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    return project.process(*args, prefix=after(lower))


def test_no_room_for_the_parts(many):
    # Two numbers of float32 go in for each row, and more than two of float64 come out.
    args = ("run", *VECTOR_ARGS, "--input", "many.csv", "--no-keep-inputs", "--run-id", "R1", "--output", "out.csv")
    result = limited(many, 40_000, *args)
    assert (result.code, result.out) == (1, b"")
    error, hint = result.errors
    assert error == f"error: the results cannot be written to {many.run_folder('R1')}/output/R1: File too large"
    assert "make room" in hint
    assert many.record("R1").status == "failed"
    assert nothing_half_written(many)
    assert not (many.folder / "out.csv").exists()


def test_no_room_for_the_input(many):
    args = ("run", *VECTOR_ARGS, "--input", "many.csv", "--run-id", "R1", "--output", "out.csv")
    result = limited(many, 9_000, *args)
    assert (result.code, result.out) == (1, b"")
    assert ".parquet is larger than the file size limit allows" in result.errors[0]
    assert f"{many.run_folder('R1')}/input/" in result.errors[0]
    assert many.record("R1").status == "failed"
    assert nothing_half_written(many)
    assert not (many.folder / "out.csv").exists()


REJOIN = ("run", *VECTOR_ARGS, "--input", "vectors.csv", "--run-id", "vectors")


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_no_room_for_the_output_of_fetch(vectors_copy, name):
    kept = vectors_copy.write(name, "what was there before")
    refused_for_lack_of_room(vectors_copy, name, "fetch", "--overwrite")
    assert kept.read_text() == "what was there before"


def test_no_room_for_the_output_of_a_run(vectors_copy):
    # The run is finished, so that nothing but the output is left to be written.
    refused_for_lack_of_room(vectors_copy, "out.csv", *REJOIN)
    assert not (vectors_copy.folder / "out.csv").exists()
    assert vectors_copy.record("vectors").status == "done"
    assert vectors_copy("fetch", "vectors").code == 0


def refused_for_lack_of_room(project: Project, name: str, *args: str) -> None:
    result = limited(project, 1_000, *args, "--output", name)
    assert (result.code, result.out) == (1, b"")
    error, hint = result.errors
    assert error == f"error: {name} is larger than the file size limit allows: File too large"
    assert "ulimit -f unlimited" in hint
    assert project.leftovers() == []


@pytest.fixture
def vectors_copy(vectors, tmp_path) -> Project:
    return vectors.copy(tmp_path).project


@pytest.fixture
def tiny_disk(tmp_path: Path):
    """A file system of 64 KiB; where nobody may mount one, the test is skipped."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "aicluster-test", place], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_output_on_a_full_disk(vectors_copy, tiny_disk):
    fill(tiny_disk)
    result = vectors_copy("fetch", "vectors", "--output", tiny_disk / "out.csv")
    assert result.code == 1
    assert result.errors[0].startswith(f"error: no space left on the disk of {tiny_disk / 'out.csv'}")
    assert [path.name for path in tiny_disk.iterdir()] == ["rest"]


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "rest").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def test_store_on_a_full_disk(many, tiny_disk):
    many.root.joinpath("stage").symlink_to(tiny_disk)
    fill(tiny_disk)
    result = many("run", *VECTOR_ARGS, "--input", "many.csv", "--run-id", "R1", "--output", "out.csv")
    assert result.code == 1
    assert "no space left on the disk" in result.errors[0]
    assert "free some space there" in result.errors[1]
    assert not [path for path in many.run_folder("R1").rglob("*") if path.is_file()]
    assert not (many.folder / "out.csv").exists()
    assert many("runs", "--json").succeeded().json["runs"] == []


def test_registry_on_a_full_disk(project, tiny_disk):
    project.root.mkdir()
    project.root.joinpath("registry").symlink_to(tiny_disk)
    result = project("register", "kmeans")
    assert result.code == 1
    assert "no space left on the disk" in result.errors[0]
    assert not [path for path in tiny_disk.rglob("*") if path.is_file()]
    assert project("models", "--json").json["models"] == []


def test_standard_output_that_is_full(vectors):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("fetch", "vectors"),
            cwd=vectors.project.folder,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"error: cannot write to standard output: No space left on device\n")


def test_reader_that_has_gone_is_no_failure(vectors):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            command("fetch", "vectors"),
            cwd=vectors.project.folder,
            env=clean_environment(),
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_process_is_left_behind():
    ours = os.getpid()
    assert [pid for pid, (parent, _) in processes().items() if parent == ours] == []
