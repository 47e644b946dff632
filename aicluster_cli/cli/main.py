"""The ``aicluster`` command: runs a command line and turns whatever happens into an exit code and two lines."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import typer

    from aicluster_cli.cli.console import Console
    from aicluster_cli.cli.options import App, Job
    from aicluster_cli.errors import AiclusterError

PROGRAM = "aicluster"
INTERRUPTED = 130


def main(build: Callable[[], typer.Typer] | None = None) -> NoReturn:
    """Run the command line of this process, of the program that ``build`` returns; by default aicluster itself."""
    try:
        code = _run_process(build)
    except KeyboardInterrupt:  # while Python was still loading us
        code = INTERRUPTED
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.write("error: interrupted\n")
    _settle_streams()
    sys.exit(code)


def run(argv: Sequence[str], *, console: Console, env: Mapping[str, str], cwd: Path, cli: typer.Typer) -> int:
    """Run one command line and return the exit code of :mod:`aicluster_cli.errors`; in tests, in this process.

    Parameters
    ----------
    argv
        The arguments, without the program's name.
    """
    from aicluster_cli.cli.options import App, Job

    as_json, debug = _wanted_anyhow(argv, env)
    app = App(console, env, cwd, format="json" if as_json else "table", debug=debug)
    try:
        console.configure(output_format=app.format, verbosity=app.verbosity)
        outcome = _parse(cli, argv, app)
        if isinstance(outcome, Job):
            app = outcome.app
            _work(outcome)
        code = outcome if isinstance(outcome, int) else 0
    except BaseException as error:  # an exit code and a message for everything, an interrupt included
        code = _explain(error, app, argv)
    return console.finish(code)


def _run_process(build: Callable[[], typer.Typer] | None) -> int:
    # A job scheduler's or a closed terminal's signal cleans up and detaches just as Ctrl-C does.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)
    from aicluster_cli.cli.console import Console

    env = os.environ
    console = Console.take_over(env)
    return run(sys.argv[1:], console=console, env=env, cwd=Path.cwd(), cli=(build or _aicluster)())


def _aicluster() -> typer.Typer:
    from aicluster_cli.cli.app import build

    return build()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parse(cli: typer.Typer, argv: Sequence[str], app: App) -> Job | int:
    from typer.main import get_command

    command = get_command(cli)
    with app.console.library_output():
        outcome: Job | int | None = command.main(list(argv), prog_name=PROGRAM, standalone_mode=False, obj=app)
    if outcome == INTERRUPTED:
        raise KeyboardInterrupt
    return outcome or 0


def _work(job: Job) -> None:
    job.app.console.configure(output_format=job.app.format, verbosity=job.app.verbosity)
    quiet = job.app.verbosity < 1 and not job.app.debug
    with _silent_libraries() if quiet else contextlib.nullcontext():
        job.call()


@contextlib.contextmanager
def _silent_libraries() -> Iterator[None]:
    """Keep Python warnings and log records of libraries from the terminal; they are for who asks with ``-v``."""
    import logging
    import warnings

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        # Libraries add filters of their own while they load, so filters alone would not do.
        warnings.showwarning = _ignore
        try:
            yield
        finally:
            logging.disable(before)


def _ignore(*_: Any, **__: Any) -> None:
    return None


def _wanted_anyhow(argv: Sequence[str], env: Mapping[str, str]) -> tuple[bool, bool]:
    """Return whether errors are wanted as JSON, and with tracebacks, for as long as the line is not understood."""
    words = list(argv[: argv.index("--")] if "--" in argv else argv)
    if "--json" in words or "--format=json" in words or ("--format", "json") in itertools.pairwise(words):
        as_json = True
    else:
        named = any(word.startswith("--format") for word in words)
        as_json = not named and env.get("AICLUSTER_FORMAT") == "json"
    return as_json, "--debug" in words


def _explain(error: BaseException, app: App, argv: Sequence[str]) -> int:
    """Tell of an error and return its exit code."""
    import typer

    if any(cause is app.console.output_failure for cause in _causes(error)):
        return 0  # finish() tells of it
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return error.code or 0
    if app.debug:
        app.console.traceback(error)
    told, code = _told(error, argv)
    app.console.error(told)
    return code


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _told(error: BaseException, argv: Sequence[str]) -> tuple[AiclusterError, int]:
    import typer

    from aicluster_cli.errors import AiclusterError, InterruptedRunError, UsageError

    if isinstance(error, AiclusterError):
        return error, error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return InterruptedRunError("interrupted"), INTERRUPTED
    if isinstance(error, typer.TyperException):
        family = UsageError if error.exit_code == UsageError.exit_code else AiclusterError
        return family(_sentence(error), hint=_help_of(error)), error.exit_code
    if isinstance(error, typer.Abort):
        return AiclusterError("aborted"), AiclusterError.exit_code
    import shlex

    told = AiclusterError(
        f"unexpected {type(error).__name__}: {error}".rstrip(": "),
        hint=f"run again with --debug to see where: {PROGRAM} --debug {shlex.join(argv)}".rstrip(),
    )
    return told, told.exit_code


def _sentence(error: typer.TyperException) -> str:
    """Return Typer's message in our style, with the option that an unknown one was probably meant for."""
    unknown = getattr(error, "option_name", None)
    ctx = getattr(error, "ctx", None)
    message = error.format_message().strip()
    if unknown and ctx is not None and hasattr(error, "possibilities"):
        from difflib import get_close_matches

        options = [flag for param in ctx.command.params for flag in (*param.opts, *param.secondary_opts)]
        matches = get_close_matches(unknown, [flag for flag in options if flag.startswith("--")], n=1)
        message = f"No such option {unknown!r}" + "".join(f". Did you mean {match!r}?" for match in matches)
    return message[:1].lower() + message[1:].removesuffix(".")


def _help_of(error: typer.TyperException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"{ctx.command_path if ctx is not None else PROGRAM} --help"


def _settle_streams() -> None:
    """Flush what libraries have printed. Where nobody reads any more, Python would end with an exit code of its own."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
