"""The only module that prints: data to standard output, everything meant for people to standard error.

Standard output carries data only. In the real process :meth:`Console.take_over` keeps a copy of it for the data and
points file descriptor 1 at standard error, so that whatever libraries, C code and child processes print cannot end up
between the data. Tests make a :class:`Console` over streams of their own instead.

What is obeyed: ``NO_COLOR`` (no colour anywhere), ``FORCE_COLOR`` (colour without a terminal too; ``0`` means none),
``TERM=dumb`` (no colour, no bars), ``COLUMNS`` (the width). A table is drawn on a terminal only: in a pipe it is a
header line and rows separated by tabs, never coloured, so that ``cut`` and ``awk`` can rely on it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from aicluster_cli.cli.progress import Bars, Stage, elapsed
from aicluster_cli.cli.render import json_text, printable, write_csv, write_json_lines, write_rich, write_tabs
from aicluster_cli.cli.streams import Neutral, NeutralText, Sink, Unclosed, open_missing_descriptors, terminal_width
from aicluster_cli.errors import AiclusterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

ERROR_SCHEMA = "aicluster.error/1"

_RED, _YELLOW, _CYAN = "31;1", "33;1", "36"


class Console:
    """Where a command's data, messages, progress and questions go.

    Parameters
    ----------
    out
        Unbuffered or buffered binary stream for data.
    err
        Text stream for people, or None where there is none; a message that cannot be written is dropped.
    env
        The environment variables.
    stdin
        Where answers are read.
    encoding
        Of data on a terminal. In a pipe or file it is UTF-8 always.
    clock
        Seconds, for elapsed times.
    bars_after
        Seconds of work after which a bar appears.

    Attributes
    ----------
    format
        ``table``, ``json``, ``csv`` or what else a command offers.
    verbosity
        -1 errors only, 0 normal, 1 what is done, 2 and the statements sent.
    """

    def __init__(
        self,
        *,
        out: BinaryIO,
        err: TextIO | None,
        env: Mapping[str, str],
        stdin: TextIO | None = None,
        encoding: str = "utf-8",
        clock: Callable[[], float] = time.monotonic,
        bars_after: float = 1.0,
    ) -> None:
        self.format = "table"
        self.verbosity = 0
        self._env = env
        self._err = err
        self._stdin = stdin
        self._clock = clock
        self._out_tty = out.isatty()
        self._err_tty = err is not None and err.isatty()
        self._encoding = encoding if self._out_tty else "utf-8"
        self._sink = Sink(out)
        self._data = Unclosed(self._sink)
        self._stream: BinaryIO | None = None
        self._wrote_data = False
        self._bars: Bars | None = None
        if self._err_tty and not self._dumb:
            self._bars = Bars(
                cast("TextIO", err),
                width=terminal_width(err, env),
                color=self._color(tty=True),
                after=bars_after,
                clock=clock,
            )

    @classmethod
    def take_over(cls, env: Mapping[str, str]) -> Console:
        """Return the console of this process, after pointing descriptor 1 at standard error for everybody else.

        It is never pointed back: what libraries print while the process ends must not follow the data either.
        """
        open_missing_descriptors()
        saved = os.dup(1)
        if sys.stdout is not None:
            sys.stdout.flush()
        os.dup2(2, 1)
        encoding = sys.stdout.encoding if sys.stdout is not None else "utf-8"
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        return cls(
            out=os.fdopen(saved, "wb", buffering=0),
            err=sys.stderr,
            env=env,
            stdin=sys.stdin,
            encoding=encoding,
        )

    def configure(self, *, output_format: str, verbosity: int) -> None:
        """Set the data's format and how much is said, once the command line is understood."""
        self.format = output_format
        self.verbosity = verbosity

    # --- data ---------------------------------------------------------------------------------------------------

    def data_json(self, document: object) -> None:
        """Write one JSON document; see :func:`~aicluster_cli.cli.render.json_text` for the types understood."""
        self.data_text(json_text(document))

    def data_table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        document: object = None,
        title: str | None = None,
        footer: str | None = None,
    ) -> None:
        """Write rows in the format asked for.

        Parameters
        ----------
        columns
            Names of the columns.
        rows
            As many values each as there are columns. None is an empty cell.
        document
            What ``--json`` prints instead. None prints nothing then: the command has a document of its own.
        title, footer
            Lines above and below the table, on a terminal only.
        """
        if self.format == "json":
            if document is not None:
                self.data_json(document)
            return
        if self.format == "table" and self._out_tty:
            with self._text(styled=True) as stream:
                write_rich(
                    stream,
                    columns,
                    list(rows),
                    width=terminal_width(self._sink, self._env),
                    color=self._color(tty=True),
                    title=title,
                    footer=footer,
                )
            return
        write = {"csv": write_csv, "jsonl": write_json_lines}.get(self.format, write_tabs)
        with self._text() as stream:
            write(stream, columns, rows)

    def data_text(self, text: str) -> None:
        """Write text as it is: SQL, a YAML file, a JSON schema. A final line feed is added when missing."""
        with self._text() as stream:
            stream.write(text if text.endswith("\n") else text + "\n")

    def data_stream(self) -> BinaryIO:
        """Return the binary stream for rows that a command writes itself. Closing it does no more than flush it.

        On a terminal the bytes are taken for UTF-8 and control characters are shown as escapes.
        """
        self._wrote_data = True
        if self._stream is None:
            self._stream = Unclosed(Neutral(self._data, self._encoding)) if self._out_tty else self._data
        return self._stream

    @property
    def data_is_terminal(self) -> bool:
        """Whether data goes to a terminal: binary formats do not belong there."""
        return self._out_tty

    @property
    def output_failure(self) -> OSError | None:
        """Why standard output could not be written, if so: a closed pipe, a full disk."""
        return self._sink.failure

    @contextlib.contextmanager
    def library_output(self) -> Iterator[None]:
        """Make what the command-line library prints by itself (help, version, completion) data."""
        with self._raw_text() as stream, contextlib.redirect_stdout(stream):
            yield

    def finish(self, code: int) -> int:
        """Write out all data and return the exit code of the process.

        A reader that has closed the pipe (``| head``) has what it wanted: that is no failure and is not mentioned. Any
        other failure to write, such as a full disk, is an error; exit code 1 unless ``code`` tells of another.
        """
        with contextlib.suppress(OSError):
            for stream in (self._stream, self._data):
                if stream is not None:
                    stream.flush()
        failure = self._sink.failure
        if failure is None or failure.errno == errno.EPIPE:
            return code
        self._say_error(f"cannot write to standard output: {failure.strerror}", hint="")
        return code or AiclusterError.exit_code

    # --- messages -----------------------------------------------------------------------------------------------

    def info(self, text: str) -> None:
        """Say something that people want to know; ``-q`` hides it."""
        if self.verbosity >= 0:
            self._say(printable(text))

    def detail(self, text: str) -> None:
        """Say what is done, with ``-v``."""
        if self.verbosity >= 1:
            self._say(printable(text))

    def trace(self, text: str) -> None:
        """Say what is sent and how long it took, with ``-vv``. Secrets must be redacted before."""
        if self.verbosity >= 2:
            self._say(self._styled(printable(text), "2"))

    def warn(self, text: str) -> None:
        """Warn of something that need not stop the command; ``-q`` hides it."""
        if self.verbosity >= 0:
            self._say(f"{self._styled('warning:', _YELLOW)} {printable(text)}")

    def error(self, error: AiclusterError) -> None:
        """Tell of an error: ``error: …`` and, if there is a cure, ``hint: …``.

        With ``--json`` the same goes to standard output as an object, unless the command has written data already:
        standard output never holds two documents.
        """
        self._say_error(error.message, error.hint)
        if self.format == "json" and not self._wrote_data:
            body = {"code": error.code, "message": error.message, "hint": error.hint}
            with contextlib.suppress(OSError):  # finish() tells of it
                self.data_json({"schema": ERROR_SCHEMA, "error": body})

    def traceback(self, error: BaseException) -> None:
        """Show where ``error`` was raised, for ``--debug``."""
        import traceback

        self._say(printable("".join(traceback.format_exception(error))).rstrip("\n"))

    # --- progress and questions ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Stage]:
        """Follow one piece of work, of ``total`` units if that is known.

        On a terminal a bar shows it once it has lasted over a second. At the end one line is left, with the time it
        took: ``name`` or what :meth:`Stage.done` was given. ``-q`` hides all; work that fails leaves no line.

        Examples
        --------
        >>> with console.stage("embedding texts", total=len(texts)) as stage:  # doctest: +SKIP
        ...     for batch in batches:
        ...         embed(batch)
        ...         stage.update(len(batch))
        ...     stage.done(f"embedded {len(texts):,} texts")
        """
        bars = self._bars if self.verbosity >= 0 else None
        stage = Stage(name, total, started=self._clock(), changed=bars.refresh if bars else None)
        if bars is not None:
            bars.add(stage)
        try:
            yield stage
        finally:
            if bars is not None:
                bars.remove(stage)
        if stage.line:
            self.info(f"{stage.line} ({elapsed(self._clock() - stage.started)})")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before destroying something; return if the answer is yes, or if ``yes`` (``--yes``) says so already.

        Raises
        ------
        UsageError
            If there is no terminal to ask on.
        AiclusterError
            If the answer is anything else.
        """
        if yes:
            return
        if self._stdin is None or not self._stdin.isatty() or not self._err_tty:
            raise UsageError(f"{question} There is no terminal to ask on", hint="pass --yes to go ahead")
        with self._cleared():
            self._say(f"{printable(question)} [y/N] ", end="")
            answer = self._stdin.readline()
        if answer.strip().lower() not in {"y", "yes"}:
            raise AiclusterError("not confirmed; nothing was changed", hint="answer y, or pass --yes")

    # --- helpers ------------------------------------------------------------------------------------------------

    @property
    def _dumb(self) -> bool:
        return self._env.get("TERM", "").lower() in {"dumb", "unknown"}

    def _color(self, *, tty: bool) -> bool:
        if self._env.get("NO_COLOR"):
            return False
        forced = self._env.get("FORCE_COLOR", "")
        if forced:
            return forced.lower() not in {"0", "false"}
        return tty and not self._dumb

    def _styled(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color(tty=self._err_tty) else text

    def _say_error(self, message: str, hint: str) -> None:
        self._say(f"{self._styled('error:', _RED)} {printable(message)}")
        if hint:
            self._say(f"{self._styled('hint:', _CYAN)} {printable(hint)}")

    def _say(self, text: str, end: str = "\n") -> None:
        if self._err is None:
            return
        # A closed or full standard error stops no work: there is nobody left to tell.
        with self._cleared(), contextlib.suppress(OSError, ValueError):
            self._err.write(text + end)
            self._err.flush()

    def _cleared(self) -> contextlib.AbstractContextManager[None]:
        return self._bars.paused() if self._bars is not None else contextlib.nullcontext()

    def _text(self, *, styled: bool = False) -> contextlib.AbstractContextManager[TextIO]:
        self._wrote_data = True
        return self._raw_text(NeutralText if self._out_tty and not styled else io.TextIOWrapper)

    @contextlib.contextmanager
    def _raw_text(self, kind: type[io.TextIOWrapper] = io.TextIOWrapper) -> Iterator[TextIO]:
        text = kind(self._data, encoding=self._encoding, errors="backslashreplace", newline="\n", write_through=True)
        with self._cleared() if self._out_tty else contextlib.nullcontext():
            try:
                yield text
                text.flush()
            finally:
                text.detach()
