from __future__ import annotations

import pytest

from aicluster_cli.errors import ProfileError
from aicluster_cli.profile.interpolation import interpolate
from aicluster_cli.profile.load import rows


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${B}z", "x1ytwo wordsz"),
        ("${A:-9}", "1"),
        ("${GONE:-9}", "9"),
        ("${EMPTY:-9}", "9"),
        ("${EMPTY}", ""),
        ("${GONE:-}", ""),
        ("${GONE:-a:-b}", "a:-b"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A and $ and $$", "$A and $ and $$"),
        ("${NESTED}", "${A}"),
    ],
)
def test_references_are_replaced_once_and_the_escape_is_taken_off(text, value):
    env = {"A": "1", "B": "two words", "EMPTY": "", "NESTED": "${A}"}
    assert interpolate(text, env).text == value


@pytest.mark.parametrize("text", ["${}", "${1A}", "${A", "${A-b}", "${A:?b}", "${A:-${B}}", "${ A }", "a ${b c}"])
def test_other_forms_are_refused(load, text):
    with pytest.raises(ProfileError) as caught:
        load(f"threads: 1\nroot: '{text}'\n", A="x", B="y")
    assert caught.value.message == (
        "aicluster.yaml:2: root: a ${ that is neither ${VAR} nor ${VAR:-default}; write $${ for a plain ${"
    )


def test_a_missing_variable_names_key_line_and_variable(load):
    with pytest.raises(ProfileError) as caught:
        load("models:\n  deep:\n    params:\n      max_noise: ${NOISE}\n")
    assert caught.value.message == (
        "aicluster.yaml:4: models.deep.params.max_noise: environment variable NOISE is not set"
    )
    assert "export NOISE=" in caught.value.hint
    assert "${NOISE:-default}" in caught.value.hint


def test_an_unquoted_value_gets_its_type_after_interpolation(load):
    loaded = load("threads: ${N:-2}\nmodels:\n  deep:\n    params:\n      max_noise: 0.${D}\n", D="25")
    assert loaded.profile.threads == 2
    assert loaded.profile.models["AI_CLUSTER_DEEP"].params == {"max_noise": 0.25}


def test_a_quoted_value_stays_text(load):
    assert load('root: "${YEAR}"\n', YEAR="2024").profile.root == "2024"
    with pytest.raises(ProfileError, match="threads: must be an integer, without quotes"):
        load('threads: "${N}"\n', N="2")


@pytest.mark.parametrize("value", ["{a: b}", "[1, 2]", "x\nthreads: 7", "&a x", "*a", "# x", "!!int 3"])
def test_what_is_put_in_never_becomes_structure(load, value):
    loaded = load("embedding:\n  model: ${V}\n", V=value)
    assert loaded.profile.embedding.model == value
    assert loaded.profile.threads == 0


def test_keys_are_not_interpolated(load):
    with pytest.raises(ProfileError, match=r"\$\{KEY\}: unknown key"):
        load("${KEY}: x\n", KEY="root")


def test_the_platform_may_come_from_the_environment(load):
    assert load("platform: ${P:-local}\n").profile.platform == "local"


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "platform: ${V}\n",
        "threads: ${V}\n",
        "threads: 1${V}\n",
        "embedding: '${V}'\n",
        "models: '${V}'\n",
        "models:\n  kmeans: '${V}'\n",
        "models:\n  kmeans:\n    algorithm: ${V}\n",
        "models:\n  kmeans:\n    params: '${V}'\n",
        "models:\n  kmeans:\n    params:\n      n_clusters: ${V}\n",
        "models:\n  kmeans:\n    params:\n      unknown: ${V}\n",
        "models:\n  deep:\n    params:\n      cluster_selection_method: x${V}\n",
        "unknown: ${V}\n",
        "root: ~${V}/x\n",
    ],
)
def test_an_error_never_shows_what_the_environment_gave(load, text):
    with pytest.raises(ProfileError) as caught:
        load(text, V=SECRET)
    error = caught.value
    assert SECRET not in error.message + error.hint
    assert error.__cause__ is None
    assert error.__context__ is None, "a traceback would show what pydantic was given"
    if "unknown" not in text:
        assert "the value of ${V}" in error.message


def test_values_that_are_no_secret_are_shown(load):
    with pytest.raises(ProfileError, match="got 'fast'"):
        load("threads: fast\n")


@pytest.mark.parametrize("name", ["DB_PASSWORD", "PASSPHRASE", "api_token", "MY_SECRET", "ACCESS_KEY"])
def test_show_hides_values_from_variables_that_look_secret(load, name):
    loaded = load(f"root: a/${{{name}}}\nthreads: ${{N}}\n", N="3", **{name: SECRET})
    shown = {path: (value, origin) for path, value, origin in rows(loaded)}
    assert shown["root"] == ("***", f"aicluster.yaml:1 from ${{{name}}}")
    assert shown["threads"] == (3, "aicluster.yaml:2 from ${N}")
    assert loaded.profile.root == f"a/{SECRET}"


def test_show_hides_the_fallback_of_a_secret_too(load):
    loaded = load("root: ${TOKEN:-abc}\n")
    assert ("root", "***", "aicluster.yaml:1, default of ${TOKEN}") in rows(loaded)
