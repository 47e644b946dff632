"""The command reference is what the commands say of themselves, and no command is left out of it."""

import shutil
import subprocess
import sys

from e2e_tools import REPOSITORY, clean_environment
from typer.main import get_command

from aicluster_cli.cli.app import build

SCRIPT = REPOSITORY / "docs" / "build_reference.py"


def check(script=SCRIPT):
    return subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, env=clean_environment(), check=False, text=True
    )


def commands(command, path=()):
    """Yield the path of every command and group, the program itself first."""
    yield " ".join(path)
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def test_reference_is_up_to_date():
    done = check()
    assert done.returncode == 0, done.stderr


def test_check_fails_on_another_text(tmp_path):
    for name in ("build_reference.py", "commands.md"):
        shutil.copy(REPOSITORY / "docs" / name, tmp_path)
    with (tmp_path / "commands.md").open("a") as file:
        file.write("more\n")
    done = check(tmp_path / "build_reference.py")
    assert done.returncode == 1
    assert "make docs" in done.stderr


def test_every_command_is_in_the_reference():
    text = (REPOSITORY / "docs" / "commands.md").read_text()
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    expected = [f"aicluster {path}".strip() for path in commands(get_command(build()))]
    assert sorted(headings) == sorted(expected)
