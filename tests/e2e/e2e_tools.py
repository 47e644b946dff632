"""Running aicluster as people do: in this process where only its answers matter, else in a process of its own."""

import contextlib
import dataclasses
import errno
import fcntl
import io
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from aicluster_cli.cli.app import build
from aicluster_cli.cli.console import Console
from aicluster_cli.cli.main import run
from aicluster_cli.records import RunRecord

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 120  # seconds after which a test gives up; none waits for them to pass
PROGRAM = (sys.executable, "-m", "aicluster_cli.cli.main")


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command left: exit code, standard output as bytes, standard error as text."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def json(self):
        """The one JSON document on standard output: more than one does not parse."""
        return json.loads(self.out)

    @property
    def table(self) -> list[list[str]]:
        """The rows of a table in a pipe, the header first."""
        return [line.split("\t") for line in self.text.splitlines()]

    @property
    def errors(self) -> list[str]:
        """What ``error:`` and ``hint:`` say, after checking that they end standard error as they must."""
        lines = self.err.splitlines()
        first = max((at for at, line in enumerate(lines) if line.startswith("error: ")), default=-1)
        assert first >= 0, f"no error: {self.err}"
        assert "Traceback" not in self.err
        assert lines[-1].startswith("hint: ") or first == len(lines) - 1, self.err
        return lines[first:]

    def succeeded(self) -> "Result":
        assert self.code == 0, self.err
        return self


class Project:
    """A folder with a profile and a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "store"

    @classmethod
    def new(cls, folder: Path, *, models: Path | None = None, profile: str = "") -> "Project":
        """Make a project; ``models`` is a registry to begin with."""
        folder.mkdir(parents=True, exist_ok=True)
        project = cls(folder)
        project.write("aicluster.yaml", f"platform: local\nroot: {project.root}\nthreads: 1\n{profile}")
        if models is not None:
            shutil.copytree(models, project.root / "registry")
        return project

    def copy(self, folder: Path) -> "Project":
        """Return a copy that may be changed."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        project = Project(folder)
        profile = (folder / "aicluster.yaml").read_text()
        project.write("aicluster.yaml", profile.replace(str(self.root), str(project.root)))
        return project

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def __call__(self, *args: str | Path, env: dict[str, str] | None = None) -> Result:
        """Run a command in this process."""
        out, err = io.BytesIO(), io.StringIO()
        environment = {"TERM": "dumb", **(env or {})}
        console = Console(out=out, err=err, env=environment)
        with contextlib.chdir(self.folder):
            code = run([str(arg) for arg in args], console=console, env=environment, cwd=self.folder, cli=build())
        return Result(code, out.getvalue(), err.getvalue())

    def process(
        self,
        *args: str | Path,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Result:
        """Run a command in a process of its own, to its end; ``prefix`` is a command that runs it."""
        done = subprocess.run(
            [*prefix, *command(*args)],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=clean_environment(**(env or {})),
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    @contextlib.contextmanager
    def started(self, *args: str | Path, **settings) -> Iterator["Running"]:
        """Start a command in a process of its own; it is ended when the block is."""
        with Running(self.folder, *args, **settings) as running:
            yield running

    def run_folder(self, run_id: str) -> Path:
        return self.root / "stage" / run_id

    def record(self, run_id: str) -> RunRecord:
        return RunRecord.from_json(json.loads((self.run_folder(run_id) / "run.json").read_text()))

    @property
    def run_ids(self) -> set[str]:
        stage = self.root / "stage"
        return {folder.name for folder in stage.iterdir()} if stage.is_dir() else set()

    def leftovers(self) -> list[Path]:
        """Files that were begun and not finished, anywhere in the project."""
        return [path for path in self.folder.rglob("*") if path.name.endswith(".part") or ".building-" in path.name]


class Running:
    """A command that runs; its standard error can be followed line by line."""

    def __init__(self, folder: Path, *args: str | Path, stdin=subprocess.DEVNULL, env: dict[str, str] | None = None):
        self.process = subprocess.Popen(
            command(*args),
            cwd=folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(**(env or {})),
            start_new_session=True,
        )
        self.err = ""

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def read_until(self, text: str) -> None:
        while text not in self.err:
            line = self.process.stderr.readline().decode()
            assert line, f"ended without {text!r}: {self.err}"
            self.err += line

    def finish(self) -> Result:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Result(self.process.returncode, out, self.err + err.decode())


def processes() -> dict[int, tuple[int, str]]:
    """Return parent and state of every process there is, zombies left out."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found[int(folder.name)] = (int(parent), state)
    return found


def children_of(process: subprocess.Popen) -> list[int]:
    """Return the living processes that one of ours has started."""
    return [pid for pid, (parent, _) in processes().items() if parent == process.pid]


class Terminal:
    """A command on a terminal that it controls: what is typed reaches it, Ctrl-C included."""

    def __init__(self, folder: Path, *args: str | Path, columns: int = 100, env: dict[str, str] | None = None):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            after("import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)", *command(*args)),
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=clean_environment(**{"TERM": "xterm", **(env or {})}),
            start_new_session=True,
        )
        os.close(slave)
        self.output = ""

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.output:
            assert self._read(deadline), f"ended without {text!r}: {self.output!r}"

    def type(self, text: str) -> None:
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


def command(*args: str | Path) -> list[str]:
    return [*PROGRAM, *map(str, args)]


def after(statements: str, *words: str) -> list[str]:
    """Return the command that carries out Python statements and then becomes the command of ``words``."""
    script = f"{statements}; import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-S", "-c", script, *words]


def clean_environment(**changes: str) -> dict[str, str]:
    """Return an environment in which nothing of the tester's own shows."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"}}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONUTF8": "1", "TERM": "dumb", **changes}
