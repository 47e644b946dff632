"""Checks that everything a run needs is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aicluster_cli.errors import AiclusterError
from aicluster_cli.records import Check

if TYPE_CHECKING:
    from aicluster_cli.workflows.context import Context


def diagnose(context: Context) -> list[Check]:
    """Return all findings: the profile, the platform, the embedding model."""
    profile = context.profile
    found = Check("profile", "OK", str(profile.path) if profile.path else "the built-in local one")
    return [found, *context.platform.checks(), _embedding(profile.profile.embedding.model)]


def _embedding(model: str) -> Check:
    from aicluster_cli.sources.embedder import load_embedder

    try:
        embedder = load_embedder(model)
        embedder.embed(["a text"])
    except AiclusterError as error:
        return Check("embedding model", "FAIL", error.message, error.hint)
    return Check("embedding model", "OK", f"{embedder.name}, {embedder.dimension} dimensions")
