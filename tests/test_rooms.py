"""Dependencies point downwards only: which room of the package may import which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import aicluster_cli

PACKAGE = Path(aicluster_cli.__file__).parent
PROJECT = PACKAGE.name
MODULES = {
    ".".join((PROJECT, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

BASIS = {"errors", "records", "files", "stored"}
LIGHT = {f"{PROJECT}.clustering.{name}" for name in ("params", "schema", "catalog")}
BELOW_WORKFLOWS = BASIS | {"clustering", "packaging", "platforms", "profile", "results", "samples", "sources"}
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "records": set(),
    "files": {"errors", "records"},
    "stored": {"errors", "records", "files"},
    "samples": set(),
    "clustering": set(),
    "packaging": BASIS | {"clustering"},
    "profile": BASIS,
    "results": BASIS,
    "sources": BASIS,
    "platforms": BASIS | {"packaging", "profile"},
    "workflows": BELOW_WORKFLOWS,
    "cli": BELOW_WORKFLOWS | {"workflows"},
}
WITHOUT_LIGHT_MODULES = {"", "errors", "records", "samples"}

VENDOR = {f"{PROJECT}.clustering.models", f"{PROJECT}.packaging.builder", f"{PROJECT}.packaging.host"}
TERMINAL = {"typer", "rich", "click"}


def imports_of(source: str, module: str, *, is_package: bool) -> set[str]:
    """Every module that a source imports, wherever it does: in functions, for types only, by name at run time."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {_resolved(origin, alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            found |= {_text(argument) for argument in node.args[:1]}
    return found


def _resolved(origin: str, name: str) -> str:
    return f"{origin}.{name}" if f"{origin}.{name}" in MODULES else origin


def _called(node: ast.Call) -> str | None:
    return getattr(node.func, "attr", None) or getattr(node.func, "id", None)


def _text(argument: ast.expr) -> str:
    """The imported name as far as it is written down: of ``f"aicluster_cli.cli.{name}"`` the beginning."""
    if isinstance(argument, ast.JoinedStr):
        return _text(argument.values[0]).removesuffix(".")
    return str(argument.value) if isinstance(argument, ast.Constant) else ""


def imported(module: str) -> set[str]:
    path = MODULES[module]
    return imports_of(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py")


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def violations(module: str, names: set[str]) -> list[str]:
    room = room_of(module)
    allowed = MAY_IMPORT[room] | {room, ""}
    also = set() if room in WITHOUT_LIGHT_MODULES else LIGHT
    ours = {name for name in names if name.split(".")[0] == PROJECT}
    return sorted(name for name in ours if room_of(name) not in allowed and name not in also)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module):
    assert violations(module, imported(module)) == []


def test_every_room_is_in_the_table():
    assert {room_of(module) for module in MODULES} <= set(MAY_IMPORT)


def test_the_table_points_downwards_only():
    done: set[str] = set()
    rest = {room: allowed & set(MAY_IMPORT) for room, allowed in MAY_IMPORT.items()}
    while ready := {room for room, allowed in rest.items() if allowed <= done}:
        done |= ready
        rest = {room: allowed for room, allowed in rest.items() if room not in ready}
    assert rest == {}


@pytest.mark.parametrize("module", [f"{PROJECT}.packaging.host", f"{PROJECT}.errors", f"{PROJECT}.records", PROJECT])
def test_some_modules_import_nothing_of_the_project(module):
    assert [name for name in imported(module) if name.split(".")[0] == PROJECT] == []


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) == "clustering"])
def test_the_shipped_code_imports_nothing_but_itself(module):
    ours = {name for name in imported(module) if name.split(".")[0] == PROJECT}
    assert {name for name in ours if not name.startswith(f"{PROJECT}.clustering")} == set()


def test_only_the_models_and_their_packager_import_the_vendor():
    assert {module for module in MODULES if "snowflake" in roots(module)} <= VENDOR


def test_only_the_command_line_imports_typer_and_rich():
    assert {room_of(module) for module in MODULES if TERMINAL & roots(module)} <= {"cli"}


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) != "cli"])
def test_nothing_prints_outside_the_command_line(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "print"]
    assert lines == []


def roots(module: str) -> set[str]:
    return {name.split(".")[0] for name in imported(module)}


def test_imports_are_found_wherever_they_are():
    source = """
import one.sub as alias, two
from three.sub import name
from aicluster_cli import errors
from aicluster_cli.clustering import kmeans, __doc__
from . import spec
from .runner import run_artefact
from ..platforms import base
if TYPE_CHECKING:
    from four import name
def function():
    import five
    class Inner:
        def method(self):
            from six import name
            importlib.import_module("seven.sub")
            __import__("eight")
            import_module(f"aicluster_cli.workflows.{name}")
try:
    import nine
except ImportError:
    import ten
"""
    assert imports_of(source, "aicluster_cli.packaging.builder", is_package=False) == {
        *("one.sub", "two", "three.sub", "four", "five", "six", "seven.sub", "eight", "nine", "ten"),
        *("aicluster_cli.errors", "aicluster_cli.clustering.kmeans", "aicluster_cli.clustering"),
        *("aicluster_cli.packaging.spec", "aicluster_cli.packaging.runner", "aicluster_cli.platforms.base"),
        "aicluster_cli.workflows",
    }


def test_relative_imports_of_a_package_start_at_itself():
    assert imports_of("from . import spec", "aicluster_cli.packaging", is_package=True) == {
        "aicluster_cli.packaging.spec"
    }


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("errors", "records"),
        ("records", "errors"),
        ("records", "clustering.params"),
        ("files", "results.parts"),
        ("clustering.kmeans", "errors"),
        ("packaging.spec", "platforms.base"),
        ("profile.load", "clustering.kmeans"),
        ("profile.load", "sources"),
        ("sources.reader", "results.parts"),
        ("results.join", "sources.spec"),
        ("results.join", "clustering.geometry"),
        ("platforms.local.platform", "results.join"),
        ("platforms.local.platform", "sources.reader"),
        ("platforms.local.platform", "workflows.run"),
        ("workflows.run", "cli.console"),
        ("samples", "files"),
    ],
)
def test_a_forbidden_import_is_a_violation(module, name):
    assert violations(f"{PROJECT}.{module}", {f"{PROJECT}.{name}"}) == [f"{PROJECT}.{name}"]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("results.join", "clustering.schema"),
        ("sources.reader", "clustering.params"),
        ("profile.load", "clustering.catalog"),
        ("platforms.local.registry", "packaging.builder"),
        ("workflows.run", "clustering.embeddings"),
        ("cli.run", "workflows.run"),
        ("packaging.builder", "clustering.models"),
    ],
)
def test_an_import_from_below_is_none(module, name):
    assert violations(f"{PROJECT}.{module}", {f"{PROJECT}.{name}", "json"}) == []
