"""Watching every Python that a command starts for attempts to reach a network."""

import os
import subprocess
from pathlib import Path

from e2e_tools import REPOSITORY

# Loaded by every Python that is started, the clustering process included.
WATCH = """
import os, sys

def watch(event, args):
    reaches_out = event in ("socket.getaddrinfo", "socket.gethostbyname")
    if event in ("socket.connect", "socket.sendto"):
        reaches_out = not isinstance(args[1], (str, bytes))  # the address of a Unix socket is a path
    if reaches_out:
        note(f"{event} {args[1:]}")
        raise OSError("no network here")

def note(text):
    with open(os.environ["WATCHED"], "a") as file:
        file.write(f"{os.getpid()} {text}\\n")

sys.addaudithook(watch)
note("started")
"""


def watched(folder: Path) -> dict[str, str]:
    """Return the environment in which attempts are refused and noted in ``folder``."""
    (folder / "sitecustomize.py").write_text(WATCH)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}", "WATCHED": str(folder / "notes.txt")}


def notes(folder: Path) -> list[tuple[int, str]]:
    """Return what each process did: its id, and ``started`` or the attempt it made."""
    lines = (folder / "notes.txt").read_text().splitlines()
    return [(int(pid), note) for pid, _, note in (line.partition(" ") for line in lines)]


def without_network() -> list[str]:
    """Return the command that cuts a process off the network, where the system allows it."""
    cut = ["unshare", "--net", "--map-root-user"] if os.getuid() else ["unshare", "--net"]
    try:
        allowed = subprocess.run([*cut, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    return cut if allowed else []
