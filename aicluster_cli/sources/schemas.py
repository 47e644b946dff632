"""Checks on columns: there, told apart by name, of a type that serves, the same in every file."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import types

from aicluster_cli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aicluster_cli.sources.spec import SourceSpec

_LISTED = 40


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the names and types of ``schema`` alone: metadata of other tools describes other tables."""
    return pa.schema([pa.field(field.name, field.type) for field in schema])


def check_columns(schema: pa.Schema, spec: SourceSpec, name: str) -> None:
    """Check that ``schema`` has the columns of ``spec``, in types that serve.

    Raises
    ------
    InputError
        On two columns of one name, an absent column or one of an unusable type, with the cure.
    """
    for known, count in Counter(schema.names).items():
        if count > 1:
            raise InputError(
                f"{name} has {count} columns {f'named {known}' if known else 'without a name'}",
                hint="rename them so that each name stands for one column",
            )
    wanted: tuple[tuple[str, str | None, Callable[[pa.DataType], str]], ...] = (
        ("id", spec.id_column, _scalar_fault),
        ("text", spec.text_column, _text_fault),
        ("embedding", spec.embedding_column, _embedding_fault),
        ("partition", spec.partition_column, _scalar_fault),
    )
    for role, column, fault_of in wanted:
        if column is None:
            continue
        if column not in schema.names:
            raise _absent(schema, column, role, name)
        cure = fault_of(schema.field(column).type)
        if cure:
            raise InputError(
                f"column {column} of {name} cannot be the {role} column: its type is {schema.field(column).type}",
                hint=cure.format(column=column, quoted='"' + column.replace('"', '""') + '"'),
            )


def check_same(first: str, expected: pa.Schema, other: str, found: pa.Schema) -> None:
    """Raise InputError, naming the difference, unless file ``other`` has the columns that file ``first`` has."""
    if list(expected.names) == list(found.names) and list(expected.types) == list(found.types):
        return
    missing = [name for name in expected.names if name not in found.names]
    extra = [name for name in found.names if name not in expected.names]
    if missing or extra:
        parts = [f"it lacks {', '.join(missing)}"] * bool(missing) + [f"it adds {', '.join(extra)}"] * bool(extra)
        difference = " and ".join(parts)
    elif list(expected.names) != list(found.names):
        difference = f"their order is {', '.join(found.names)}, not {', '.join(expected.names)}"
    else:
        pairs = zip(expected, found, strict=True)
        left, right = next((left, right) for left, right in pairs if left.type != right.type)
        difference = f"{right.name} is {right.type}, not {left.type}"
    raise InputError(
        f"{other} has other columns than {first}: {difference}",
        hint="name files of one kind only, or bring them together with --query",
    )


def is_text(kind: Any) -> bool:
    """Whether values of ``kind`` are strings, or all null."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view, types.is_null))


def _text_fault(kind: pa.DataType) -> str:
    return "" if is_text(kind) else "name a text column, or cast it: --query 'SELECT CAST({quoted} AS VARCHAR) AS …'"


def _embedding_fault(kind: Any) -> str:
    if is_text(kind):
        return ""
    if not _is_list(kind):
        return "an embedding is a list of numbers, or such a list as JSON text"
    inner = kind.value_type
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_null)
    if any(test(inner) for test in numbers):
        return ""
    if is_text(inner):
        return "cast its items to numbers: --query 'SELECT CAST({quoted} AS FLOAT[]) AS {quoted} FROM input'"
    if _is_list(inner):
        return "an embedding is one flat list of numbers a row: pick or average the inner lists with --query"
    return "an embedding is a list of numbers, or such a list as JSON text"


def _scalar_fault(kind: Any) -> str:
    if is_text(kind):
        return ""
    if types.is_dictionary(kind):
        kind = kind.value_type
    scalars = (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_decimal,
        types.is_date,
        types.is_time,
        types.is_timestamp,
        types.is_duration,
    )
    if any(test(kind) for test in scalars):
        return ""
    return "use a column of text, numbers or dates, or cast it with --query: CAST({quoted} AS VARCHAR) AS {quoted}"


def _is_list(kind: pa.DataType) -> bool:
    tests = (
        types.is_list,
        types.is_large_list,
        types.is_fixed_size_list,
        types.is_list_view,
        types.is_large_list_view,
    )
    return any(test(kind) for test in tests)


def _absent(schema: pa.Schema, column: str, role: str, name: str) -> InputError:
    names = list(schema.names)
    shown = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    by_case = {known.casefold(): known for known in names}
    close = [by_case[key] for key in difflib.get_close_matches(column.casefold(), list(by_case), n=3)]
    hint = f"did you mean {' or '.join(close)}?" if close else f"name one of its columns with --{_flag(role)}"
    if len(names) == 1:
        hint = _other_delimiter(names[0], name) or hint
    return InputError(f"{name} has no column {column}; its columns are {shown}", hint=hint)


def _other_delimiter(header: str, name: str) -> str:
    if "\t" in header:
        return "the cells seem to be separated by tabs: say --input-format tsv"
    sign = next((sign for sign in ";|" if sign in header), None)
    if sign is None:
        return ""
    return f"the cells seem to be separated by {sign}: use --query \"FROM read_csv('{name}', delim='{sign}')\" instead"


def _flag(role: str) -> str:
    return "partition-by" if role == "partition" else f"{role}-column"
