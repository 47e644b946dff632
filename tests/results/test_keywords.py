import math
import time

import numpy as np
import pytest

from aicluster_cli.results.keywords import cluster_keywords


def _words(texts, top=10):
    return cluster_keywords(texts, np.zeros(len(texts), dtype=np.int64), top)[0]


def test_words_are_ranked_by_the_published_formula():
    texts = ["card card fee lost", "card delivery", "fee fee refund", "refund delivery delivery"]
    labels = np.array([0, 0, 1, 1])
    counts = {
        0: {"card": 3, "fee": 1, "lost": 1, "delivery": 1},
        1: {"fee": 2, "refund": 2, "delivery": 2},
    }
    mean_words = (6 + 6) / 2
    total = {"card": 3, "fee": 3, "lost": 1, "delivery": 3, "refund": 2}
    expected = {}
    for cluster, own in counts.items():
        score = {word: count * math.log(1 + mean_words / total[word]) for word, count in own.items()}
        expected[cluster] = tuple(sorted(own, key=lambda word: (-score[word], word)))
    assert cluster_keywords(texts, labels, 10) == expected
    assert expected[0] == ("card", "lost", "delivery", "fee")


def test_a_word_that_every_cluster_has_comes_after_one_of_its_own():
    texts = ["account frozen", "account closed"]
    assert cluster_keywords(texts, np.array([0, 1]), 2) == {0: ("frozen", "account"), 1: ("closed", "account")}


def test_outliers_and_bad_rows_have_no_words_and_no_say():
    texts = ["card lost", "fee high", "card card card"]
    alone = cluster_keywords(texts[:2], np.array([0, 1]))
    assert cluster_keywords(texts, np.array([0, 1, -1])) == alone
    assert set(alone) == {0, 1}


def test_stop_words_numbers_and_single_letters_are_no_words():
    assert _words(["The 1234 x are of 42 and PIN2 ½ ٣٤ it"]) == ("pin2",)


def test_words_of_any_script_are_lower_cased_whatever_their_normal_form():
    assert _words(["GRÖSSE größe café cafe\u0301 cafe\u0301 Привет snake_case"]) == (
        "café",
        "case",
        "grösse",
        "größe",
        "snake",
        "привет",
    )


def test_contractions_say_nothing_and_a_possessive_is_its_noun():
    assert _words(["I don't, we\u2019re, you'll, customer's customer\u2019s o'clock can't it's"]) == (
        "customer",
        "o'clock",
    )


@pytest.mark.parametrize(
    ("better", "other"),
    [
        ("cards", "card"),
        ("charge", "charges"),
        ("boxes", "box"),
        ("address", "addresses"),
        ("currency", "currencies"),
        ("movies", "movie"),
        ("batches", "batch"),
        ("house", "houses"),
    ],
)
def test_a_plural_does_not_repeat_its_singular(better, other):
    assert _words([f"{better} {better} {better} {other} {other} parcel"]) == (better, "parcel")


def test_words_that_only_look_like_plurals_are_kept_apart():
    assert set(_words(["status statu pass pas gas ga basis basi plane plan"])) == {
        "status",
        "statu",
        "pass",
        "pas",
        "gas",
        "ga",
        "basis",
        "basi",
        "plane",
        "plan",
    }


def test_words_of_a_single_row_come_last_in_a_cluster_of_five():
    texts = ["zebra zebra zebra zebra fee", "fee", "card", "card", "parcel"]
    assert _words(texts) == ("card", "fee", "zebra", "parcel")
    assert _words(texts[:4]) == ("zebra", "card", "fee")


def test_no_more_words_than_asked_for_ties_in_alphabetical_order():
    assert _words(["pear apple fig date"], top=3) == ("apple", "date", "fig")


def test_texts_without_words_give_none():
    assert cluster_keywords([None, "", "the 12"], np.array([3, 3, 5])) == {3: (), 5: ()}
    assert cluster_keywords([], np.array([], dtype=np.int64)) == {}
    assert cluster_keywords([None, "card"], np.array([1, 2])) == {1: (), 2: ("card",)}


def test_thirteen_thousand_texts_take_well_below_two_seconds():
    random = np.random.default_rng(0)
    vocabulary = np.array([f"word{chr(97 + n % 26)}{n}" for n in range(5000)])
    texts = [" ".join(vocabulary[np.minimum(random.zipf(1.3, 12), 5000) - 1]) for _ in range(13_083)]
    labels = random.integers(0, 77, len(texts))
    cluster_keywords(texts[:10], labels[:10])  # the imports
    started = time.process_time()
    found = cluster_keywords(texts, labels)
    assert time.process_time() - started < 1.5
    assert all(len(words) == 5 for words in found.values())
