"""A YAML file as plain data that knows the line of every value. One strict, harmless dialect of YAML.

Scalars follow the core schema of YAML 1.2 (so ``no`` is text, ``012`` is twelve and ``1e-2`` a number). Aliases, tags,
duplicate keys and several documents in one file are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import yaml

from aicluster_cli.profile.interpolation import (
    Interpolated,
    MalformedReferenceError,
    MissingVariableError,
    interpolate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_MAX_DEPTH = 32
_MAX_DIGITS = 300  # beyond it, an int is no number anybody means, and a float is infinite

_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file: the line, the keys that lead there, the reason, and a cure if there is one."""

    line: int
    keys: KeyPath
    reason: str
    hint: str = ""


@dataclass(frozen=True)
class Place:
    """Where a value stands, and the environment variables that it names and those that it was really taken from."""

    line: int
    variables: tuple[str, ...] = ()
    from_env: tuple[str, ...] = ()


@dataclass
class Document:
    """The data of a file (values with problems are left out), the place of every key path, and the problems."""

    data: dict[str, object] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_document(content: bytes, env: Mapping[str, str]) -> Document:
    """Read the bytes of a YAML file, values interpolated from ``env``. Never raises on content: see ``problems``."""
    document = Document()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.problems.append(Problem(line, (), "not UTF-8 text; save the file as UTF-8"))
        return document
    try:
        node = _Loader(text).get_single_node()
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(error, text))
        return document
    if node is None or _is_null(node):
        return document
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "plain text"
        reason = f"a profile is a mapping of keys, such as platform: local; this file is {kind}"
        document.problems.append(Problem(_line(node), (), reason))
        return document
    document.data = _Reader(document, env).mapping(node, ())
    return document


def scalar_value(text: str) -> str | int | float | bool | None:
    """Return what a plain, that is unquoted, scalar means by the core schema of YAML 1.2."""
    word = text.strip()
    if _NULL.fullmatch(word):
        return None
    if _TRUE.fullmatch(word) or _FALSE.fullmatch(word):
        return bool(_TRUE.fullmatch(word))
    if len(word) > _MAX_DIGITS:
        return text
    if _INT.fullmatch(word):
        return int(word)
    if _OTHER_BASE.fullmatch(word):
        return int(word, 0)
    if _FLOAT.fullmatch(word):
        return float(word)
    if _INFINITY.fullmatch(word) or _NAN.fullmatch(word):
        return float(word.replace(".", ""))
    return text


class _Reader:
    """Turns nodes into data, noting places and problems in the document."""

    def __init__(self, document: Document, env: Mapping[str, str]) -> None:
        self._document = document
        self._env = env

    def mapping(self, node: yaml.MappingNode, keys: KeyPath) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(key_node, keys, "a key must be plain text, not a list or a mapping")
                continue
            key = key_node.value
            path = (*keys, key)
            if first := self._document.places.get(path):
                self._complain(key_node, path, f"duplicate key; it stands in line {first.line} already")
                continue
            self._document.places[path] = Place(_line(key_node))
            self._add(data, key, value_node, path)
        return data

    def _add(self, data: dict[str, object], key: str, node: yaml.Node, path: KeyPath) -> None:
        if isinstance(node, yaml.MappingNode):
            data[key] = self.mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            items: dict[str, object] = {}
            for index, item in enumerate(node.value):
                self._document.places[(*path, index)] = Place(_line(item))
                self._add(items, str(index), item, (*path, index))
            data[key] = list(items.values())
        else:
            self._add_scalar(data, key, node, path)

    def _add_scalar(self, data: dict[str, object], key: str, node: yaml.Node, path: KeyPath) -> None:
        try:
            read = interpolate(node.value, self._env)
        except MalformedReferenceError as error:
            self._complain(node, path, str(error))
        except MissingVariableError as error:
            name = error.variable
            hint = f"set it (export {name}=…), or give the profile a default: ${{{name}:-default}}"
            self._complain(node, path, str(error), hint)
        else:
            self._document.places[path] = self._place(node, read)
            plain = isinstance(node, yaml.ScalarNode) and node.style is None
            data[key] = scalar_value(read.text) if plain else read.text

    def _place(self, node: yaml.Node, read: Interpolated) -> Place:
        return Place(_line(node), read.variables, read.from_env)

    def _complain(self, node: yaml.Node, keys: KeyPath, reason: str, hint: str = "") -> None:
        self._document.problems.append(Problem(_line(node), keys, reason, hint))


class _Loader(yaml.SafeLoader):
    """Composes nodes only, and refuses what could make a small file large or a value more than data."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(event, f"aliases (*{event.anchor}) are not allowed here; write the value out")
        if tag := getattr(event, "tag", None):
            raise _refusal(event, f"tags ({tag}) are not allowed here; write the bare value")
        if self._depth >= _MAX_DEPTH:
            raise _refusal(event, f"nested more than {_MAX_DEPTH} deep")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _RefusedError(yaml.MarkedYAMLError):
    """Valid YAML that has no place in a profile."""


def _refusal(event: yaml.Event, problem: str) -> _RefusedError:
    return _RefusedError(problem=problem, problem_mark=cast("yaml.Mark", event.start_mark))


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Problem(line, (), f"a control character (U+{int(error.character):04X}); remove it")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(1, (), "not valid YAML")
    line = error.problem_mark.line + 1
    return Problem(line, (), _plain_reason(error, text.splitlines()[line - 1 : line]))


def _plain_reason(error: yaml.MarkedYAMLError, lines: list[str]) -> str:
    problem = error.problem or "not valid YAML"
    if isinstance(error, _RefusedError):
        return problem
    content = lines[0] if lines else ""
    if "\t" in content[: len(content) - len(content.lstrip())] or "'\\t'" in problem:
        return "a tab; YAML is indented with spaces"
    if "but got '{'" in problem and "${" in content:
        return "${…} cannot stand inside { … } or [ … ]; give its key a line of its own"
    if "mapping values are not allowed" in problem:
        return "wrong indentation, or a second ': ' in one line; put text that holds ': ' in quotes"
    if "expected <block end>" in problem:
        return "wrong indentation; the keys of one level start in the same column"
    if "could not find expected ':'" in problem:
        return "a key without ': ' after it"
    if "but found another document" in problem:
        return "a second document; a profile is one document, without --- in its middle"
    return f"not valid YAML: {problem}"


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and scalar_value(node.value) is None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
