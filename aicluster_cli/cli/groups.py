"""Groups of commands, and help as plain text under headings.

Help is not drawn with rich, and groups do not let Typer convert values: loading rich and pydantic takes longer than all
else that ``--help`` does.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from aicluster_cli.cli.options import COMMON_NAMES, FORMATS, GLOBAL_PANEL, common_parameters, with_signature
from aicluster_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def group(
    help: str,  # noqa: A002 - Typer's name for it
    *,
    callback: Callable[..., Any] | None = None,
    epilog: str | None = None,
) -> typer.Typer:
    """Return a group of commands: plain help, global options before the command's name.

    Without a ``callback`` (a function with :func:`common_options`, for the bare group) the bare group prints its help.
    """
    return _new_group(
        help=help,
        epilog=epilog,
        callback=callback or with_signature(show_help, common_parameters(FORMATS)),
        add_completion=False,
        subcommand_metavar="[COMMAND]" if callback else "COMMAND",
    )


def root_group(
    help: str,  # noqa: A002 - Typer's name for it
    *,
    version: Callable[[], str],
    epilog: str | None = None,
) -> typer.Typer:
    """Return the group that is the program: a :func:`group` with ``--version``, ``-h`` and completion."""

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(version())
            raise typer.Exit

    option = typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=show_version)
    parameter = inspect.Parameter(
        "version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
    )
    return _new_group(
        help=help,
        epilog=epilog,
        callback=with_signature(show_help, [parameter, *common_parameters(FORMATS)]),
        add_completion=True,
        subcommand_metavar="COMMAND",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def add_command(
    parent: typer.Typer,
    command: Callable[..., Any] | typer.Typer,
    name: str | None = None,
    *,
    panel: str | None = None,
    epilog: str | None = None,
) -> None:
    """Put a command, or a group of them, under ``parent``.

    Parameters
    ----------
    name
        What people type; by default the function's name, with dashes. A group must have one.
    panel
        The heading under which the parent's help lists it; headings come in the order of their first commands.
    epilog
        Text below the command's help.
    """
    if isinstance(command, typer.Typer):
        parent.add_typer(command, name=name, rich_help_panel=panel)
    else:
        parent.command(name, cls=Command, rich_help_panel=panel, epilog=epilog)(command)


def show_help(ctx: typer.Context, **_: Any) -> None:
    """Print the help of a group that was given no command."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


class Command(TyperCommand):
    """A command with plain help: options under their headings, the global ones last."""

    def __init__(self, name: str | None, **settings: Any) -> None:
        super().__init__(name, **settings)
        for param in self.params:
            if isinstance(param, TyperArgument) and param.metavar is None:
                param.metavar = param.name.upper()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the usage line's parts: ``[OPTIONS] MODEL [RUN]...``."""
        return _usage_pieces(self, ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write_sections(formatter, _option_sections(self, ctx))


class Group(TyperGroup):
    """A group with plain help that reads the global options before a command's name by itself.

    Typer converts values with pydantic, which takes longer to load than all else that ``--help`` does.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return what Typer shall parse: everything while completing, else all but the global options."""
        params = super().get_params(ctx)
        return params if ctx.resilient_parsing else [param for param in params if param.name not in COMMON_NAMES]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the global options out of ``args`` and let Typer parse the others."""
        given: dict[str, Any] = {}
        if not ctx.resilient_parsing:
            given, args = _split_common(self.params, args, ctx.command_path)
        rest = super().parse_args(ctx, args)
        ctx.params.update(given)
        return rest

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the usage line's parts: ``[OPTIONS] COMMAND``."""
        return [*_usage_pieces(self, ctx), self.subcommand_metavar]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands under their headings, then the options."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        commands = [(name, command) for name, command in found if command is not None and not command.hidden]
        limit = formatter.width - 6 - max((len(name) for name, _ in commands), default=0)
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in commands:
            heading = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(heading, []).append((name, command.get_short_help_str(limit)))
        _write_sections(formatter, {**sections, **_option_sections(self, ctx)})

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the epilog like the sections above it, not indented."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write_text(inspect.cleandoc(self.epilog))


def _new_group(*, context_settings: Mapping[str, Any] | None = None, **settings: Any) -> typer.Typer:
    # Typer leaves its own flags at None where they are not given, and loads pydantic to convert that.
    given_or_not = {"help": False, "install_completion": False, "show_completion": False}
    return typer.Typer(
        cls=Group,
        context_settings={**(context_settings or {}), "default_map": given_or_not},
        invoke_without_command=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **settings,
    )


def _split_common(params: Sequence[Any], args: Sequence[str], path: str) -> tuple[dict[str, Any], list[str]]:
    """Return the global options standing before a command's name, and the arguments without them."""
    options = {flag: param for param in params if isinstance(param, TyperOption) for flag in param.opts}
    common = {flag: param for flag, param in options.items() if param.name in COMMON_NAMES}
    given: dict[str, Any] = {}
    kept: list[str] = []
    queue = list(args)
    while queue and queue[0].startswith("-") and queue[0] not in {"-", "--"}:
        token = queue.pop(0)
        flag, equals, value = token.partition("=")
        cluster = [] if token.startswith("--") else [f"-{letter}" for letter in token[1:]]
        if cluster and all(letter in common for letter in cluster):
            for letter in cluster:
                _note(given, common[letter])
        elif flag in common and _is_switch(common[flag]) and not equals:
            _note(given, common[flag])
        elif flag in common and not _is_switch(common[flag]) and (equals or queue):
            given[common[flag].name] = value if equals else queue.pop(0)
        elif flag in common:
            says = "takes no value" if equals else "needs a value"
            raise UsageError(f"option {flag} {says}", hint=f"{path} --help")
        else:
            kept.append(token)
            if flag in options and not _is_switch(options[flag]) and not equals and queue:
                kept.append(queue.pop(0))
    return given, kept + queue


def _is_switch(option: TyperOption) -> bool:
    return option.is_flag or option.count


def _note(given: dict[str, Any], option: TyperOption) -> None:
    given[option.name] = given.get(option.name, 0) + 1 if option.count else True


def _usage_pieces(command: TyperCommand | TyperGroup, ctx: Any) -> list[str]:
    pieces = [command.options_metavar] if command.options_metavar else []
    for param in command.get_params(ctx):
        if isinstance(param, TyperArgument):
            name = param.display_name_raw
            pieces.append((name if param.required else f"[{name}]") + ("..." if param.nargs != 1 else ""))
    return pieces


def _option_sections(command: TyperCommand | TyperGroup, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    help_option = command.get_help_option(ctx)
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for param in [*command.params, *([help_option] if help_option else [])]:
        record = param.get_help_record(ctx)
        if record is None:
            continue
        if isinstance(param, TyperArgument):
            sections["Arguments"].append((param.display_name_raw, record[1]))
            continue
        heading = GLOBAL_PANEL if param is help_option else getattr(param, "rich_help_panel", None) or "Options"
        sections.setdefault(heading, []).append(record)
    return sections


def _write_sections(formatter: Any, sections: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Write headings with two columns each, aligned over all of them."""
    width = min(max((len(first) for rows in sections.values() for first, _ in rows), default=0), 26)
    for heading, rows in sections.items():
        if rows:
            with formatter.section(heading):
                formatter.write_dl([(first.ljust(width), second) for first, second in rows], col_max=width)
