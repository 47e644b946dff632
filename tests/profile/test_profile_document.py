from __future__ import annotations

import pytest

from aicluster_cli.errors import ProfileError
from aicluster_cli.profile.document import read_document, scalar_value


def failure(load, text, **env) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        load(text, **env)
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("platform: local\nthreads: 2\nthreads: 3\n", ":3: threads: duplicate key; it stands in line 2 already"),
        ("models:\n  kmeans: {}\n  kmeans: {}\n", ":3: models.kmeans: duplicate key; it stands in line 2 already"),
        ("embedding: &e {model: a}\nmodels: *e\n", ":2: aliases (*e) are not allowed here; write the value out"),
        ("root: !!str x\n", ":1: tags (tag:yaml.org,2002:str) are not allowed here; write the bare value"),
        ("root: !!python/object/apply:os.getcwd []\n", ":1: tags (tag:yaml.org,2002:python/object/apply:os.getcwd)"),
        ("root: x\nembedding:\n\tmodel: y\n", ":3: a tab; YAML is indented with spaces"),
        ("root: x\n  threads: 2\n", ":2: wrong indentation, or a second ': ' in one line"),
        ("embedding:\n    model: x\n  other: y\n", ":3: wrong indentation"),
        ("root: 'x\n", ":2: not valid YAML: found unexpected end of stream"),
        ("root\nthreads: 2\n", ":2: wrong indentation, or a second ': ' in one line"),
        ("platform: local\nroot x\n", ":3: a key without ': ' after it"),
        ("root: x\n---\nroot: y\n", ":2: a second document"),
        ("root: a\x01b\n", ":1: a control character (U+0001); remove it"),
        ("- platform\n- local\n", ":1: a profile is a mapping of keys, such as platform: local; this file is a list"),
        ("# hello\nplatform\n", ":2: a profile is a mapping of keys, such as platform: local; this file is plain text"),
        ("root: x\n? [a, b]\n: c\n", ":2: a key must be plain text, not a list or a mapping"),
        ("models: {kmeans: {params: {n_init: ${N}}}}\n", ":1: ${…} cannot stand inside { … } or [ … ]"),
    ],
)
def test_yaml_that_cannot_be_right_is_told_with_file_and_line(load, text, message):
    assert failure(load, text).message.startswith("aicluster.yaml" + message)


def test_bytes_that_are_not_utf8_are_told_with_their_line(load):
    error = failure(load, b"platform: local\nroot: caf\xe9\n")
    assert error.message == "aicluster.yaml:2: not UTF-8 text; save the file as UTF-8"


def test_a_byte_order_mark_is_no_part_of_the_first_key(load):
    assert load(b"\xef\xbb\xbfthreads: 3\n").profile.threads == 3


def test_windows_line_ends_keep_the_lines(load):
    loaded = load(b"platform: local\r\nthreads: 3\r\n")
    assert loaded.origins["threads"] == "aicluster.yaml:2"


def test_a_deeply_nested_file_is_refused_and_does_not_exhaust_the_stack(load):
    error = failure(load, "models: " + "[" * 20_000)
    assert error.message == "aicluster.yaml:1: nested more than 32 deep"


def test_a_bomb_of_aliases_is_refused(load):
    levels = [f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}, *l{n - 1}]" for n in range(1, 30)]
    error = failure(load, "l0: &l0 [x]\n" + "\n".join(levels))
    assert "aliases (*l0) are not allowed here" in error.message


def test_a_file_that_is_no_profile_by_its_size_is_refused(load):
    assert "larger than 1 MB" in failure(load, b"#" * (1 << 20) + b"#\n").message


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "null\n", "---\n...\n"])
def test_an_empty_file_is_the_local_profile_with_its_defaults(load, text):
    loaded = load(text)
    assert loaded.profile.platform == "local"
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.path is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e-2", 0.01),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-31", "2024-01-31"),
        ("{a: b}", "{a: b}"),
        ("- x", "- x"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_scalars_follow_the_core_schema(text, value):
    read = scalar_value(text)
    assert (read, type(read)) == (value, type(value))


def test_not_a_number_is_read_as_one():
    read = scalar_value(".nan")
    assert isinstance(read, float)
    assert read != read


def test_lists_keep_the_line_of_every_item():
    document = read_document(b"a:\n  - 1\n  - {b: x}\n", {})
    assert document.data == {"a": [1, {"b": "x"}]}
    lines = {keys: place.line for keys, place in document.places.items()}
    assert lines == {("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3}
