"""Runs every command of the README's console blocks, in order, and puts what they print below them.

The commands run on a terminal of 100 columns, in an empty folder that holds the sample messages as messages.csv. What
differs from run to run (times, the folder's name) is left as it came, but for the folder, which becomes ``…``.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from aicluster_cli.samples import messages_path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)


def main() -> None:
    """Rewrite the README's console blocks."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        shutil.copy(messages_path(), folder / "messages.csv")
        text = README.read_text(encoding="utf-8")
        README.write_text(BLOCK.sub(lambda block: run_block(block[1], folder), text), encoding="utf-8")


def run_block(block: str, folder: Path) -> str:
    """Return the block's commands, each followed by what it prints now."""
    commands = [line for line in block.splitlines() if line.startswith("$ ")]
    return "".join(f"{command}\n{run_command(command[2:], folder)}" for command in commands)


def run_command(command: str, folder: Path) -> str:
    """Return what a shell command prints on a terminal."""
    env = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "HOME": str(folder), "TERM": "dumb"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    reader, writer = pty.openpty()
    with subprocess.Popen(["sh", "-c", command], cwd=folder, env=env, stdout=writer, stderr=writer) as process:
        os.close(writer)
        printed = _read_all(reader)
    if process.returncode not in (0, 5):
        sys.exit(f"{command} ended with {process.returncode}:\n{printed}")
    lines = printed.replace("\r\n", "\n").replace(f"{folder}/", "…/").replace(str(messages_path().parents[2]), "…")
    return "".join(f"{line.rstrip()}\n" for line in lines.splitlines())


def _read_all(reader: int) -> str:
    printed = bytearray()
    while True:
        try:
            piece = os.read(reader, 65536)
        except OSError:  # how a pty says that nobody writes any more
            piece = b""
        if not piece:
            return printed.decode()
        printed += piece


if __name__ == "__main__":
    main()
