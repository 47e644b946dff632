"""The small tables that the tests cluster, made up by rule."""

import csv
import itertools
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

_SUBJECTS = {
    "card": ("my bank card", "the card you sent me", "a second card", "the debit card"),
    "parcel": ("my parcel", "the package", "the delivery from Monday", "an order of mine"),
    "password": ("my password", "the login code", "the account login", "a reset link for my password"),
}
_ASKED = ("where is {}?", "I have a problem with {}", "please tell me about {}", "{} has not come, what now?")

VECTOR_ARGS = ("kmeans", "--id-column", "id", "--embedding-column", "embedding", "--set", "n_clusters=3")


def texts() -> list[str]:
    """Return 48 different messages about three things."""
    return [
        form.format(subject) for subjects in _SUBJECTS.values() for form, subject in itertools.product(_ASKED, subjects)
    ]


def tickets() -> list[dict[str, str]]:
    """Return messages with ids 000, 007, 014, …; the last one is blank."""
    return [{"id": f"{7 * n:03d}", "text": text} for n, text in enumerate([*texts(), "   "])]


def points(count: int = 36, *, seed: int = 1) -> list[list[float]]:
    """Return points of four numbers around three directions by turns, exact in text and in float32."""
    chance = random.Random(seed)
    return [
        [(96 if place == n % 3 else 0) / 64 + chance.randrange(16) / 64 for place in range(4)] for n in range(count)
    ]


def vectors() -> list[dict[str, str]]:
    """Return rows whose embeddings are JSON text, and whose ids have leading zeros."""
    return [{"id": f"{n:03d}", "embedding": str(point)} for n, point in enumerate(points())]


def regions() -> pa.Table:
    """Return 40 rows of many types in the regions 30, 7 and null; the embedding of one row is missing."""
    vectors: list[list[float] | None] = list(points(40))
    vectors[11] = None
    start = datetime(2024, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
    return pa.table(
        {
            "at": pa.array([start + timedelta(hours=n) for n in range(40)], pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal(n) / 100 for n in range(40)], pa.decimal128(9, 2)),
            "kind": pa.array(["new", None, "old", "new"] * 10).dictionary_encode(),
            "region": pa.array([30, 7, None, 7] * 10, pa.int16()),
            "embedding": pa.array(vectors, pa.list_(pa.float32(), 4)),
            "note": pa.array(['says "yes", twice', "two\nlines", "", None] * 10),
        }
    )


def write_csv(path: Path, rows: Iterable[dict[str, str]]) -> None:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
