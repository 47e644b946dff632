"""Starting programs with pipes, on terminals and in this process, for the tests of the command-line frame."""

import errno
import fcntl
import io
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import sample_program

from aicluster_cli.cli.console import Console
from aicluster_cli.cli.main import run

PROGRAM = Path(sample_program.__file__)
ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds after which a test gives up; none waits for them to pass


def environment(**changes: str) -> dict[str, str]:
    """Return an environment in which nothing of the tester's own shows."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"}}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "TERM": "xterm", **changes}


def command(*args: str, program: Path | None = None) -> list[str]:
    return [sys.executable, str(program or PROGRAM), *args]


def piped(*args: str, program: Path | None = None, env: dict[str, str] | None = None, **settings):
    """Run a program with pipes to its end."""
    settings.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        command(*args, program=program),
        capture_output=True,
        env=environment(**(env or {})),
        timeout=PATIENCE,
        check=False,
        **settings,
    )


def here(*args: str, env: dict[str, str] | None = None, cwd: Path = ROOT):
    """Run the sample program in this process, as if with pipes."""
    out, err, env = io.BytesIO(), io.StringIO(), env or {}
    code = run(args, console=Console(out=out, err=err, env=env), env=env, cwd=cwd, cli=sample_program.build())
    return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue().encode())


class Terminal:
    """A program whose standard input and error, and output unless it is piped, are a terminal."""

    def __init__(self, *args: str, columns: int = 80, env: dict[str, str] | None = None, pipe_output: bool = False):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            command(*args),
            stdin=slave,
            stdout=subprocess.PIPE if pipe_output else slave,
            stderr=slave,
            env=environment(**(env or {})),
            start_new_session=True,
        )
        os.close(slave)
        self.output = ""

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.output:
            assert self._read(deadline), f"ended without {text!r}: {self.output!r}"

    def send(self, text: str) -> None:
        os.write(self._master, text.encode())

    def finish(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        os.close(self._master)
        return self.process.wait(PATIENCE)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more within {PATIENCE} s: {self.output!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError as error:
            if error.errno == errno.EIO:  # the other end is closed
                return False
            raise
        self.output += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)


def on_terminal(*args: str, **settings) -> tuple[int, str]:
    """Run a program on a terminal to its end; return its exit code and what the terminal got."""
    terminal = Terminal(*args, **settings)
    code = terminal.finish()
    return code, terminal.output
