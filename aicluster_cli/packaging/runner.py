"""Starts the process that runs an artefact, follows its progress, and makes sure that it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from aicluster_cli.errors import AiclusterError, JobFailedError, OutputError
from aicluster_cli.files import output_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aicluster_cli.clustering.params import ParamValue

HOST = Path(__file__).with_name("host.py")
STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS}


@dataclass(frozen=True)
class Job:
    """What the process is to do; paths are absolute.

    Attributes
    ----------
    input
        A Parquet file with ROW_ID, EMBEDDING (list of float32), REASON and the partition column, if any.
    output
        The folder the parts go to.
    log
        The file that gets everything the libraries print, and the traceback of a failure.
    threads
        Threads for linear algebra.
    """

    artefact: str
    method: str
    params: Mapping[str, ParamValue]
    input: str
    partition: str | None
    output: str
    log: str
    threads: int


@dataclass(frozen=True)
class Outcome:
    """What a finished process reports: rows clustered and the versions of what did it."""

    rows: int
    versions: dict[str, str]


def run_artefact(job: Job, on_event: Callable[[dict[str, Any]], None]) -> Outcome:
    """Run a registered artefact in a process of its own, which imports the shipped code only.

    Parameters
    ----------
    on_event
        Called with each progress report: ``{"event": "stage", "stage": …}`` or ``{"event": "progress", "done": …}``.

    Raises
    ------
    JobFailedError
        If the process fails or is killed; the message holds the cause, the log the details.
    OutputError
        If the results or the log cannot be written.
    """
    outcome: dict[str, Any] = {}
    stage = ""
    with _open_log(Path(job.log)) as log, _start(job, log) as process:
        try:
            for line in cast("TextIO", process.stdout):
                event = json.loads(line)
                if event["event"] in ("done", "failed"):
                    outcome = {"stage": stage, **event}
                else:
                    stage = event.get("stage", stage)
                    on_event(event)
            process.wait()
        except BaseException:
            process.kill()
            raise
    if outcome.get("event") == "done":
        return Outcome(outcome["rows"], outcome["versions"])
    raise _failure(job, outcome, process.returncode)


def _open_log(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise output_error(path, error) from error


def _start(job: Job, log: Any) -> subprocess.Popen[str]:
    """Start the host in a session of its own, so that Ctrl-C reaches us alone and we end it in good order."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-B", "-X", "utf8", str(HOST)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        env=_environment(job.threads),
    )
    stdin = cast("TextIO", process.stdin)
    try:
        stdin.write(json.dumps(asdict(job)) + "\n")
        stdin.flush()
    except OSError:  # it died before reading: its exit code and log tell why
        with contextlib.suppress(OSError):
            stdin.close()  # or the end of the block would try once more to send what is left in the buffer
    return process


def _environment(threads: int) -> dict[str, str]:
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(limits, str(threads)), "SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true"}


def _failure(job: Job, outcome: dict[str, Any], code: int) -> AiclusterError:
    look = f"the whole log is {job.log}"
    if outcome.get("stage") == "write" and outcome["errno"] in STORAGE_ERRORS:
        return OutputError(
            f"the results cannot be written to {job.output}: {os.strerror(outcome['errno'])}",
            hint="make room or choose another root in the profile, then run again",
        )
    if outcome.get("type") == "MemoryError" or code == -signal.SIGKILL:
        return JobFailedError(
            "the clustering process ran out of memory or was killed", hint=f"cluster fewer rows at a time; {look}"
        )
    if outcome:
        return JobFailedError(f"clustering failed: {outcome['type']}: {outcome['message']}", hint=look)
    return JobFailedError(f"the clustering process ended with code {code}", hint=look)
