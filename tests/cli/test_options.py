"""Global options before and after the command's name, what a command gets of them, groups and completion."""

import io
import subprocess
from typing import Annotated

import pytest
import typer
from frame_processes import command, environment, here, piped

from aicluster_cli.cli.console import Console
from aicluster_cli.cli.groups import add_command, root_group
from aicluster_cli.cli.main import run
from aicluster_cli.cli.options import App, common_options


def settings(*args, env=None):
    """Run the sample's ``settings`` somewhere in ``args``; return profile, format, verbosity and debug."""
    result = here(*args, env=env)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().split()[:4]


def refused(*args, env=None):
    """Run something that must be a usage error; return its two lines."""
    result = here(*args, env=env)
    assert result.returncode == 2
    assert result.stdout == b""
    return result.stderr.decode().splitlines()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["--profile", "ci", "--format", "json", "-vv", "--debug"], []),
        ([], ["--profile", "ci", "--format", "json", "-vv", "--debug"]),
        (["--profile=ci", "--json", "--verbose"], ["-vv", "--debug"]),
        (["-vv", "--profile", "other"], ["--debug", "--json", "--profile=ci"]),
        (["-v", "-v", "--format=json", "--debug", "--profile", "ci"], []),
    ],
)
def test_global_options_mean_the_same_before_and_after_the_command(before, after):
    assert settings(*before, "settings", *after) == ["ci", "json", "2", "True"]


def test_without_global_options_everything_is_at_its_default():
    assert settings("settings") == ["None", "table", "0", "False"]


@pytest.mark.parametrize(
    "args",
    [
        ["--json", "--profile", "p", "-v", "models", "show", "X"],
        ["models", "--json", "--profile", "p", "-v", "show", "X"],
        ["models", "show", "X", "--json", "--profile", "p", "-v"],
        ["-v", "models", "--profile", "p", "show", "--json", "X"],
        ["--profile", "q", "models", "--profile", "p", "show", "--json", "X", "-v"],
    ],
)
def test_global_options_stand_between_group_and_command_too(args):
    assert here(*args).stdout == b"show X json p 1\n"


def test_bare_group_runs_its_own_function_with_the_options_around_it():
    assert here("--json", "models", "--profile", "p", "--all").stdout == b"list json p True\n"
    assert here("models").stdout == b"list table None False\n"


def test_bare_group_without_a_function_prints_its_help():
    result = here("profile")
    assert result.returncode == 0
    assert result.stdout == here("profile", "--help").stdout
    assert b"Usage: aicluster profile [OPTIONS] COMMAND" in result.stdout


@pytest.mark.parametrize(
    ("args", "verbosity"),
    [
        (["-q", "settings"], "-1"),
        (["settings", "-q"], "-1"),
        (["-q", "settings", "-v"], "1"),
        (["-vv", "settings", "-q"], "-1"),
    ],
)
def test_nearest_to_the_command_wins(args, verbosity):
    assert settings(*args)[2] == verbosity


def test_nearest_format_wins():
    assert settings("--json", "settings", "--format", "csv")[1] == "csv"
    assert settings("--format", "csv", "settings", "--json")[1] == "json"


@pytest.mark.parametrize("args", [["--json", "--format", "csv", "settings"], ["settings", "--json", "--format", "csv"]])
def test_contradiction_in_one_place_is_refused(args):
    result = here(*args)
    assert result.returncode == 2
    assert b"error: --json and --format csv contradict each other" in result.stderr


@pytest.mark.parametrize("args", [["-q", "-v", "settings"], ["settings", "-qv"], ["-vq", "settings"]])
def test_quiet_and_verbose_in_one_place_are_refused(args):
    assert refused(*args)[0] == "error: -q and -v contradict each other"


@pytest.mark.parametrize("args", [["--format", "xml", "settings"], ["settings", "--format=xml"]])
def test_unknown_format_is_refused(args):
    assert refused(*args)[0] == "error: --format must be one of table, json, csv; got 'xml'"


def test_extra_format_is_for_the_command_that_offers_it():
    assert here("--format", "jsonl", "table").stdout.startswith(b'{"RUN"')
    assert refused("--format", "jsonl", "settings")[0].endswith("got 'jsonl'")


def test_group_does_not_judge_the_format_that_its_command_offers():
    assert here("models", "--format", "jsonl", "table").stdout.startswith(b'{"RUN"')


@pytest.mark.parametrize(
    ("value", "args", "wanted"),
    [
        ("json", [], "json"),
        ("csv", [], "csv"),
        ("", [], "table"),
        ("json", ["--format", "csv"], "csv"),
        ("xml", ["--json"], "json"),
    ],
)
def test_variable_sets_the_default_format_and_a_flag_comes_before_it(value, args, wanted):
    assert settings("settings", *args, env={"AICLUSTER_FORMAT": value})[1] == wanted


@pytest.mark.parametrize("value", ["xml", "jsonl"])
def test_wrong_variable_is_refused_by_its_name(value):
    message, hint = refused("table", env={"AICLUSTER_FORMAT": value})
    assert message == f"error: AICLUSTER_FORMAT must be one of table, json, csv; it is '{value}'"
    assert "unset AICLUSTER_FORMAT" in hint


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--profile"], "error: option --profile needs a value"),
        (["models", "--format"], "error: option --format needs a value"),
        (["--json=yes", "settings"], "error: option --json takes no value"),
        (["settings", "--profile"], "error: option '--profile' requires an argument"),
    ],
)
def test_option_with_a_wrong_number_of_values_is_refused(args, message):
    result = here(*args)
    assert result.returncode == 2
    assert result.stderr.decode().splitlines()[0] == message


def test_words_after_a_double_dash_are_no_options():
    assert here("settings", "--", "--json").stdout.split()[4] == b"--json"


def test_command_gets_its_own_parameters_with_their_types_and_the_current_folder(tmp_path):
    result = here("settings", "w", "--size", "4", "--set", "a=1", "--set", "b=2", "--output", "x/y", cwd=tmp_path)
    assert result.stdout.decode().strip() == f"None table 0 False w 4 ['a=1', 'b=2'] x/y {tmp_path.name}"


FUTURE = '''
from __future__ import annotations
from pathlib import Path
from typing import Annotated
import typer
from aicluster_cli.cli.groups import add_command, root_group
from aicluster_cli.cli.main import main
from aicluster_cli.cli.options import App, common_options

@common_options(extra_formats=("jsonl",))
def go(
    app: App, where: Annotated[Path, typer.Argument(help="Where.")], many: Annotated[int, typer.Option()] = 2
) -> None:
    """Go."""
    app.console.data_text(f"{where!r} {many} {app.format}")

def build():
    cli = root_group("X", version=lambda: "1")
    add_command(cli, go, "go-now")
    return cli

main(build)
'''


def test_decorator_understands_postponed_annotations(tmp_path):
    program = tmp_path / "future.py"
    program.write_text(FUTURE)
    result = piped("go-now", "a/b", "--many", "3", "--format", "jsonl", program=program)
    assert result.stdout == b"PosixPath('a/b') 3 jsonl\n"


def test_decorated_function_keeps_its_name_help_and_the_function_itself():
    @common_options()
    def spoken(app: App, word: str = "x") -> None:
        """Say a word."""

    assert spoken.__name__ == "spoken"
    assert spoken.__doc__ == "Say a word."


def test_first_parameter_must_be_the_app():
    with pytest.raises(TypeError, match="first parameter of wrong must be an App"):

        @common_options()
        def wrong(word: str) -> None: ...


def test_parameter_named_like_a_global_option_is_refused():
    with pytest.raises(TypeError, match="named like a global option: profile"):

        @common_options()
        def wrong(app: App, profile: str) -> None: ...


def complete(*words):
    """Return what bash would offer for the last word."""
    env = {
        "COMP_WORDS": " ".join(("aicluster", *words)),
        "COMP_CWORD": str(len(words)),
        "_AICLUSTER_COMPLETE": "complete_bash",
    }
    return piped(env=env).stdout.decode().split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["mo"], ["models"]),
        (["--json", "models", "s"], ["show"]),
        (["--profile", "x", "mo"], ["models"]),
        (["settings", "a"], ["alpha"]),
        (["--pro"], ["--profile"]),
        (["table", "--format", ""], ["table", "json", "csv", "jsonl"]),
        (["--format", "j"], ["json"]),
        (["settings", "--ou"], ["--output"]),
    ],
)
def test_completion_offers(words, offered):
    assert complete(*words) == offered


def test_completion_of_profiles_names_the_files_here(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "configs" / "minor.yaml").touch()
    env = environment(COMP_WORDS="aicluster table --profile mi", COMP_CWORD="3", _AICLUSTER_COMPLETE="complete_bash")
    result = subprocess.run(command(), capture_output=True, env=env, cwd=tmp_path, check=False)
    assert result.stdout.split() == [b"mine", b"minor"]
    assert result.stderr == b""


BROKEN_COMPLETION = '''
from typing import Annotated
import typer
from aicluster_cli.cli.groups import add_command, root_group
from aicluster_cli.cli.main import main
from aicluster_cli.cli.options import App, common_options, completer

def names(app):
    print("loading", app.profile_name)
    if app.profile_name == "broken":
        raise ValueError("broken profile")
    return [("one", "the first"), ("other", app.profile_name)]

@common_options()
def go(app: App, name: Annotated[str, typer.Argument(autocompletion=completer(names))]) -> None:
    """Go."""

def build():
    cli = root_group("X", version=lambda: "1")
    add_command(cli, go)
    return cli

main(build)
'''


@pytest.mark.parametrize(("profile", "offered"), [("fine", [b"one", b"other"]), ("broken", [])])
def test_completer_knows_the_profile_and_fails_in_silence(tmp_path, profile, offered):
    program = tmp_path / "completing.py"
    program.write_text(BROKEN_COMPLETION)
    words = f"aicluster --profile {profile} go o"
    env = {"COMP_WORDS": words, "COMP_CWORD": "4", "_AICLUSTER_COMPLETE": "complete_bash"}
    result = piped(program=program, env=env)
    assert result.stdout.split() == offered
    assert result.stderr == b""


def test_completion_script_goes_to_standard_output():
    env = environment(SHELL="/bin/bash")
    result = subprocess.run(  # from a shell: which one it is, is found out from the processes above
        ["bash", "-c", '"$@"; exit $?', "bash", *command("--show-completion")],
        capture_output=True,
        env=env,
        check=False,
    )
    assert result.returncode == 0
    assert b"_AICLUSTER_COMPLETE=complete_bash" in result.stdout
    assert result.stderr == b""


def test_a_command_can_be_found_under_a_heading_and_names_its_arguments():
    text = here("--help").stdout.decode()
    assert text.index("\nCommands:\n  settings") < text.index("\nMore:\n  stream") < text.index("\nOptions:")
    assert text.index("\nOptions:") < text.index("\nGlobal options:") < text.index("\nExit codes:\n  0  done\n  1")
    assert "Usage: aicluster models show [OPTIONS] NAME" in here("models", "show", "-h").stdout.decode()
    assert "Usage: aicluster models [OPTIONS] [COMMAND]" in here("models", "-h").stdout.decode()
    assert "--format table|json|csv|jsonl" in here("stream", "-h").stdout.decode()


def test_command_gets_the_environment_and_folder_that_the_process_was_given(tmp_path):
    seen = []

    @common_options()
    def look(app: App, word: Annotated[str, typer.Argument()]) -> None:
        """Look."""
        seen.append((app.env["KEY"], app.cwd, word))

    cli = root_group("X", version=lambda: "1")
    add_command(cli, look)
    env = {"KEY": "value"}
    console = Console(out=io.BytesIO(), err=None, env=env)
    assert run(["look", "here"], console=console, env=env, cwd=tmp_path, cli=cli) == 0
    assert seen == [("value", tmp_path, "here")]
