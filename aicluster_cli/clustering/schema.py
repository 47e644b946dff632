"""The frozen row schema: what goes into a model and what comes out, the same on every platform.

Light and shipped with every model: imports nothing but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

ColumnType = Literal["text", "int64", "double"]


@dataclass(frozen=True)
class Column:
    """One output column: its name, its type and what it means."""

    name: str
    type: ColumnType
    meaning: str


ID = "ID"
EMBEDDING = "EMBEDDING"

OUTPUT_COLUMNS: tuple[Column, ...] = (
    Column("ROW_ID", "text", "the id given, or the row number from 0"),
    Column("CLUSTER_ID", "int64", "0 and up by falling size, -1 outlier, null not clusterable"),
    Column("STRENGTH", "double", "0 to 1, how firmly the row belongs to its cluster"),
    Column("DISTANCE", "double", "cosine distance to the cluster's centre; an outlier's to the nearest centre"),
    Column("RAW_CLUSTER_ID", "int64", "the cluster before outliers were moved"),
    Column("OUTLIER_SCORE", "double", "higher is stranger"),
    Column("LEVEL_1", "int64", "coarser cluster, finest level"),
    Column("LEVEL_2", "int64", "coarser cluster, middle level"),
    Column("LEVEL_3", "int64", "coarser cluster, coarsest level"),
    Column("BLOCK_ROWS", "int64", "how many rows the call saw"),
    Column("REASON", "text", "why the row could not be clustered"),
    Column("DETAILS", "text", "JSON in one row a partition, about the whole partition"),
)

OUTPUT_NAMES: tuple[str, ...] = tuple(column.name for column in OUTPUT_COLUMNS)

MIN_DIMENSION = 2
MAX_DIMENSION = 4096  # the longest VECTOR(FLOAT, n) of Snowflake


class Verdict(StrEnum):
    """Why a row is not clusterable. A REASON is a verdict, or a verdict with ': ' and the particulars."""

    NULL_ID = "null id"
    DUPLICATE_ID = "duplicate id"
    NULL_TEXT = "null text"
    BLANK_TEXT = "blank text"
    NULL_EMBEDDING = "null embedding"
    BLANK_EMBEDDING = "blank embedding"
    MALFORMED = "malformed JSON"
    NOT_AN_ARRAY = "not an array"
    NESTED = "nested array"
    NOT_A_NUMBER = "not a number inside the vector"
    NOT_FINITE = "NaN or Infinity inside the vector"
    WRONG_LENGTH = "wrong length"
    ZERO_VECTOR = "zero vector"
    TOO_FEW_ROWS = "too few rows"


def verdict_of(reason: str) -> str:
    """Return the verdict of a REASON, without its particulars: ``wrong length: 3, not 256`` gives ``wrong length``."""
    return reason.partition(":")[0]
