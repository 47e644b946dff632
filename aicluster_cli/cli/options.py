"""What every command has in common: the global options and the :class:`App` made of them.

A command is a function whose first parameter is the :class:`App`; :func:`common_options` gives it the global options,
and :func:`aicluster_cli.cli.groups.add_command` puts it under a group::

    @common_options()
    def runs(app: App, limit: Annotated[int, typer.Option(help="How many to list.")] = 20) -> None:
        '''List the runs, newest first.'''
        found = list_runs(load_profile(app.profile_name, app.env, app.cwd), limit)
        app.console.data_table(["RUN", "STATUS"], [(r.run_id, r.status) for r in found], document=...)

    add_command(cli, runs)

Typer reads the annotations: what they name must be imported at run time, not under ``TYPE_CHECKING`` only.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import typer

from aicluster_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from aicluster_cli.cli.console import Console

FORMATS = ("table", "json", "csv")
FORMAT_VARIABLE = "AICLUSTER_FORMAT"
GLOBAL_PANEL = "Global options"
COMMON_NAMES = ("profile", "output_format", "as_json", "quiet", "verbose", "debug")


@dataclass(frozen=True)
class App:
    """What a command is given to work with; nothing is global.

    Attributes
    ----------
    console
        The only way to print.
    env, cwd
        Environment variables and current folder.
    profile_name
        What ``--profile`` says, if it was given; the environment and the default come after it.
    format
        How data is wanted: ``table``, ``json``, ``csv``, or one of the command's extra formats.
    verbosity
        -1 with ``-q``, else how many ``-v`` there are.
    debug
        Whether tracebacks are wanted.
    """

    console: Console
    env: Mapping[str, str]
    cwd: Path
    profile_name: str | None = None
    format: str = "table"
    verbosity: int = 0
    debug: bool = False


class Job(NamedTuple):
    """A command whose line has been understood, ready to be called."""

    app: App
    call: Callable[[], object]


def common_options(*, extra_formats: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., Job | None]]:
    """Give a command the global options and, as its first argument, the :class:`App` made of them.

    The options are understood before the command's name as well; the value nearest to the command wins.

    Calling the decorated function does not run the command but returns the :class:`Job`, for Typer would take an
    EOFError for an abort and a broken connection for a closed pipe. ``main`` runs the job when Typer is through.
    On a group's callback it says what the bare group does: with a subcommand it is left out.

    Parameters
    ----------
    extra_formats
        What ``--format`` takes here besides table, json and csv.

    Raises
    ------
    TypeError
        If the function's first parameter is not an App, or another has the name of a global option.
    """
    formats = (*FORMATS, *extra_formats)

    def decorate(function: Callable[..., None]) -> Callable[..., Job | None]:
        own = _own_parameters(function)

        @functools.wraps(function)
        def parsed(ctx: typer.Context, **values: Any) -> Job | None:
            if ctx.invoked_subcommand is not None:
                return None
            app = app_of(ctx, formats)
            own_values = {name: value for name, value in values.items() if name not in COMMON_NAMES}
            return Job(app, functools.partial(function, app, **own_values))

        return with_signature(parsed, [*own, *common_parameters(formats)])

    return decorate


def app_of(ctx: typer.Context, formats: Sequence[str] = FORMATS) -> App:
    """Return the App of a context: the one the process started with, with the global options of all levels applied.

    Raises
    ------
    UsageError
        If options contradict each other on one level, or a format is none of ``formats``.
    """
    app: App = ctx.obj
    levels: list[Mapping[str, Any]] = []
    node: Any = ctx
    while node is not None:
        levels.insert(0, node.params)
        node = node.parent
    chosen: str | None = None
    for given in levels:
        chosen = _format_given(given) or chosen
        app = replace(
            app,
            profile_name=given.get("profile") or app.profile_name,
            verbosity=_verbosity_given(given, app.verbosity),
            debug=given.get("debug") or app.debug,
        )
    return replace(app, format=_checked_format(chosen, app.env, formats))


def completer(
    names: Callable[[App], Iterable[str | tuple[str, str]]],
) -> Callable[[typer.Context], list[str | tuple[str, str]]]:
    """Make ``names`` an ``autocompletion`` of an option or argument: values, or pairs of a value and its meaning.

    Whatever goes wrong while completing gives no names: a broken profile must not spoil the line being typed.
    """

    def complete(ctx: typer.Context) -> list[str | tuple[str, str]]:
        nowhere = io.StringIO()
        with (
            contextlib.suppress(Exception),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            return list(names(app_of(ctx)))
        return []

    return complete


def _own_parameters(function: Callable[..., None]) -> list[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    first, *own = inspect.signature(function).parameters.values()
    if hints.get(first.name) is not App:
        raise TypeError(f"the first parameter of {function.__name__} must be an App")
    clash = [parameter.name for parameter in own if parameter.name in {*COMMON_NAMES, "ctx"}]
    if clash:
        raise TypeError(f"{function.__name__} has a parameter named like a global option: {clash[0]}")
    return [
        # By keyword only: what has a default may then come before what has none.
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in own
    ]


def with_signature(function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> Callable[..., Any]:
    """Return a function that Typer sees with a context and these parameters, and that does what ``function`` does."""

    @functools.wraps(function)
    def shown(ctx: typer.Context, **values: Any) -> Any:
        return function(ctx, **values)

    ctx = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    signature = inspect.Signature([ctx, *parameters])
    shown.__signature__ = signature  # type: ignore[attr-defined]
    shown.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    return shown


def common_parameters(formats: Sequence[str]) -> list[inspect.Parameter]:
    """Return the global options as parameters for Typer, in the order that help shows."""

    def option(*flags: str, **settings: Any) -> Any:
        return typer.Option(*flags, rich_help_panel=GLOBAL_PANEL, show_default=False, **settings)

    profile = option(
        "--profile",
        metavar="NAME",
        help="Name or YAML file.  [env var: AICLUSTER_PROFILE]",
        autocompletion=completer(_profile_names),
    )
    output_format = option(
        "--format",
        metavar="|".join(formats),
        help=f"Form of the data.  [env var: {FORMAT_VARIABLE}]",
        autocompletion=completer(lambda _: formats),
    )
    as_json = option("--json", help="Short for --format json.")
    quiet = option("--quiet", "-q", help="Show errors only.")
    verbose = option("--verbose", "-v", count=True, help="Show what is done; -vv: SQL sent, timings.")
    debug = option("--debug", help="Show tracebacks.")
    declared: list[tuple[str, Any, Any]] = [
        ("profile", Annotated[str | None, profile], None),
        ("output_format", Annotated[str | None, output_format], None),
        ("as_json", Annotated[bool, as_json], False),
        ("quiet", Annotated[bool, quiet], False),
        ("verbose", Annotated[int, verbose], 0),
        ("debug", Annotated[bool, debug], False),
    ]
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(name, kind, default=default, annotation=hint) for name, hint, default in declared]


def _profile_names(app: App) -> list[str]:
    shipped = Path(__file__).parents[1] / "configs"
    folders = (app.cwd, app.cwd / "configs", shipped)
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def _format_given(given: Mapping[str, Any]) -> str | None:
    chosen: str | None = given.get("output_format")
    if not given.get("as_json"):
        return chosen
    if chosen not in {None, "json"}:
        raise UsageError(f"--json and --format {chosen} contradict each other", hint="give one of them")
    return "json"


def _verbosity_given(given: Mapping[str, Any], before: int) -> int:
    if given.get("quiet") and given.get("verbose"):
        raise UsageError("-q and -v contradict each other", hint="give one of them")
    return -1 if given.get("quiet") else given.get("verbose") or before


def _checked_format(chosen: str | None, env: Mapping[str, str], formats: Sequence[str]) -> str:
    if chosen is None:
        default = env.get(FORMAT_VARIABLE) or "table"
        # The variable counts for every command, so it takes only what every command offers.
        if default not in FORMATS:
            allowed = ", ".join(FORMATS)
            raise UsageError(
                f"{FORMAT_VARIABLE} must be one of {allowed}; it is {default!r}",
                hint=f"unset {FORMAT_VARIABLE}, or: export {FORMAT_VARIABLE}=json",
            )
        return default
    if chosen not in formats:
        raise UsageError(
            f"--format must be one of {', '.join(formats)}; got {chosen!r}", hint="for example: --format json"
        )
    return chosen
