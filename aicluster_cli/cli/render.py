"""How values look to people and programs: neutralised text, cells, tables and JSON. Nothing here prints."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, TextIO

# What a terminal acts upon instead of showing: C0 and C1 controls, line and paragraph separators, and the characters
# that reorder text. Lone surrogates (undecodable bytes of file names) cannot be encoded at all.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")


def printable(text: str) -> str:
    r"""Return ``text`` with everything that a terminal would obey shown as an escape such as ``\x1b`` or ``\u202e``.

    Line feeds and tabs stay, and CR LF becomes LF, so messages may have several lines.
    """
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return :func:`printable` text on one line: runs of line breaks and tabs become one space."""
    return printable(_BREAKS.sub(" ", text))


def json_text(document: object) -> str:
    """Return ``document`` as JSON with two spaces of indent and a final line feed.

    Dataclasses, paths, dates and arrays are understood; NaN and infinities become null, for JSON has none. Characters
    that a terminal would obey are escaped, which leaves the meaning as it is.

    Raises
    ------
    TypeError
        If a value has no JSON form.
    """
    return _json(document, indent=2)


def json_line(document: object) -> str:
    """Return ``document`` as :func:`json_text` does, on one line."""
    return _json(document, indent=None)


def exact(value: object) -> str:
    """Return a cell for programs: empty for null and NaN, ``true``/``false``, floats with all their digits."""
    return _cell(value, number=repr, true="true", false="false")


def friendly(value: object) -> str:
    """Return a cell for people, on one line: floats with three decimals at most, ``yes``/``no``."""
    return one_line(_cell(value, number=_short, true="yes", false="no"))


def is_number(value: object) -> bool:
    """Tell whether ``value`` belongs in a right-aligned column (booleans do not)."""
    from numbers import Number

    return isinstance(value, Number) and not isinstance(value, bool)


def write_csv(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows as CSV with LF line ends and exact values."""
    import csv

    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([exact(value) for value in row] for row in rows)


def write_tabs(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a header and rows separated by tabs, one line a row whatever the cells hold: for ``cut`` and ``awk``."""
    for row in (columns, *rows):
        stream.write("\t".join(one_line(exact(value)) for value in row) + "\n")


def write_json_lines(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one JSON object a row."""
    for row in rows:
        stream.write(json_line(dict(zip(columns, row, strict=True))))


def write_rich(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    width: int,
    color: bool,
    title: str | None = None,
    footer: str | None = None,
) -> None:
    """Draw a table for a terminal of ``width`` columns. Long text is folded, so nothing of it is lost."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = any(is_number(row[index]) for row in rows) and all(
            row[index] is None or is_number(row[index]) for row in rows
        )
        table.add_column(Text(one_line(name)), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in rows:
        table.add_row(*[Text(friendly(value)) for value in row])
    console = Console(
        file=stream,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
    )
    if title:
        console.print(Text(one_line(title), style="bold"))
    console.print(table)
    if footer:
        console.print(Text(one_line(footer), style="dim"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _json(document: object, indent: int | None) -> str:
    import json

    text = json.dumps(_plain(document), ensure_ascii=False, allow_nan=False, indent=indent)
    return _UNSAFE.sub(_json_escape, text) + "\n"


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"  # met inside strings only, where it is the same character


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "__fspath__"):
        return str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _cell(value: Any, *, number: Callable[[float], str], true: str, false: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return true if value else false
    if isinstance(value, float):
        return "" if math.isnan(value) else number(float(value))
    if isinstance(value, Mapping | list | tuple):
        return json_line(value).rstrip("\n")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _short(value: float) -> str:
    if value and abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:.3f}".rstrip("0").rstrip(".")
