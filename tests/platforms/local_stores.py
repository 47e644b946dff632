"""What the tests of the local platform share."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aicluster_cli


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process, or of the ones it starts, grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def start(code: str, *args: str) -> "subprocess.Popen[str]":
    """Start a fresh Python that finds the project, and talks through pipes."""
    env = {**os.environ, "PYTHONPATH": str(Path(aicluster_cli.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )


def say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")
