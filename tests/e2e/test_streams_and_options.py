"""Standard output is data only, whatever the options and wherever they stand; tables and colours are for terminals."""

import json
import re

import pytest
from e2e_tools import Terminal
from sample_tables import VECTOR_ARGS

ANSI = re.compile(r"\x1b\[")


def test_nothing_but_data_on_standard_output_and_no_colour_in_a_pipe(vectors):
    result = vectors.project.process("fetch", "vectors", env={"TERM": "xterm-256color", "COLORTERM": "truecolor"})
    assert result.out == vectors.result.out
    assert result.err == ""
    shown = vectors.project.process("runs", "-v", env={"TERM": "xterm-256color"})
    assert not ANSI.search(shown.text + shown.err)
    assert "─" not in shown.text
    assert shown.err.startswith("profile: ")


def test_error_goes_to_standard_error_and_its_object_to_standard_output(vectors):
    result = vectors.project.process("fetch", "nothing", "--json")
    assert result.code == 1
    assert result.json["error"] == {
        "code": "run",
        "message": "there is no run nothing",
        "hint": "aicluster runs lists them",
    }
    assert result.err == "error: there is no run nothing\nhint: aicluster runs lists them\n"


@pytest.mark.parametrize(
    "args",
    [
        ("--json", "models", "show", "kmeans"),
        ("models", "--json", "show", "kmeans"),
        ("models", "show", "--json", "kmeans"),
        ("models", "show", "kmeans", "--format", "json"),
        ("--format=json", "models", "show", "kmeans"),
    ],
)
def test_options_are_taken_before_and_after_the_commands_name(vectors, args):
    expected = vectors.project("models", "show", "kmeans", "--json").succeeded().out
    assert json.loads(expected)["models"][0]["version"] == "V1"
    assert vectors.project(*args).succeeded().out == expected


def test_format_of_the_environment_gives_way_to_the_flag(vectors):
    env = {"AICLUSTER_FORMAT": "json"}
    assert vectors.project("runs", env=env).json["schema"] == "aicluster.runs/1"
    assert vectors.project("runs", "--format", "csv", env=env).text.startswith("RUN ID,MODEL,")
    assert vectors.project("runs", env={"AICLUSTER_FORMAT": "xml"}).code == 2


def test_profile_by_flag_then_environment_then_folder(project):
    for name in ("one", "two"):
        project.write(f"{name}.yaml", f"platform: local\nroot: store-{name}\n")

    def root(*args, **env):
        values = project("profile", "show", "--json", *args, env=env).succeeded().json["values"]
        return next(value["value"] for value in values if value["key"] == "root")

    assert root() == str(project.root)
    assert root(AICLUSTER_PROFILE="one") == "store-one"
    assert root("--profile", "two", AICLUSTER_PROFILE="one") == "store-two"
    (project.folder / "aicluster.yaml").unlink()
    assert root() == ".aicluster"


def test_quiet_says_nothing_but_errors(tickets, tmp_path):
    project = tickets.copy(tmp_path).project
    done = project("fetch", "--output", "rows.csv", "-q")
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert project("-q", "fetch", "nothing").err.startswith("error: there is no run nothing\n")


def test_quiet_run_prints_its_data_and_nothing_else(tickets, tmp_path):
    project = tickets.copy(tmp_path).project
    args = ("--input", "tickets.csv", "--id-column", "id", "--text-column", "text", "--max-bad-rows", "1")
    result = project("run", "kmeans", *args, "--run-id", "tickets", "-q", "--json").succeeded()
    assert result.err == ""
    assert result.json["run_id"] == "tickets"


def test_rows_of_a_run_on_standard_output_are_its_only_document(vectors, tmp_path):
    project = vectors.copy(tmp_path).project
    args = (*VECTOR_ARGS, "--input", "vectors.csv", "--run-id", "vectors", "--output", "-")
    result = project("run", *args, "--json").succeeded()
    assert result.json["schema"] == "aicluster.rows/1"
    assert len(result.json["rows"]) == 36
    lines = project("run", *args, "--format", "jsonl").succeeded().text.splitlines()
    assert [json.loads(line) for line in lines] == result.json["rows"]
    assert project("run", *args, "--format", "csv").out == project("run", *args).out == vectors.result.out


def test_no_traceback_without_debug(vectors, tmp_path):
    project = vectors.copy(tmp_path).project
    (project.run_folder("vectors") / "run.json").write_text("[]")
    assert "Traceback" not in project("status", "vectors").err
    assert "Traceback (most recent call last)" in project("status", "vectors", "--debug").err


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_on_a_terminal(vectors, env, coloured):
    terminal = Terminal(vectors.project.folder, "models", env=env)
    assert terminal.finish() == 0
    assert "AI_CLUSTER_KMEANS" in terminal.output
    assert "─" in terminal.output
    assert bool(ANSI.search(terminal.output)) is coloured


def test_table_on_a_terminal_fits_its_width(vectors):
    terminal = Terminal(vectors.project.folder, "status", "vectors", columns=60, env={"NO_COLOR": "1"})
    assert terminal.finish() == 0
    assert max(len(line) for line in terminal.output.splitlines()) <= 60


def test_version_and_help_are_data(project):
    version = project("--version")
    assert re.fullmatch(r"aicluster \d+\.\d+\.\d+.*\n", version.text)
    assert project("run", "--help").text.startswith("Usage: aicluster run [OPTIONS] MODEL\n")


# --- completion, as the shells ask for it ---


def completions(project, line: str) -> list[str]:
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_AICLUSTER_COMPLETE": "complete_bash"}
    result = project.process(env=asked)
    assert result.code == 0
    return result.text.split()


def test_completion_of_commands(project):
    assert completions(project, "aicluster mod") == ["models"]
    assert set(completions(project, "aicluster models ")) == {"show", "drop"}


@pytest.mark.parametrize("command", ["run", "register", "models show"])
def test_completion_of_model_names(project, command):
    assert completions(project, f"aicluster {command} ") == ["kmeans", "deep"]


def test_completion_of_what_is_begun(project):
    assert completions(project, "aicluster run k") == ["kmeans"]


@pytest.mark.parametrize("command", ["fetch", "status", "logs"])
def test_completion_of_run_ids(vectors, command):
    assert completions(vectors.project, f"aicluster {command} vec") == ["vectors"]


def test_completion_of_profiles(project):
    project.write("nightly.yaml", "platform: local\n")
    assert completions(project, "aicluster --profile nig") == ["nightly"]
    assert completions(project, "aicluster run --profile nig") == ["nightly"]


def test_completion_says_nothing_where_the_profile_is_broken(project):
    project.write("aicluster.yaml", "platform: [\n")
    assert completions(project, "aicluster fetch ") == []
