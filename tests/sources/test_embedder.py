"""Texts to vectors: offline, the same bits for the same text, finite whatever the text."""

import logging
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aicluster_cli.errors import ProfileError
from aicluster_cli.sources import embedder
from aicluster_cli.sources.embedder import DEFAULT_MODEL, MAX_CHARACTERS, load_embedder

TEXTS = [
    "My card was declined",
    "Where is my refund?",
    "hello",
    "Überweisung läuft nicht",
    "口座が開けません",
    "😀 😀",
    "a\x00b",
    "\ud83d broken",
    "x" * 40_000,
    " ".join(["refund"] * 20_000),
    "   ",
    "\n\t",
    "</s>",
]


@pytest.fixture(scope="module")
def model():
    return load_embedder()


def test_the_default_model_is_loaded_without_a_network_or_a_home(tmp_path):
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from aicluster_cli.sources.embedder import load_embedder\n"
        "print(load_embedder().embed(['hello']).shape)\n"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert (done.stdout.strip(), done.stderr) == ("(1, 256)", "")
    assert not list(tmp_path.iterdir())


def test_vectors_are_float32_of_the_models_dimension(model):
    vectors = model.embed(TEXTS)
    assert (model.name, model.dimension) == (DEFAULT_MODEL, 256)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 256), np.float32)
    assert np.isfinite(vectors).all()


def test_no_texts_give_no_vectors(model):
    assert model.embed([]).shape == (0, 256)


def test_vectors_are_those_of_wordllama_itself(model):
    import wordllama

    theirs = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    texts = TEXTS[:7]
    np.testing.assert_allclose(model.embed(texts), theirs.embed(texts), atol=1e-6)


def test_similar_texts_lie_close(model):
    card, cards, weather = model.embed(["my card was stolen", "someone stole my card", "heavy rain tomorrow"])

    def cosine(left, right):
        return left @ right / np.linalg.norm(left) / np.linalg.norm(right)

    assert cosine(card, cards) > cosine(card, weather) + 0.3


def test_a_text_has_the_same_bits_whatever_stands_beside_it(model):
    draw = random.Random(0)
    words = ["my", "card", "was", "declined", "refund", "please", "help", "why", "3", "days", "!", "ü", "日本"]
    texts = [" ".join(draw.choices(words, k=draw.choice([1, 2, 5, 30, 400]))) for _ in range(700)] + TEXTS
    alone = np.vstack([model.embed([text]) for text in texts])
    assert np.array_equal(model.embed(texts), alone)
    order = draw.sample(range(len(texts)), len(texts))
    assert np.array_equal(model.embed([texts[index] for index in order]), alone[order])
    assert np.array_equal(model.embed([texts[0]] * 100 + texts)[100:], alone)


def test_a_text_without_tokens_is_the_zero_vector(model):
    vectors = model.embed(["hello", "", "world"])
    assert not vectors[1].any()
    assert vectors[0].any()
    assert vectors[2].any()


def test_unpaired_surrogates_count_as_the_replacement_character(model):
    left, right = model.embed(["a \ud83d b", "a \ufffd b"])
    assert np.array_equal(left, right)


def test_only_the_beginning_of_a_very_long_text_counts(model):
    beginning = "the refund never came " * (MAX_CHARACTERS // 22 + 1)
    left, right = model.embed([beginning + "x" * 1_000_000, beginning + "y" * 10])
    assert np.array_equal(left, right)


def test_very_long_texts_do_not_fill_the_memory():
    code = (
        "import resource\n"
        "from aicluster_cli.sources.embedder import load_embedder\n"
        "model = load_embedder(); model.embed(['warm'])\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "texts = [chr(0x1F600 + i % 50) * 1_000_000 for i in range(20)] + ['short'] * 100\n"
        "holds = peak(); vectors = model.embed(texts)\n"
        "print(len(vectors), peak() - holds)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, megabytes = map(int, done.stdout.split())
    assert count == 120
    assert megabytes < 200


def test_short_texts_are_embedded_by_the_ten_thousand_a_second(model):
    texts = [f"where is my refund number {index}, it is late" for index in range(10_000)]
    start = time.perf_counter()
    model.embed(texts)
    assert time.perf_counter() - start < 5  # a fifth of the aim, for machines that do other things as well


@pytest.mark.parametrize("dimension", [64, 128])
def test_smaller_models_are_the_first_dimensions(model, dimension):
    smaller = load_embedder(f"wordllama-{dimension}")
    assert (smaller.name, smaller.dimension) == (f"wordllama-{dimension}", dimension)
    assert np.array_equal(smaller.embed(TEXTS[:5]), model.embed(TEXTS[:5])[:, :dimension])


@pytest.fixture
def wordllama_cache(tmp_path, monkeypatch):
    from wordllama import WordLlama

    monkeypatch.setattr(WordLlama, "DEFAULT_CACHE_DIR", tmp_path)
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.mark.parametrize("dimension", [512, 1024])
def test_larger_models_need_their_weights(wordllama_cache, dimension):
    with pytest.raises(ProfileError, match=f"weights of wordllama-{dimension} are not on this machine") as caught:
        load_embedder(f"wordllama-{dimension}")
    assert str(wordllama_cache / f"l2_supercat_{dimension}.safetensors") in caught.value.message
    assert DEFAULT_MODEL in caught.value.hint


def test_larger_models_are_read_from_wordllamas_cache(wordllama_cache):
    from safetensors.numpy import save_file

    weights = np.random.default_rng(0).normal(size=(32_000, 512)).astype(np.float16)
    save_file({"embedding.weight": weights}, wordllama_cache / "l2_supercat_512.safetensors")
    vectors = load_embedder("wordllama-512").embed(["hello"])
    assert vectors.shape == (1, 512)
    assert vectors.any()


def test_broken_weights_are_a_profile_error(wordllama_cache):
    (wordllama_cache / "l2_supercat_512.safetensors").write_bytes(b"not weights")
    with pytest.raises(ProfileError, match="weights of wordllama-512 are broken"):
        load_embedder("wordllama-512")


@pytest.mark.parametrize("name", ["wordllama", "wordllama-300", "bert", "", "WordLlama-256"])
def test_an_unknown_model_is_refused_with_those_known(name):
    with pytest.raises(ProfileError, match="unknown embedding model") as caught:
        load_embedder(name)
    assert "wordllama-64, wordllama-128, wordllama-256, wordllama-512, wordllama-1024" in caught.value.hint
    assert "sentence-transformers/" in caught.value.hint


def test_loading_leaves_the_programs_logging_alone():
    code = (
        "import logging\n"
        "from aicluster_cli.sources.embedder import load_embedder\n"
        "load_embedder(); root = logging.getLogger(); print(root.handlers, root.level)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"[] {logging.WARNING}"


def test_a_missing_extra_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ProfileError, match="needs the package sentence-transformers") as caught:
        load_embedder("sentence-transformers/all-MiniLM-L6-v2")
    assert caught.value.hint == "pip install 'aicluster-cli[sentence-transformers]'"


class TestWithTheExtra:
    """Against the real package, where it is installed, with a tiny model made here."""

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory):
        pytest.importorskip("sentence_transformers")
        from transformers import BertConfig, BertModel, BertTokenizerFast

        folder = tmp_path_factory.mktemp("model")
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "my", "refund", "is", "late"]
        (folder / "vocab.txt").write_text("\n".join(words))
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
        BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
        return folder

    def test_a_folder_is_loaded(self, folder):
        model = load_embedder(str(folder))
        assert (model.name, model.dimension) == (str(folder), 32)
        texts = ["hello", "my refund is late", "", "\ud83d", "hello", "late " * 50_000]
        vectors = model.embed(texts)
        assert (vectors.shape, vectors.dtype) == ((6, 32), np.float32)
        assert np.isfinite(vectors).all()
        assert np.array_equal(vectors[0], vectors[4])
        assert model.embed([]).shape == (0, 32)

    def test_a_model_that_is_not_here_is_not_fetched(self, folder, monkeypatch):
        def refuse(*_args, **_options):
            raise AssertionError("network")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(ProfileError, match="is not on this machine") as caught:
            load_embedder("sentence-transformers/all-MiniLM-L6-v2")
        assert "SentenceTransformer('sentence-transformers/all-MiniLM-L6-v2')" in caught.value.hint

    def test_a_folder_without_a_model_is_broken(self, folder, tmp_path):
        with pytest.raises(ProfileError, match="cannot be loaded"):
            load_embedder(str(tmp_path))


def test_the_limits_are_the_documented_ones():
    assert (MAX_CHARACTERS, embedder.MAX_TOKENS) == (32_768, 8_192)
    assert "8,192" in embedder.WordLlamaEmbedder.__doc__
    assert "32,768" in embedder.WordLlamaEmbedder.__doc__
