"""The sample must stay what the demo and the docs say it is: twelve topics, some strays, clean CSV."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from itertools import pairwise

import pytest

from aicluster_cli.samples import messages_path

COLUMNS = ["id", "topic", "text"]


@pytest.fixture(scope="module")
def content() -> str:
    return messages_path().read_bytes().decode("utf-8", errors="strict")


@pytest.fixture(scope="module")
def rows(content: str) -> list[dict[str, str]]:
    _, *records = csv.reader(io.StringIO(content, newline=""), strict=True)
    return [dict(zip(COLUMNS, record, strict=True)) for record in records]


def test_file_is_strict_csv_in_its_canonical_form(content: str) -> None:
    records = list(csv.reader(io.StringIO(content, newline=""), strict=True))
    assert records[0] == COLUMNS
    assert {len(record) for record in records} == {len(COLUMNS)}
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(records)
    assert written.getvalue() == content


def test_file_has_no_byte_order_mark_and_unix_line_ends(content: str) -> None:
    assert not content.startswith("\ufeff")
    assert "\r" not in content
    assert content.endswith("\n")
    assert not content.endswith("\n\n")


def test_there_are_a_few_hundred_messages(rows: list[dict[str, str]]) -> None:
    assert 300 <= len(rows) <= 450


def test_there_are_twelve_topics_of_similar_size_and_some_strays(rows: list[dict[str, str]]) -> None:
    sizes = Counter(row["topic"] for row in rows)
    strays = sizes.pop("none")
    assert 20 <= strays <= 30
    assert len(sizes) == 12
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", topic) for topic in sizes)
    assert 25 <= min(sizes.values()) < max(sizes.values()) <= 33


def test_ids_run_from_m001_without_gap_or_repeat(rows: list[dict[str, str]]) -> None:
    assert [row["id"] for row in rows] == [f"M{number:03d}" for number in range(1, len(rows) + 1)]


def test_no_two_messages_say_the_same(rows: list[dict[str, str]]) -> None:
    said = Counter(" ".join(re.findall(r"\w+", row["text"].lower())) for row in rows)
    assert [text for text, times in said.items() if times > 1] == []


def test_messages_are_short_single_lines(rows: list[dict[str, str]]) -> None:
    odd = [row["id"] for row in rows if not 5 <= len(row["text"].split()) <= 25]
    assert odd == []
    assert all(row["text"] == " ".join(row["text"].split()) for row in rows)


def test_topics_are_interleaved(rows: list[dict[str, str]]) -> None:
    neighbours_alike = sum(one["topic"] == two["topic"] for one, two in pairwise(rows))
    assert neighbours_alike < len(rows) / 5


def test_no_message_holds_a_contact_detail(rows: list[dict[str, str]]) -> None:
    contact = re.compile(r"@|https?:|www\.|\d{6,}|\+\d")
    assert [row["id"] for row in rows if contact.search(row["text"])] == []
