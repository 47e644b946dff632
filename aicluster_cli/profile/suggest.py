"""Guessing what a mistyped name was meant to be. Standard library only."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that ``name`` looks like, whatever its case, or None."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with the closest known name, or without one ``; known are …``."""
    names = tuple(known)
    guess = closest(name, names)
    return f"; did you mean {guess}?" if guess else f"; known are {', '.join(names)}"
