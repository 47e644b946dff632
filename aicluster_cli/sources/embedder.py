"""Embed text on this machine, without a network. Light until a model is loaded."""

from __future__ import annotations

import importlib
import logging
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aicluster_cli.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

DEFAULT_MODEL = "wordllama-256"
MAX_CHARACTERS = 32_768
MAX_TOKENS = 8_192

_SHIPPED = (64, 128, 256)  # cut from the 256 dimensions inside wordllama's wheel
_EXTRA = (512, 1024)  # weights of their own, which the wheel lacks
_MODELS = tuple(f"wordllama-{dimension}" for dimension in _SHIPPED + _EXTRA)
_TEXTS_AT_ONCE = 64
_TOKENS_AT_ONCE = 16_384


class Embedder(Protocol):
    """Turns texts into vectors."""

    name: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector a text, shape ``(len(texts), dimension)``, float32, finite, not normalised.

        A text without any token gives the zero vector.
        """


def load_embedder(model: str = DEFAULT_MODEL) -> Embedder:
    """Load the model called ``model`` from this machine.

    Parameters
    ----------
    model
        ``wordllama-64``, ``-128`` or ``-256``, which are always there; ``wordllama-512`` or ``-1024``, once their
        weights are in wordllama's cache; or, with a slash in it, the name or folder of a sentence-transformers model.

    Raises
    ------
    ProfileError
        On an unknown name, a package that is not installed or weights that are not on this machine.
    """
    if "/" in model:
        return SentenceTransformersEmbedder(model)
    if model not in _MODELS:
        raise ProfileError(
            f"unknown embedding model {model!r}",
            hint=f"use {', '.join(_MODELS)}, or sentence-transformers/<name>",
        )
    return WordLlamaEmbedder(int(model.removeprefix("wordllama-")))


class WordLlamaEmbedder:
    """The mean of a text's token vectors (WordLlama, l2_supercat).

    The same text gives the same vector, bit for bit, whatever texts stand beside it. Of a long text the first 8,192
    tokens of the first 32,768 characters count.
    """

    def __init__(self, dimension: int) -> None:
        self.name = f"wordllama-{dimension}"
        self.dimension = dimension
        loaded = _load_wordllama(dimension)
        self._vectors: NDArray[np.float32] = loaded.embedding
        self._tokenizer = loaded.tokenizer
        # Padding would give every text of a batch the length of its longest.
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the mean token vectors, shape ``(len(texts), dimension)``, float32."""
        import numpy as np

        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            batch = [_encodable(text[:MAX_CHARACTERS]) for text in texts[start : start + _TEXTS_AT_ONCE]]
            encoded = self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            tokens = [np.array(item.ids[:MAX_TOKENS], dtype=np.int64) for item in encoded]
            self._pool(tokens, vectors[start : start + _TEXTS_AT_ONCE])
        return vectors

    def _pool(self, tokens: list[NDArray[np.int64]], out: NDArray[np.float32]) -> None:
        """Write the means into ``out``, few tokens at a time so that long texts do not fill the memory."""
        import numpy as np

        lengths = np.array([len(ids) for ids in tokens])
        if lengths.sum() > _TOKENS_AT_ONCE and len(tokens) > 1:
            half = len(tokens) // 2
            self._pool(tokens[:half], out[:half])
            self._pool(tokens[half:], out[half:])
            return
        filled = np.flatnonzero(lengths)
        if len(filled):
            starts = np.cumsum(lengths) - lengths
            # reduceat adds the rows of a text one after the other, so neighbours cannot change its rounding.
            sums = np.add.reduceat(self._vectors[np.concatenate(tokens)], starts[filled], axis=0)
            out[filled] = sums / lengths[filled, None].astype(np.float32)


class SentenceTransformersEmbedder:
    """A model of the sentence-transformers extra, from this machine's cache or a folder.

    Equal texts of one call share a vector. Across calls the same text may differ in the last bits: such models pad a
    text to its neighbours' length. Texts are cut where the model cuts them.
    """

    def __init__(self, model: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ProfileError(
                f"the embedding model {model} needs the package sentence-transformers: {error}",
                hint="pip install 'aicluster-cli[sentence-transformers]'",
            ) from error
        # Its bars would run over our own output.
        importlib.import_module("transformers.utils.logging").disable_progress_bar()
        self.name = model
        try:
            self._model: Any = SentenceTransformer(model, local_files_only=True)
        except Exception as error:  # the library raises OSError, ValueError and errors of its hub client alike
            raise _not_loaded(model, error) from error
        # The method's name changed within version 5.
        dimension = (
            getattr(self._model, "get_embedding_dimension", None) or self._model.get_sentence_embedding_dimension
        )
        self.dimension = int(dimension())

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the model's vectors, shape ``(len(texts), dimension)``, float32."""
        import numpy as np

        known: dict[str, int] = {}
        places = [known.setdefault(_encodable(text[:MAX_CHARACTERS]), len(known)) for text in texts]
        if not known:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = np.asarray(self._model.encode(list(known), show_progress_bar=False), dtype=np.float32)
        return np.nan_to_num(vectors, nan=0.0, posinf=0.0, neginf=0.0)[places]


def _not_loaded(model: str, error: Exception) -> ProfileError:
    if Path(model).expanduser().exists():
        first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        return ProfileError(f"the embedding model in {model} cannot be loaded: {first_line}")
    load = f"from sentence_transformers import SentenceTransformer; SentenceTransformer('{model}')"
    return ProfileError(
        f"the embedding model {model} is not on this machine, and models are never downloaded while clustering",
        hint=f'download it once: python -c "{load}"; or name the folder that holds it',
    )


def _load_wordllama(dimension: int) -> Any:
    with _quiet_root_logger():
        import wordllama
        from wordllama import WordLlama
    # The package looks for its tokenizer in a folder it does not ship; the right one is its own, as a cache.
    shipped = Path(wordllama.__file__).parent
    if dimension in _SHIPPED:
        return WordLlama.load(cache_dir=shipped, dim=256, trunc_dim=dimension, disable_download=True)
    weights = Path(WordLlama.DEFAULT_CACHE_DIR) / "weights" / WordLlama.get_filename("l2_supercat", dimension)
    if not weights.is_file():
        raise ProfileError(
            f"the weights of wordllama-{dimension} are not on this machine: {weights} is missing",
            hint=f"put {weights.name} there, or use {DEFAULT_MODEL}, which needs no download",
        )
    from safetensors import SafetensorError, safe_open
    from tokenizers import Tokenizer
    from wordllama import WordLlamaInference

    try:
        with safe_open(str(weights), framework="np") as opened:
            vectors = opened.get_tensor("embedding.weight")
    except (SafetensorError, OSError) as error:
        raise ProfileError(
            f"the weights of wordllama-{dimension} are broken: {error}", hint=f"fetch {weights} again"
        ) from error
    tokenizer = Tokenizer.from_file(str(shipped / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    return WordLlamaInference(vectors, tokenizer)


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """Undo what wordllama does to every program that imports it: a root log handler, at level INFO."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _encodable(text: str) -> str:
    """Return ``text`` with each unpaired surrogate, which UTF-8 cannot hold, as the replacement character."""
    return _SURROGATE.sub("\ufffd", text) if not text.isascii() else text
