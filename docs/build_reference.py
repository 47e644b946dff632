"""Writes docs/commands.md from the commands' own --help; with --check it only says whether that file is true."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from aicluster_cli.cli.app import build
from aicluster_cli.cli.console import Console
from aicluster_cli.cli.main import run

REFERENCE = Path(__file__).with_name("commands.md")
COMMANDS = (
    "",
    "demo",
    "run",
    "fetch",
    "runs",
    "status",
    "logs",
    "register",
    "models",
    "models show",
    "models drop",
    "setup",
    "doctor",
    "profile",
    "profile init",
    "profile show",
    "profile validate",
    "profile schema",
)
HEAD = """# Commands

Made by `make docs` from each command's `--help`; a test fails when it is out of date.
"""


def reference() -> str:
    """Return the text of the command reference."""
    return HEAD + "".join(
        f"\n## {f'aicluster {command}'.strip()}\n\n```text\n{help_text(command)}```\n" for command in COMMANDS
    )


def help_text(command: str) -> str:
    """Return what ``aicluster COMMAND --help`` prints at 80 columns."""
    out = io.BytesIO()
    env = {"COLUMNS": "80", "TERM": "dumb"}
    os.environ["COLUMNS"] = "80"  # Typer reads it from the process
    console = Console(out=out, err=io.StringIO(), env=env)
    code = run([*command.split(), "--help"], console=console, env=env, cwd=Path.cwd(), cli=build())
    if code != 0:
        raise SystemExit(f"aicluster {command} --help ended with {code}")
    return out.getvalue().decode()


def main() -> int:
    """Write the reference, or check it."""
    text = reference()
    if "--check" not in sys.argv:
        REFERENCE.write_text(text, encoding="utf-8")
        return 0
    if REFERENCE.is_file() and REFERENCE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/commands.md is out of date; run: make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
