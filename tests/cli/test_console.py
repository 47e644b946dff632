"""What the console prints, where, and what it keeps from a terminal."""

import errno
import io
import json
import os
import subprocess
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from frame_processes import Terminal, command, environment, here, on_terminal, piped

from aicluster_cli.cli.console import Console
from aicluster_cli.cli.progress import elapsed
from aicluster_cli.cli.render import exact, friendly, json_text, one_line, printable
from aicluster_cli.errors import JobFailedError, UsageError


def make_console(env=None, clock=None, stdin=None):
    out, err = io.BytesIO(), io.StringIO()
    console = Console(out=out, err=err, env=env or {}, stdin=stdin, clock=clock or (lambda: 0.0))
    return console, out, err


def read_line(master):
    """Read what a terminal got up to its first line end."""
    data = b""
    while not data.endswith(b"\n"):
        data += os.read(master, 1000)
    return data.decode()


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


# --- values ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 漢字 👩‍👩‍👧", "plain äöü 漢字 👩‍👩‍👧"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb", "a\\x0db"),
        ("a\r\nb\tc\n", "a\nb\tc\n"),
        ("\x00\x08\x7f", "\\x00\\x08\\x7f"),
        ("user\u202etxt.exe\u2066\u2069", "user\\u202etxt.exe\\u2066\\u2069"),
        ("bad \udc80 name", "bad \\udc80 name"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_printable_shows_what_a_terminal_would_obey(text, shown):
    assert printable(text) == shown


def test_one_line_folds_breaks_and_tabs_into_spaces():
    assert one_line("a\r\nb\n\n\tc\u2028d\x85e\x1b") == "a b c d e\\x1b"


@dataclass
class Row:
    name: str
    path: Path


def test_json_understands_what_commands_hold_and_has_no_nan():
    document = {
        "row": Row("a", Path("x/y")),
        "day": date(2026, 1, 2),
        "values": np.array([1.5, np.nan], dtype=np.float32),
        "count": np.int64(3),
        "share": float("inf"),
        "set": {"only"},
    }
    assert json.loads(json_text(document)) == {
        "row": {"name": "a", "path": "x/y"},
        "day": "2026-01-02",
        "values": [1.5, None],
        "count": 3,
        "share": None,
        "set": ["only"],
    }


def test_json_keeps_text_readable_and_escapes_only_what_a_terminal_would_obey():
    text = json_text({"text": "äé漢 \x1b \x9b \u202e \udc80"})
    assert "äé漢" in text
    assert not set(text) & set("\x1b\x9b\u202e\udc80")
    assert json.loads(text)["text"] == "äé漢 \x1b \x9b \u202e \udc80"


def test_json_of_something_without_a_form_is_refused():
    with pytest.raises(TypeError, match="object has no JSON form"):
        json_text({"x": object()})


@pytest.mark.parametrize(
    ("value", "in_csv", "for_people"),
    [
        (None, "", ""),
        (True, "true", "yes"),
        (0.1 + 0.2, "0.30000000000000004", "0.3"),
        (12345.678, "12345.678", "12345.678"),
        (0.00001234, "1.234e-05", "1.23e-05"),
        (100.0, "100.0", "100"),
        (float("nan"), "", ""),
        (np.float32(0.5), "0.5", "0.5"),
        (np.int64(7), "7", "7"),
        ({"k": 1}, '{"k": 1}', '{"k": 1}'),
        ("a\nb", "a\nb", "a b"),
    ],
)
def test_cells(value, in_csv, for_people):
    assert (exact(value), friendly(value)) == (in_csv, for_people)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (1.25, "1.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (125, "2 min 5 s"),
        (12000, "3 h 20 min"),
    ],
)
def test_elapsed_times_for_people(seconds, text):
    assert elapsed(seconds) == text


# --- data in pipes and files ---


def test_table_in_a_pipe_is_lines_of_tabs_whatever_the_cells_hold():
    result = here("table", env={"FORCE_COLOR": "1"})
    assert result.stdout.decode() == (
        "RUN\tTEXT\tSHARE\nR1\tplain\t0.25\nR2\tesc \\x1b]0;owned\\x07 bell next line \\u202eevil\t\n"
    )
    assert result.stderr == b""


def test_csv_in_a_pipe_is_exact():
    result = here("table", "--format", "csv")
    assert result.stdout.decode() == (
        'RUN,TEXT,SHARE\nR1,plain,0.25\nR2,"esc \x1b]0;owned\x07 bell\nnext\tline \u202eevil",\n'
    )


def test_json_is_the_commands_own_document():
    document = json.loads(here("table", "--json").stdout)
    assert document["schema"] == "sample/1"
    assert document["rows"][1] == ["R2", "esc \x1b]0;owned\x07 bell\nnext\tline \u202eevil", None]


def test_json_lines_are_one_object_a_row():
    lines = here("table", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["RUN"] for line in lines] == ["R1", "R2"]


def test_table_without_a_document_prints_nothing_in_json():
    console, out, _ = make_console()
    console.configure(output_format="json", verbosity=0)
    console.data_table(["A"], [(1,)])
    assert console.finish(0) == 0
    assert out.getvalue() == b""


def test_rows_may_be_a_generator():
    console, out, _ = make_console()
    console.data_table(["A"], ((n,) for n in range(3)))
    assert out.getvalue() == b"A\n0\n1\n2\n"


def test_text_gets_a_final_line_feed_once():
    console, out, _ = make_console()
    console.data_text("SELECT 1;")
    console.data_text("SELECT 2;\n")
    assert out.getvalue() == b"SELECT 1;\nSELECT 2;\n"


def test_closing_the_stream_or_a_wrapper_over_it_leaves_the_output_open():
    console, out, _ = make_console()
    with io.TextIOWrapper(console.data_stream(), encoding="utf-8") as text:
        text.write("one\n")
    console.data_stream().write(b"two\n")
    console.data_text("three")
    assert console.finish(0) == 0
    assert out.getvalue() == b"one\ntwo\nthree\n"


def test_data_is_utf8_in_a_pipe_whatever_the_locale():
    text = "grüße 漢"
    result = piped("settings", text, env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
    assert text in result.stdout.decode("utf-8")


def test_whatever_libraries_and_children_print_goes_to_standard_error():
    result = piped("noisy")
    assert json.loads(result.stdout) == {"schema": "sample/1", "ok": True}
    for noise in (b"python noise", b"no line end", b"descriptor noise", b"child noise"):
        assert noise in result.stderr


# --- data on a terminal ---


def test_table_on_a_terminal_is_drawn_and_neutral():
    code, output = on_terminal("table")
    assert code == 0
    assert "─" in output
    assert "\x1b[1m" in output  # the bold header
    assert "\x1b]0;owned" not in output
    assert "\\x1b]0;owned\\x07 bell next line \\u202eevil" in output
    assert output.index("Runs") < output.index("R1") < output.index("that is all")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"FORCE_COLOR": "0"}])
def test_no_colour_where_none_is_wanted(env):
    _, output = on_terminal("table", env=env)
    assert "R1" in output
    assert "\x1b" not in output


@pytest.mark.parametrize(("columns", "env", "widest"), [(40, {}, 40), (80, {"COLUMNS": "30"}, 30)])
def test_table_fits_the_terminal_and_loses_no_text(columns, env, widest):
    _, output = on_terminal("table", columns=columns, env={"NO_COLOR": "1", **env})
    assert max(map(len, output.splitlines())) <= widest
    text = "".join("".join(line[5:-7].split()) for line in output.splitlines() if "─" not in line)
    assert "\\u202eevil" in text


def test_numbers_are_right_aligned_on_a_terminal():
    _, output = on_terminal("table", "--rows", "1", env={"NO_COLOR": "1"})
    header, row = (next(line for line in output.splitlines() if word in line) for word in ("SHARE", "R1"))
    assert len(header.rstrip()) == len(row.rstrip())


@pytest.mark.parametrize("wanted", ["csv", "json", "jsonl"])
def test_no_format_lets_data_steer_the_terminal(wanted):
    code, output = on_terminal("table", "--format", wanted)
    assert code == 0
    assert "owned" in output
    assert "\x1b" not in output
    assert "\u202e" not in output


def test_stream_on_a_terminal_is_neutral_even_when_characters_are_split():
    master, slave = os.openpty()
    with os.fdopen(slave, "wb", buffering=0) as out:
        console = Console(out=out, err=None, env={})
        stream = console.data_stream()
        for byte in "ä漢\x1b[2J\n".encode():
            stream.write(bytes([byte]))
            stream.flush()
        assert console.finish(0) == 0
        assert read_line(master) == "ä漢\\x1b[2J\r\n"
    os.close(master)


# --- messages ---


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["-q"], []),
        ([], ["an info", "warning: a warning", "embedded 2 texts"]),
        (["-v"], ["an info", "a detail", "warning: a warning", "embedded 2 texts"]),
        (["-vv"], ["an info", "a detail", "a trace", "warning: a warning", "embedded 2 texts"]),
    ],
)
def test_how_much_is_said(flags, said):
    result = here("say", *flags)
    lines = result.stderr.decode().splitlines()
    everything = ["an info", "a detail", "a trace", "warning: a warning", "embedded 2 texts"]
    assert [text for text in everything if any(line.startswith(text) for line in lines)] == said
    assert result.stdout == b""


def test_messages_have_no_colour_and_no_control_characters_in_a_pipe():
    assert b"\x1b" not in here("say", "-vv").stderr


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "0"}, False),
    ],
)
def test_colour_of_messages_in_a_pipe(env, coloured):
    assert (b"\x1b[33;1mwarning:\x1b[0m a warning" in here("say", env=env).stderr) is coloured


def test_messages_are_coloured_on_a_terminal_and_neutral():
    _, output = on_terminal("say")
    assert "\x1b[33;1mwarning:\x1b[0m a warning\nover two lines \\x1b[31m" in output


def test_error_is_two_lines_and_in_json_an_object():
    console, out, err = make_console()
    console.configure(output_format="json", verbosity=-1)
    console.error(JobFailedError("it broke\ntwice", hint="aicluster logs R1"))
    assert err.getvalue() == "error: it broke\ntwice\nhint: aicluster logs R1\n"
    assert json.loads(out.getvalue()) == {
        "schema": "aicluster.error/1",
        "error": {"code": "job_failed", "message": "it broke\ntwice", "hint": "aicluster logs R1"},
    }


def test_error_after_the_data_does_not_add_a_second_document():
    result = here("fail", "bad-rows", "--data", "--json")
    assert json.loads(result.stdout) == {"schema": "sample/1"}
    assert result.stderr.decode() == "error: 3 bad rows\n"
    assert result.returncode == 5


@pytest.mark.parametrize("wanted", ["table", "csv"])
def test_error_leaves_standard_output_empty_unless_json_is_wanted(wanted):
    assert here("fail", "usage", "--format", wanted).stdout == b""


def test_nobody_reading_messages_stops_no_work():
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        result = subprocess.run(
            command("stream", "--rows", "2"), stdout=subprocess.PIPE, stderr=full, env=environment(), check=False
        )
    assert (result.returncode, result.stdout) == (0, b"0\n1\n")


# --- standard output that cannot be written ---


@pytest.mark.parametrize(
    "args", [["table"], ["table", "--json"], ["stream"], ["settings"], ["--help"], ["models", "show", "--help"]]
)
def test_full_disk_is_an_error(args):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        result = subprocess.run(
            command(*args), stdout=full, stderr=subprocess.PIPE, env=environment(), check=False, timeout=60
        )
    assert result.returncode == 1
    assert result.stderr.decode() == "error: cannot write to standard output: No space left on device\n"


def test_full_disk_does_not_hide_what_went_wrong_before():
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        result = subprocess.run(
            command("fail", "running", "--json"), stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert result.returncode == 8
    assert result.stderr.decode().startswith("error: R1 is still running\n")


def test_closed_standard_output_is_an_error():
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command("table")], stderr=subprocess.PIPE, env=environment(), check=False
    )
    assert result.returncode == 1
    assert b"error: cannot write to standard output: Bad file descriptor" in result.stderr


def test_closed_standard_error_and_input_are_not():
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&- <&-', "sh", *command("noisy")],
        stdout=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    assert result.returncode == 0
    assert json.loads(result.stdout)["ok"]


@pytest.mark.parametrize("args", [["stream"], ["stream", "--rows", "3000000"]])
def test_reader_that_has_enough_ends_the_command_quietly(args):
    process = subprocess.Popen(command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout.readline() == b"0\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


def test_reader_that_never_reads_ends_the_command_quietly():
    read, write = os.pipe()
    os.close(read)
    for args in (["table"], ["--help"], ["table", "--json"]):
        result = subprocess.run(command(*args), stdout=write, stderr=subprocess.PIPE, env=environment(), check=False)
        assert (result.returncode, result.stderr) == (0, b"")
    os.close(write)


class FullDisk(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_failure_to_write_is_raised_once_and_told_once():
    err = io.StringIO()
    console = Console(out=FullDisk(), err=err, env={})
    with pytest.raises(OSError, match="No space left"):
        console.data_text("one")
    console.data_text("two")
    assert console.finish(0) == 1
    assert err.getvalue() == "error: cannot write to standard output: No space left on device\n"


# --- stages ---


def test_stage_leaves_one_line_with_its_time_off_a_terminal():
    clock = Clock()
    console, out, err = make_console(clock=clock)
    with console.stage("embedding texts", total=3) as stage:
        clock.now = 0.7
        stage.update(3)
        stage.describe("nearly there")
        stage.done("embedded 13,083 texts")
        clock.now = 1.23
    assert err.getvalue() == "embedded 13,083 texts (1.2 s)\n"
    assert out.getvalue() == b""


def test_stage_without_more_says_its_name_and_may_say_nothing():
    console, _, err = make_console()
    with console.stage("checking rows"):
        pass
    with console.stage("silent") as stage:
        stage.done("")
    assert err.getvalue() == "checking rows (0.0 s)\n"


def test_stage_that_fails_leaves_no_line():
    console, _, err = make_console()
    with pytest.raises(JobFailedError), console.stage("clustering"):
        raise JobFailedError("no")
    assert err.getvalue() == ""


def test_short_work_shows_no_bar_on_a_terminal():
    _, output = on_terminal("say", env={"NO_COLOR": "1"})
    assert "embedded 2 texts (0." in output
    assert "embedding texts" not in output
    assert "\x1b" not in output


@pytest.mark.parametrize("pipe_output", [False, True])
def test_long_work_shows_a_bar_that_goes_away(pipe_output):
    terminal = Terminal("work", pipe_output=pipe_output)
    terminal.read_until("0/3")  # comes by itself after a second
    assert "embedding texts" in terminal.output
    terminal.send("unit\n")
    terminal.read_until("1/3")
    terminal.send("say\n")
    terminal.read_until("said in between\n")
    assert "\x1b[1A\x1b[2Ksaid in between\n" in terminal.output  # where the bar was, not behind it
    terminal.send("end\n")
    assert terminal.finish() == 0
    last = terminal.output.splitlines()[-1]
    assert "embedded 3 texts (" in last
    assert terminal.output.rindex("\x1b[2K") < terminal.output.index("embedded 3 texts")  # the bar's line is cleared
    assert terminal.output.count("\x1b[?25h") >= 1  # and the cursor shown again


def test_bar_goes_away_when_the_work_breaks():
    terminal = Terminal("work")
    terminal.read_until("0/3")
    terminal.send("break\n")
    assert terminal.finish() == 4
    ending = terminal.output[terminal.output.rindex("\x1b[2K") :]
    assert "error:" in ending
    assert "\x1b[?25h" in terminal.output


@pytest.mark.parametrize(
    ("env", "verbosity", "shown"),
    [({"TERM": "xterm"}, 0, True), ({"TERM": "dumb"}, 0, False), ({"TERM": "xterm"}, -1, False)],
)
def test_bar_is_for_terminals_that_can_draw_and_not_for_q(env, verbosity, shown):
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as err:
        console = Console(out=io.BytesIO(), err=err, env=env, bars_after=0.0)
        console.configure(output_format="table", verbosity=verbosity)
        with console.stage("working", total=7):
            for thread in threading.enumerate():
                if isinstance(thread, threading.Timer):
                    thread.join()
        err.write("the end\n")
        err.flush()
        output = ""
        while "the end" not in output:
            output += read_line(master)
    os.close(master)
    assert ("0/7" in output) is shown
    assert ("\x1b" in output) is shown
    assert ("working (" in output) is (verbosity == 0)


# --- questions ---


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("y\n", 0, "dropped"),
        ("YES\n", 0, "dropped"),
        ("n\n", 1, "nothing was changed"),
        ("\n", 1, "nothing was changed"),
        ("\x04", 1, "nothing was changed"),
    ],
)
def test_question_on_a_terminal(answer, code, said):
    terminal = Terminal("ask")
    terminal.read_until("Drop model X? [y/N] ")
    terminal.send(answer)
    assert terminal.finish() == code
    assert said in terminal.output


def test_question_off_a_terminal_is_refused():
    result = piped("ask", input=b"y\n", stdin=None)
    assert result.returncode == 2
    assert result.stderr.decode().splitlines() == [
        "error: Drop model X? There is no terminal to ask on",
        "hint: pass --yes to go ahead",
    ]


def test_yes_asks_nothing():
    result = here("ask", "--yes")
    assert result.returncode == 0
    assert result.stderr == b"dropped\n"


def test_question_is_refused_when_answers_come_from_a_pipe():
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as err:
        console = Console(out=io.BytesIO(), err=err, env={}, stdin=io.StringIO("y\n"))
        with pytest.raises(UsageError, match="no terminal to ask on"):
            console.confirm("Sure?", yes=False)
    os.close(master)


def test_question_without_any_standard_input_is_refused():
    console, _, _ = make_console(stdin=None)
    with pytest.raises(UsageError):
        console.confirm("Sure?", yes=False)
