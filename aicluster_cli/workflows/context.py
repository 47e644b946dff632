"""What a workflow is given: the profile, the platform it names, and somebody to tell about progress."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aicluster_cli.errors import ProfileError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aicluster_cli.platforms.base import Platform
    from aicluster_cli.profile.load import LoadedProfile

DISTRIBUTION = "aicluster-cli"


class Stage(Protocol):
    """A piece of work under way."""

    def update(self, n: int = 1, *, total: int | None = None) -> None:
        """Say that ``n`` more units are done, and the total once it is known."""

    def done(self, text: str) -> None:
        """Replace the stage's name by what it achieved."""


class Reporter(Protocol):
    """Somebody to tell. The console is one; a notebook may bring its own."""

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Stage]:
        """Begin a stage that may last longer than a second."""

    def info(self, text: str) -> None:
        """Tell what was done."""

    def warn(self, text: str) -> None:
        """Tell what a person should look at."""


@dataclass(frozen=True)
class Context:
    """The profile in force, its platform, and the reporter."""

    profile: LoadedProfile
    platform: Platform
    reporter: Reporter


def open_context(profile: LoadedProfile, reporter: Reporter) -> Context:
    """Open the platform a profile names.

    Raises
    ------
    ProfileError
        If the platform is unknown.
    """
    settings = profile.profile
    if settings.platform != "local":
        raise ProfileError(f"there is no platform {settings.platform}", hint="set platform: local")
    from aicluster_cli.platforms.local.platform import LocalPlatform

    platform = LocalPlatform(profile.root, threads=profile.threads, package_version=package_version())
    return Context(profile, platform, reporter)


def package_version() -> str:
    """Return this package's version, from the installed metadata."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"


def reader_versions() -> dict[str, str]:
    """Return the versions of what reads, embeds and writes rows here; the clustering process adds its own."""
    from importlib.metadata import PackageNotFoundError, version

    found = {DISTRIBUTION: package_version()}
    for package in ("pyarrow", "duckdb", "wordllama"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
