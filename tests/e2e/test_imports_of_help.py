"""Help must be quick, so no command's module may load what only its work needs."""

import json
import subprocess
import sys

from e2e_tools import clean_environment

HEAVY = {
    *("numpy", "pandas", "pyarrow", "duckdb", "sklearn", "scipy", "hdbscan", "snowflake", "wordllama"),
    *("pydantic", "pydantic_core", "yaml", "rich", "filelock", "threadpoolctl", "urllib3", "requests", "asyncio"),
}
SCRIPT = """
import sys
before = set(sys.modules)  # what the installed packages' own .pth files load
import io, json
from pathlib import Path
from aicluster_cli.cli.app import build
from aicluster_cli.cli.console import Console
from aicluster_cli.cli.main import run
from typer.main import get_command

def paths(command, path=()):
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from paths(child, (*path, name))

found = {}
for path in paths(get_command(build())):
    out = io.BytesIO()
    console = Console(out=out, err=sys.stderr, env={})
    code = run([*path, "--help"], console=console, env={}, cwd=Path.cwd(), cli=build())
    assert code == 0 and out.getvalue().startswith(b"Usage: aicluster"), path
    found[" ".join(path)] = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
print(json.dumps(found))
"""


def test_help_of_no_command_loads_anything_heavy():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, env=clean_environment(), check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert {"", "run", "fetch", "models show", "profile schema"} <= set(loaded)
    assert {name: set(modules) & HEAVY for name, modules in loaded.items() if set(modules) & HEAVY} == {}
    assert "typer" in loaded[""]
