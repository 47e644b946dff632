"""When the process that runs an artefact fails, is killed or loses its parent."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO

import pytest
from artefact_jobs import blobs, environment, handmade_artefact, job_for, largest_file, write_rows

from aicluster_cli.errors import JobFailedError, OutputError
from aicluster_cli.packaging.runner import Job, run_artefact

PATIENCE = 60  # seconds until a process that should have ended counts as one that never will


def job_that(folder: Path, does: str) -> Job:
    vectors, _ = blobs([30, 20])
    return job_for(
        handmade_artefact(folder / "artefact", does), write_rows(folder / "rows.parquet", vectors), params={}
    )


def left_over(job: Job) -> list[str]:
    return [path.name for path in Path(job.output).rglob("*")]


def test_failing_model_is_reported_with_its_cause_and_the_log_has_the_traceback(tmp_path: Path) -> None:
    job = job_that(tmp_path, "print('half way')\nraise ArithmeticError('no such sum')")
    with pytest.raises(JobFailedError, match=r"^clustering failed: ArithmeticError: no such sum$") as caught:
        run_artefact(job, lambda event: None)
    assert job.log in caught.value.hint
    log = Path(job.log).read_text()
    assert "half way" in log
    assert "Traceback" in log
    assert "no such sum" in log
    assert left_over(job) == []


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("return answer(df).head(3)", "the model returned 3 rows for 50"),
        ("import numpy\nnumpy.empty(2**55)", "ran out of memory or was killed"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "ran out of memory or was killed"),
        ("import os\nos._exit(3)", "ended with code 3"),
        ("raise PermissionError(13, 'Permission denied', '/somewhere')", r"PermissionError: .*'/somewhere'"),
    ],
    ids=["rows lost", "memory", "killed", "exit code", "not a storage error"],
)
def test_every_end_but_success_is_an_error_that_says_why(does: str, message: str, tmp_path: Path) -> None:
    job = job_that(tmp_path, does)
    with pytest.raises(JobFailedError, match=message):
        run_artefact(job, lambda event: None)
    assert left_over(job) == []


def test_artefact_without_the_handler_is_reported(tmp_path: Path) -> None:
    job = job_that(tmp_path, "return answer(df)")
    (tmp_path / "artefact" / "functions" / "predict_array.py").unlink()
    with pytest.raises(JobFailedError, match=r"predict_array\.py"):
        run_artefact(job, lambda event: None)


def test_results_that_do_not_fit_are_an_output_error_and_leave_nothing_behind(tmp_path: Path) -> None:
    job = job_that(tmp_path, "return answer(df)")
    with largest_file(1000), pytest.raises(OutputError, match=f"cannot be written to {job.output}: File too large"):
        run_artefact(job, lambda event: None)
    assert left_over(job) == []


def test_log_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    job = job_that(tmp_path, "return answer(df)")
    Path(job.log).mkdir()
    with pytest.raises(OutputError, match=job.log):
        run_artefact(job, lambda event: None)


STAND_STILL = """
import os, threading
fifo = os.open({fifo!r}, os.O_WRONLY)
os.write(fifo, f"{{os.getpid()}}\\n".encode())
threading.Event().wait()
"""

RUN = """
import json, sys
from aicluster_cli.packaging.runner import Job, run_artefact
run_artefact(Job(**json.loads(sys.argv[1])), lambda event: None)
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[IO[bytes]]:
    """The reading end of a pipe that a process started by ``STAND_STILL`` holds open until it ends."""
    os.mkfifo(tmp_path / "fifo")
    descriptor = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield file


def read_when_ready(fifo: IO[bytes]) -> bytes:
    """Return the next bytes, or none when the last writer has gone."""
    ready, _, _ = select.select([fifo], [], [], PATIENCE)
    assert ready, "the process neither said anything nor ended"
    return fifo.read(100)


def test_process_ends_when_its_parent_is_killed(tmp_path: Path, fifo: IO[bytes]) -> None:
    job = job_that(tmp_path, STAND_STILL.format(fifo=str(tmp_path / "fifo")).strip())
    command = [sys.executable, "-c", RUN, json.dumps(asdict(job))]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) as parent:
        try:
            host = int(read_when_ready(fifo))
            parent.kill()
            assert parent.wait(PATIENCE) == -signal.SIGKILL
            try:
                assert read_when_ready(fifo) == b""
            except AssertionError:
                os.kill(host, signal.SIGKILL)
                raise
        finally:
            parent.kill()
    assert left_over(job) == []


def test_process_is_ended_when_the_caller_is_interrupted(tmp_path: Path, fifo: IO[bytes]) -> None:
    job = job_that(tmp_path, STAND_STILL.format(fifo=str(tmp_path / "fifo")).strip())

    def interrupt(event: dict[str, object]) -> None:
        if event.get("stage") == "cluster":
            read_when_ready(fifo)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_artefact(job, interrupt)
    assert read_when_ready(fifo) == b""
