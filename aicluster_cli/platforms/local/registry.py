"""The local registry: one folder a version, built aside and renamed into place."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aicluster_cli.clustering.params import defaults
from aicluster_cli.errors import ModelError, UsageError
from aicluster_cli.files import output_error, sha256_file, write_json
from aicluster_cli.packaging.spec import ModelSpec, python_minor
from aicluster_cli.records import IDENTIFIER, ModelVersion, Registration, now

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "aicluster.json"  # beside MANIFEST.yml: what we know about the version
LABEL_SCHEMA = "aicluster.model/1"


class LocalRegistry:
    """Registered versions under ``<root>/<MODEL>/<VERSION>/``.

    An artefact holds code that is run, so a registry deserves the trust of a virtual environment. Files that changed
    since they were registered are refused.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """Return the registered versions, oldest first; broken ones carry their ``problem``."""
        found = [_read(folder) for folder in self._folders(model)]
        return sorted(found, key=lambda version: (version.model, version.created, _number(version.version)))

    def find(self, spec: ModelSpec, version: str | None) -> ModelVersion | None:
        """Return a version that can be run here: the named one, or the newest with the present content.

        Raises
        ------
        ModelError
            If the named version is missing, or if the version found is broken or of another Python.
        """
        versions = self.versions(spec.name)
        if version is not None:
            named = [found for found in versions if found.version == version.upper()]
            if not named:
                have = ", ".join(found.version for found in versions) or "none"
                raise ModelError(
                    f"{spec.name} has no version {version.upper()}; registered: {have}",
                    hint="choose one of these, or leave --version out"
                    if versions
                    else f"aicluster register {spec.info.alias} --version {version.upper()}",
                )
            return _usable(named[0], spec)
        content = spec.content_hash()
        current = [found for found in versions if found.content_hash == content]
        here = [found for found in current if found.python == python_minor()]
        if not current:
            return None
        return _usable((here or current)[-1], spec)

    def register(self, spec: ModelSpec, version: str | None, comment: str, package_version: str) -> Registration:
        """Build and store a version, unless this content is registered for this Python already.

        Raises
        ------
        UsageError
            If ``version`` is no identifier, or names other content.
        """
        if version is not None and not IDENTIFIER.fullmatch(version):
            raise UsageError(
                f"{version!r} cannot be a version's name",
                hint="use letters, digits and _, not starting with a digit: V1",
            )
        content = spec.content_hash()
        versions = self.versions(spec.name)
        for found in reversed(versions):
            if found.content_hash == content and found.python == python_minor() and not found.problem:
                return Registration(found, created=False)
        taken = {path.name for path in (self._root / spec.name).glob("*")}
        if version is not None and version.upper() in taken:
            raise UsageError(
                f"{spec.name} has a version {version.upper()} already: of other content, of another Python, or broken",
                hint="leave --version out, or choose another name",
            )
        name = version.upper() if version else next(free for free in _names() if free not in taken)
        built = self._build(spec, name, comment, package_version)
        return built or self.register(spec, version, comment, package_version)

    def drop(self, model: str, version: str | None) -> list[ModelVersion]:
        """Remove versions and return them.

        Raises
        ------
        ModelError
            If there is nothing of that name.
        """
        wanted = [found for found in self.versions(model) if version is None or found.version == version.upper()]
        if not wanted:
            named = f"{model} {version.upper()}" if version else model
            raise ModelError(f"{named} is not registered", hint="aicluster models lists what is")
        for found in wanted:
            try:
                shutil.rmtree(found.location)
            except OSError as error:
                raise output_error(Path(found.location), error) from error
        return wanted

    def _build(self, spec: ModelSpec, name: str, comment: str, package_version: str) -> Registration | None:
        """Build a version aside and rename it into place; None if somebody took the name in the meantime."""
        from aicluster_cli.packaging.builder import build_artefact

        home = self._root / spec.name
        try:
            home.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=".building-", dir=home))
        except OSError as error:
            raise output_error(home, error) from error
        try:
            build_artefact(spec, building)
            registered = ModelVersion(
                model=spec.name,
                version=name,
                content_hash=spec.content_hash(),
                python=python_minor(),
                created=now(),
                package_version=package_version,
                comment=comment,
                params=dict(defaults(spec.info.params)),
                requirements=list(spec.requirements),
                location=str(home / name),
            )
            write_json(building / LABEL, {"schema": LABEL_SCHEMA, **_label(registered), "files": _hashes(building)})
            building.chmod(0o755)
            building.rename(home / name)
        except OSError as error:
            if (home / name).exists():
                return None
            raise output_error(home / name, error) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return Registration(registered, created=True)

    def _folders(self, model: str | None) -> Iterator[Path]:
        homes = [self._root / model] if model else sorted(self._root.glob("*"))
        for home in homes:
            for folder in sorted(home.glob("*")) if home.is_dir() else []:
                if folder.is_dir() and IDENTIFIER.fullmatch(folder.name):
                    yield folder


def _read(folder: Path) -> ModelVersion:
    """Read a version; the Python it is bound to comes from the artefact's own manifest."""
    try:
        label = json.loads((folder / LABEL).read_text(encoding="utf-8"))
        known = {key: label[key] for key in ("content_hash", "created", "package_version", "comment", "params")}
        return ModelVersion(
            model=folder.parent.name,
            version=folder.name,
            python=_manifest_python(folder),
            requirements=label["requirements"],
            location=str(folder),
            problem=_problem(folder, label["files"]),
            **known,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return ModelVersion(
            model=folder.parent.name,
            version=folder.name,
            content_hash="",
            python="",
            created="",
            package_version="",
            location=str(folder),
            problem=f"unreadable: {error}",
        )


def _manifest_python(folder: Path) -> str:
    import yaml

    try:
        manifest = yaml.safe_load((folder / "MANIFEST.yml").read_text(encoding="utf-8"))
        return str(manifest["runtimes"]["python_runtime"]["version"])
    except yaml.YAMLError as error:
        raise ValueError(f"MANIFEST.yml is broken: {error}") from error


def _problem(folder: Path, hashes: dict[str, str]) -> str:
    for name, digest in hashes.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if sha256_file(path) != digest:
            return f"{name} has changed since it was registered"
    return ""


def _usable(version: ModelVersion, spec: ModelSpec) -> ModelVersion:
    if version.python and version.python != python_minor():
        raise ModelError(
            f"{version.model} {version.version} was built by Python {version.python} and this is {python_minor()}; "
            "a pickled model works on the minor version that wrote it only",
            hint=f"aicluster register {spec.info.alias}",
        )
    if version.problem:
        raise ModelError(
            f"{version.model} {version.version} is broken: {version.problem}",
            hint=f"aicluster models drop {spec.info.alias} --version {version.version} --yes, then register again",
        )
    return version


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _label(version: ModelVersion) -> dict[str, Any]:
    values = asdict(version)
    return {key: value for key, value in values.items() if key not in ("location", "problem")}


def _names() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"V{number}"


def _number(version: str) -> int:
    digits = re.fullmatch(r"V(\d+)", version)
    return int(digits[1]) if digits else 0
