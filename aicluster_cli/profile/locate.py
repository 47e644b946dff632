"""Where profiles lie: the order of search, the shipped ones, the names that completion offers.

Light: standard library only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aicluster_cli.errors import ProfileError
from aicluster_cli.profile.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Mapping

PROFILE_VARIABLE = "AICLUSTER_PROFILE"
DEFAULT_FILE = "aicluster.yaml"
BUILT_IN_NAME = "local"

_SUFFIXES = (".yaml", ".yml")
_PEEK_BYTES = 4096  # a profile says its platform near the top


@dataclass(frozen=True)
class Found:
    """A profile that was found.

    ``path`` is None for the built-in profile; ``base`` is the folder that a relative ``root`` starts from.
    """

    name: str
    path: Path | None
    base: Path


def find_profile(value: str | None, env: Mapping[str, str], cwd: Path) -> Found:
    """Find the profile that ``value``, what ``--profile`` says, asks for.

    Without one it is that of AICLUSTER_PROFILE, else ./aicluster.yaml, else the built-in profile.

    Raises
    ------
    ProfileError
        If a profile was named and is not there; the message lists where it was looked for.
    """
    if value is not None:
        return _find_named(value, "--profile", cwd)
    if from_env := env.get(PROFILE_VARIABLE):
        return _find_named(from_env, PROFILE_VARIABLE, cwd)
    path = cwd / DEFAULT_FILE
    # A broken link or a folder of that name is there, and must be complained about rather than passed over.
    if os.path.lexists(path):
        return Found(path.stem, path, cwd)
    return Found(BUILT_IN_NAME, None, cwd)


def shipped_path(name: str) -> Path | None:
    """Return the file of a profile that comes with the package, or None."""
    folder = _shipped_folder()
    path = folder / f"{name}.yaml" if folder else None
    return path if path and path.is_file() else None


def template(platform: str = "local") -> str:
    """Return the text of the shipped profile of a platform, as ``profile init`` writes it.

    Raises
    ------
    ProfileError
        If no profile is shipped for the platform.
    """
    path = shipped_path(platform) if platform in _shipped_names() else None
    if path is None:
        raise ProfileError(
            f"there is no profile template for platform {platform}",
            hint=f"templates: {', '.join(_shipped_names())}",
        )
    return path.read_text(encoding="utf-8")


def profile_names(cwd: Path | None = None) -> list[str]:
    """Return the names that ``--profile`` takes in this folder, sorted, for completion.

    Of the YAML files lying about only those count that say ``platform:``, since a project holds many others.
    """
    here = cwd or Path.cwd()
    local = {path.stem for folder in (here, here / "configs") for path in _yaml_files(folder) if _says_platform(path)}
    return sorted(local | set(_shipped_names()))


def _find_named(value: str, origin: str, cwd: Path) -> Found:
    if not value.strip():
        raise ProfileError(f"the profile's name is empty (from {origin})", hint=_create_hint())
    if "\0" in value:
        raise ProfileError(f"the profile's name holds a null character (from {origin})", hint=_create_hint())
    is_path = value.endswith(_SUFFIXES) or any(mark and mark in value for mark in ("/", os.sep, os.altsep))
    if is_path:
        places = [cwd / os.path.expanduser(value)]  # noqa: PTH111 - Path.expanduser raises on an unknown user
    else:
        places = [cwd / f"{value}.yaml", cwd / "configs" / f"{value}.yaml"]
    for path in places:
        if os.path.lexists(path):
            return Found(path.stem, path, cwd if _is_shipped(path) else path.parent)
    shipped = None if is_path else shipped_path(value)
    if shipped:
        return Found(value, shipped, cwd)
    raise _not_found(value, origin, is_path=is_path, cwd=cwd)


def _is_shipped(path: Path) -> bool:
    # A shipped profile belongs to no project, so its root is the current folder's, as the built-in one's is, even where
    # it is found by its path in a checkout.
    shipped = shipped_path(path.stem)
    return shipped is not None and path.resolve() == shipped


def _not_found(value: str, origin: str, *, is_path: bool, cwd: Path) -> ProfileError:
    if is_path:
        return ProfileError(f"profile {value} not found (from {origin})", hint=_create_hint())
    close = closest(value, profile_names(cwd))
    guess = f"; did you mean {close}?" if close else ""
    looked = f"./{value}.yaml, ./configs/{value}.yaml and the shipped profiles ({', '.join(_shipped_names())})"
    return ProfileError(f"profile {value} not found (from {origin}): looked for {looked}{guess}", hint=_create_hint())


def _create_hint() -> str:
    return f"write a profile, ./{DEFAULT_FILE}, with: aicluster profile init"


def _shipped_names() -> list[str]:
    folder = _shipped_folder()
    return sorted(path.stem for path in _yaml_files(folder)) if folder else []


def _shipped_folder() -> Path | None:
    package = Path(__file__).resolve().parents[1]
    installed, checkout = package / "configs", package.parent
    if installed.is_dir():
        return installed
    # Beside an installed package lie other people's folders; only our own checkout has a project file there.
    return checkout / "configs" if (checkout / "pyproject.toml").is_file() else None


def _yaml_files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == ".yaml" and path.is_file()]
    except OSError:
        return []


def _says_platform(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_PEEK_BYTES)
    except OSError:
        return False
    return any(line.startswith(b"platform:") for line in head.removeprefix(b"\xef\xbb\xbf").splitlines())
