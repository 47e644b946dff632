"""Exit codes, errors, signals and help of the program as a process; and what loading its help costs."""

import io
import json
import signal
import subprocess
import sys
from typing import Annotated

import pytest
import typer
from frame_processes import Terminal, command, environment, here, on_terminal, piped
from typer.main import get_command

from aicluster_cli.cli.app import build
from aicluster_cli.cli.console import Console
from aicluster_cli.cli.groups import add_command, root_group
from aicluster_cli.cli.main import run
from aicluster_cli.cli.options import App, common_options

HEAVY = {
    *("rich", "pydantic", "pydantic_core", "yaml", "numpy", "pandas", "pyarrow", "duckdb", "sklearn", "scipy"),
    *("snowflake", "hdbscan", "wordllama", "filelock", "threadpoolctl"),
}


# --- exit codes and errors ---


@pytest.mark.parametrize(
    ("kind", "code", "lines"),
    [
        ("usage", 2, ["error: a bad flag", "hint: aicluster run --help"]),
        ("connection", 4, ["error: the job failed", "on its node", "hint: aicluster logs R1"]),
        ("bad-rows", 5, ["error: 3 bad rows"]),
        ("running", 8, ["error: R1 is still running", "hint: aicluster status R1"]),
        ("exit", 8, []),
        ("sys-exit", 5, []),
    ],
)
def test_exit_code_and_lines_of_an_error(kind, code, lines):
    result = piped("fail", kind)
    assert (result.returncode, result.stdout, result.stderr.decode().splitlines()) == (code, b"", lines)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("bug", "error: unexpected ZeroDivisionError: by zero"),
        # Typer would make these two "Aborted!" and a silent exit.
        ("eof", "error: unexpected EOFError: Ran out of input"),
        ("network-pipe", "error: unexpected BrokenPipeError: [Errno 32] Broken pipe"),
    ],
)
def test_unexpected_failure_says_how_to_see_more(kind, message):
    result = here("fail", kind)
    assert result.returncode == 1
    assert result.stderr.decode().splitlines() == [
        message,
        f"hint: run again with --debug to see where: aicluster --debug fail {kind}",
    ]


@pytest.mark.parametrize("args", [["--debug", "fail", "bug"], ["fail", "usage", "--debug"], ["fail", "--debug"]])
def test_traceback_only_with_debug(args):
    result = here(*args)
    text = result.stderr.decode()
    assert "Traceback (most recent call last)" in text
    assert text.splitlines()[-2].startswith("error: ")
    assert "Traceback" not in here(*[arg for arg in args if arg != "--debug"]).stderr.decode()


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["setings"], "no such command 'setings'. Did you mean 'settings'?", "aicluster --help"),
        (["models", "shw"], "no such command 'shw'. Did you mean 'show'?", "aicluster models --help"),
        (["settings", "--siez", "3"], "no such option '--siez'. Did you mean '--size'?", "aicluster settings --help"),
        (["--jsn", "settings"], "no such option '--jsn'. Did you mean '--json'?", "aicluster --help"),
        (["settings", "--zzz"], "no such option '--zzz'", "aicluster settings --help"),
        (["fail"], "missing argument 'KIND'", "aicluster fail --help"),
        (["settings", "a", "b"], "got unexpected extra argument(s) (b)", "aicluster settings --help"),
        (["settings", "--size", "x"], "invalid value for '--size'", "aicluster settings --help"),
    ],
)
def test_usage_error_is_two_lines_with_the_help_to_ask_for(args, message, hint):
    result = here(*args)
    first, *_, last = result.stderr.decode().splitlines()
    assert result.returncode == 2
    assert first.startswith(f"error: {message}")
    assert last == f"hint: {hint}"
    assert result.stdout == b""


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["settings", "--zzz", "--json"], {}),
        (["--json", "zzz"], {}),
        (["settings", "--size", "x", "--format", "json"], {}),
        (["--format=json", "fail"], {}),
        (["fail"], {"AICLUSTER_FORMAT": "json"}),
        (["--json", "--profile"], {}),
    ],
)
def test_usage_error_is_an_object_too_when_json_is_wanted(args, env):
    result = here(*args, env=env)
    document = json.loads(result.stdout)
    assert result.returncode == 2
    assert document["schema"] == "aicluster.error/1"
    assert document["error"]["code"] == "usage"
    assert f"error: {document['error']['message']}\nhint: {document['error']['hint']}\n" == result.stderr.decode()


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["settings", "--zzz", "--format", "csv"], {"AICLUSTER_FORMAT": "json"}),
        (["settings", "--zzz", "--", "--json"], {}),
    ],
)
def test_usage_error_is_no_object_when_json_is_not_wanted(args, env):
    assert here(*args, env=env).stdout == b""


@pytest.mark.parametrize("kind", ["running", "bug"])
def test_every_error_is_an_object_when_json_is_wanted(kind):
    result = here("fail", kind, "--json")
    error = json.loads(result.stdout)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert result.stderr.decode().startswith(f"error: {error['message']}\n")


def test_errors_are_shown_with_q():
    assert here("-q", "fail", "usage").stderr.startswith(b"error: a bad flag")


def test_error_naming_something_with_control_characters_cannot_steer_the_terminal():
    _, output = on_terminal("x\x1b]0;owned\x07", env={"NO_COLOR": "1"})
    assert "no such command" in output
    assert "\x1b" not in output


# --- signals ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_is_an_interrupt_told_in_one_line(number):
    process = subprocess.Popen(
        command("wait"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), start_new_session=True
    )
    assert process.stderr.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"error: interrupted\n")


def test_interrupt_with_json_is_an_object():
    process = subprocess.Popen(
        command("wait", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(out)["error"]["code"] == "interrupted"


def test_interrupt_while_the_line_is_parsed_is_told_too(tmp_path):
    def interrupted(value: str) -> str:
        raise KeyboardInterrupt

    @common_options()
    def go(app: App, word: Annotated[str, typer.Argument(callback=interrupted)]) -> None:
        """Go."""

    cli = root_group("X", version=lambda: "1")
    add_command(cli, go)
    err = io.StringIO()
    console = Console(out=io.BytesIO(), err=err, env={})
    assert run(["go", "x"], console=console, env={}, cwd=tmp_path, cli=cli) == 130
    assert err.getvalue() == "error: interrupted\n"


def test_ctrl_c_while_a_bar_is_shown_gives_the_terminal_back():
    terminal = Terminal("work")
    terminal.read_until("0/3")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.finish() == 130
    assert terminal.output.rindex("\x1b[?25h") > terminal.output.rindex("\x1b[?25l")  # the cursor is shown
    assert "error:" in terminal.output[terminal.output.rindex("\x1b[2K") :]


def test_signal_that_the_parent_ignores_stays_ignored():
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("wait")], stderr=subprocess.PIPE, env=environment()
    )
    assert process.stderr.readline() == b"ready\n"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR1)
    assert process.stderr.readline() == b"still here\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130


# --- libraries ---


@pytest.mark.parametrize(("flags", "heard"), [([], False), (["-q"], False), (["-v"], True), (["--debug"], True)])
def test_warnings_and_logs_of_libraries_are_for_who_asks(flags, heard):
    text = piped("noisy", *flags).stderr.decode()
    assert ("library warning" in text) is heard
    assert ("library record" in text) is heard


# --- help ---


def test_no_command_prints_help_and_is_no_error():
    bare, asked = piped(), piped("--help")
    assert (bare.returncode, bare.stderr) == (0, b"")
    assert bare.stdout == asked.stdout
    assert bare.stdout.startswith(b"Usage: aicluster [OPTIONS] COMMAND\n")


def test_version():
    result = piped("--version")
    assert (result.returncode, result.stdout) == (0, b"sample 1.2\n")


def aicluster(*args):
    return subprocess.run(
        [sys.executable, "-m", "aicluster_cli.cli.main", *args], capture_output=True, env=environment(), check=False
    )


def loaded(*program):
    """Return the packages that Python loads for a program, and what the program prints."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *program], capture_output=True, env=environment(), check=False
    )
    assert result.returncode == 0
    names = [line.rsplit("|", 1)[1].strip() for line in result.stderr.decode().splitlines() if line.count("|") == 2]
    assert "typer" in names
    return {name.split(".")[0] for name in names}, result.stdout.decode()


def commands(command=None, path=()):
    """Return the paths of all commands and groups of aicluster, the program itself first."""
    command = command or get_command(build())
    below = getattr(command, "commands", {})
    return [path, *(found for name, child in below.items() for found in commands(child, (*path, name)))]


def test_version_of_aicluster_is_the_packages_own():
    result = aicluster("--version")
    assert result.returncode == 0
    assert result.stdout.startswith(b"aicluster ")


def test_help_of_aicluster_lists_the_exit_codes():
    text = aicluster("--help").stdout.decode()
    for code in ("0    done", "2    usage", "8    still running", "130  interrupted"):
        assert code in text


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_help_of_every_command_is_light_and_fits_80_columns(path):
    packages, text = loaded("-m", "aicluster_cli.cli.main", "--profile", "x", *path, "--help")
    assert not packages & HEAVY
    assert text.startswith(f"Usage: {' '.join(('aicluster', *path))}")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "args",
    [["--json", "-v", "models", "--profile", "x", "show", "-h"], ["models", "--help"], ["profile"], ["--version"], []],
)
def test_help_is_light_with_options_before_it_and_without_a_command(args):
    packages, _ = loaded(*command(*args)[1:])
    assert not packages & HEAVY
