"""The words that set a cluster apart from the others: class-based TF-IDF."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")  # noqa: RUF001 - the typographic apostrophe
_CONTRACTION = re.compile(r"(?:n't|'(?:m|re|ve|ll|d))$")
_POSSESSIVE = re.compile(r"'s$")
_PLURAL_IN_ES = re.compile(r"(ss|x|ch|sh)es$")
_LARGE_CLUSTER = 5  # from here on, a word of a single row tells little about the cluster
_SHORTEST_PLURAL = 3


def cluster_keywords(
    texts: Sequence[str | None], labels: npt.NDArray[np.int64], top: int = 5
) -> dict[int, tuple[str, ...]]:
    """Return the words that are frequent in a cluster and rare in the others.

    The score of word t in cluster c is tf(t, c) · log(1 + A / f(t)), where tf(t, c) is how often t stands in the texts
    of c, f(t) how often in those of all clusters, and A the mean number of words of a cluster: formula (1) of
    M. Grootendorst, "BERTopic: Neural topic modeling with a class-based TF-IDF procedure", 2022, arXiv:2203.05794.

    Words are lower-cased, at least two characters long, not numbers and not English stop words; of a singular and its
    plural only the better one counts. In a cluster of five rows or more, words of a single row come last.

    Parameters
    ----------
    texts
        One text a row; None has no words.
    labels
        The cluster of each row, int64; rows below 0 are left out altogether.
    top
        How many words a cluster gets at most.

    Returns
    -------
    dict
        The words of every cluster, best first, ties in alphabetical order; fewer than ``top`` if it has no more.
    """
    import numpy as np

    clusters, numbers = np.unique(labels[labels >= 0], return_inverse=True)
    kept = [text for text, label in zip(texts, labels.tolist(), strict=True) if label >= 0]
    tokens = _tokenise(kept)
    ranked = _rank(tokens, numbers) if tokens.vocabulary else [[]] * len(clusters)
    return {
        cluster: _without_repeats((tokens.vocabulary[word] for word in own), top)
        for cluster, own in zip(clusters.tolist(), ranked, strict=True)
    }


@dataclass(frozen=True)
class _Tokens:
    """The words of all texts: the vocabulary in alphabetical order; for each token its text and its word, int64."""

    vocabulary: list[str]
    rows: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]


def _tokenise(texts: Sequence[str | None]) -> _Tokens:
    import numpy as np
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    normal: dict[str, str | None] = {}
    seen: dict[str, int] = {}
    rows: list[int] = []
    words: list[int] = []
    for row, text in enumerate(texts):
        for found in _WORD.findall(unicodedata.normalize("NFC", text).lower()) if text else ():
            if found not in normal:
                normal[found] = _normal(found, ENGLISH_STOP_WORDS)
            word = normal[found]
            if word is not None:
                rows.append(row)
                words.append(seen.setdefault(word, len(seen)))
    vocabulary = sorted(seen)
    place = np.empty(len(seen), dtype=np.int64)
    place[[seen[word] for word in vocabulary]] = np.arange(len(seen))
    return _Tokens(vocabulary, np.array(rows, dtype=np.int64), place[np.array(words, dtype=np.int64)])


def _normal(found: str, stop_words: frozenset[str]) -> str | None:
    """Return the word to count, or None if it says nothing.

    Contractions ("doesn't", "we're") are pronouns and auxiliaries throughout.
    """
    word = found.replace("’", "'")  # noqa: RUF001
    if _CONTRACTION.search(word):
        return None
    word = _POSSESSIVE.sub("", word)
    return None if len(word) < 2 or word.isnumeric() or word in stop_words else word


def _rank(tokens: _Tokens, numbers: npt.NDArray[np.int64]) -> list[list[int]]:
    """Return the words of each cluster, best first. ``numbers`` has the cluster of each text, counted from 0."""
    import numpy as np

    sizes = np.bincount(numbers)
    n_words = len(tokens.vocabulary)
    cells, frequency = np.unique(numbers[tokens.rows] * n_words + tokens.words, return_counts=True)
    text_rows, text_words = np.divmod(np.unique(tokens.rows * n_words + tokens.words), n_words)
    _, rows_with_word = np.unique(numbers[text_rows] * n_words + text_words, return_counts=True)  # the same cells
    clusters, words = np.divmod(cells, n_words)
    mean_words = len(tokens.words) / len(sizes)
    score = frequency * np.log1p(mean_words / np.bincount(tokens.words))[words]
    is_single = (rows_with_word == 1) & (sizes[clusters] >= _LARGE_CLUSTER)
    order = np.lexsort((-score, is_single, clusters))  # stable: ties stay in alphabetical order, as the cells are
    ends = np.cumsum(np.bincount(clusters, minlength=len(sizes)))
    ranked: list[list[int]] = [own.tolist() for own in np.split(words[order], ends[:-1])]
    return ranked


def _without_repeats(words: Iterable[str], top: int) -> tuple[str, ...]:
    chosen: dict[str, str] = {}
    for word in words:
        if len(chosen) == top:
            break
        chosen.setdefault(_stem(word), word)
    return tuple(chosen.values())


def _stem(word: str) -> str:
    """Return what a singular and its regular English plural have in common: ``charges`` and ``charge`` are equal."""
    stem = _PLURAL_IN_ES.sub(r"\1", word)
    if stem == word and word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > _SHORTEST_PLURAL:
        stem = word[:-1]
    return stem[:-2] + "y" if stem.endswith("ie") else stem
