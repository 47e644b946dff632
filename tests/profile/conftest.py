from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from aicluster_cli.profile.load import LoadedProfile, load_profile

if TYPE_CHECKING:
    from pathlib import Path


class Load(Protocol):
    def __call__(self, text: str | bytes, **env: str) -> LoadedProfile: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a profile to ./aicluster.yaml and load it from there, with nothing but the given environment."""

    def write_and_load(text: str | bytes, **env: str) -> LoadedProfile:
        path = tmp_path / "aicluster.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_profile(env=env, cwd=tmp_path)

    return write_and_load
