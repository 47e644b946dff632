"""A local run needs no network and does not even look for one."""

import subprocess
import sys

from e2e_tools import clean_environment
from network_watch import notes, watched


def test_run_makes_no_attempt_at_a_connection(tickets):
    assert tickets.record.status == "done"
    seen = notes(tickets.project.folder / "watch")
    assert len({pid for pid, _ in seen}) >= 2  # the command, and the process that clusters
    assert {note for _, note in seen} == {"started"}


def test_watch_sees_an_attempt(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"],
        env=clean_environment(**watched(tmp_path)),
        capture_output=True,
        check=False,
        text=True,
    )
    assert "no network here" in done.stderr
    assert "socket.getaddrinfo" in notes(tmp_path)[-1][1]
