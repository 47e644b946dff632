from __future__ import annotations

import os

import pytest

from aicluster_cli.clustering.catalog import MODELS
from aicluster_cli.clustering.params import defaults
from aicluster_cli.errors import ProfileError
from aicluster_cli.profile.load import load_profile, rows
from aicluster_cli.profile.locate import template
from aicluster_cli.profile.schema import LocalProfile

FULL = """\
platform: local
root: store
embedding: {model: wordllama-128}
threads: 2
models:
  AI_CLUSTER_KMEANS: {algorithm: kmeans, params: {n_clusters: 12}}
  deep:
    params:
      max_noise: 1
      cluster_selection_method: leaf
"""


def message(load, text: str, **env: str) -> str:
    with pytest.raises(ProfileError) as caught:
        load(text, **env)
    return caught.value.message


def test_a_full_profile_is_read(load):
    profile = load(FULL).profile
    assert (profile.platform, profile.root, profile.threads) == ("local", "store", 2)
    assert profile.embedding.model == "wordllama-128"
    assert {name: model.params for name, model in profile.models.items()} == {
        "AI_CLUSTER_KMEANS": {"n_clusters": 12},
        "AI_CLUSTER_DEEP": {"max_noise": 1.0, "cluster_selection_method": "leaf"},
    }
    assert type(profile.models["AI_CLUSTER_DEEP"].params["max_noise"]) is float


def test_the_shipped_profile_is_valid_and_says_what_the_built_in_one_says(tmp_path):
    shipped = load_profile("local", env={}, cwd=tmp_path)
    built_in = load_profile(env={}, cwd=tmp_path)
    assert shipped.profile == built_in.profile == LocalProfile()
    assert (shipped.name, shipped.root) == (built_in.name, built_in.root)


def test_what_the_shipped_profile_shows_as_comments_is_valid_too(load):
    lines = template().splitlines()
    examples = lines[next(n for n, line in enumerate(lines) if line.startswith("platform:")) :]
    told = [line.removeprefix("# ") for line in examples if not line.startswith("# Any value")]
    *keys, interpolated = [line for line in told if line.strip()]
    loaded = load("\n".join(keys))
    assert loaded.profile.models["AI_CLUSTER_KMEANS"].params
    assert (loaded.profile.root, loaded.profile.threads) == (LocalProfile().root, LocalProfile().threads)
    assert loaded.profile.embedding == LocalProfile().embedding
    assert load(interpolated, AICLUSTER_HOME="elsewhere").profile.root == "elsewhere"


@pytest.mark.parametrize("key", ["AI_CLUSTER_KMEANS", "kmeans", "KMeans", "ai_cluster_kmeans"])
def test_a_model_goes_by_name_or_alias_in_any_case(load, key):
    loaded = load(f"models:\n  {key}:\n    params:\n      n_init: 3\n")
    assert loaded.params("AI_CLUSTER_KMEANS") == {"n_init": 3}
    assert loaded.origins["models.AI_CLUSTER_KMEANS.params.n_init"] == "aicluster.yaml:4"


def test_sections_left_empty_stand_for_their_defaults(load):
    assert load("embedding:\nmodels:\n").profile == LocalProfile()
    assert load("models:\n  kmeans:\n  deep:\n    params:\n").params("AI_CLUSTER_DEEP") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rot: x", "1: rot: unknown key; did you mean root?"),
        ("Threads: 1", "1: Threads: unknown key; did you mean threads?"),
        ("zzz: x", "1: zzz: unknown key; known are platform, root, embedding, threads, models"),
        ('"a\\nb": x', "1: 'a\\nb': unknown key; known are platform, root, embedding, threads, models"),
        ("embedding: {modl: x}", "1: embedding.modl: unknown key; did you mean model?"),
        ("models: {kmean: {}}", "1: models.kmean: unknown model; did you mean kmeans?"),
        (
            "models: {x: {}}",
            "1: models.x: unknown model; known are AI_CLUSTER_KMEANS, kmeans, AI_CLUSTER_DEEP, deep",
        ),
        ("models: {kmeans: {parms: {}}}", "1: models.kmeans.parms: unknown key; did you mean params?"),
        (
            "models:\n  kmeans:\n    params:\n      n-clusters: 3",
            "4: models.kmeans.params.n-clusters: unknown parameter; did you mean n_clusters?",
        ),
        ("models:\n  deep: {}\n  AI_CLUSTER_DEEP: {}", "3: models.AI_CLUSTER_DEEP: the same model as deep"),
        ('threads: "12"', "1: threads: must be an integer, without quotes; got '12'"),
        ("threads: many", "1: threads: must be an integer; got 'many'"),
        ("threads: 1.5", "1: threads: must be an integer; got 1.5"),
        ("threads: true", "1: threads: must be an integer; got true"),
        ("threads:", "1: threads: must be an integer; got nothing"),
        ("threads: -1", "1: threads: must be at least 0; got -1"),
        ("threads: 5000", "1: threads: must be at most 1024; got 5000"),
        ("threads: [1]", "1: threads: must be an integer; got a list"),
        ("root: 12", "1: root: must be text; put it in quotes; got 12"),
        ("root: {}", "1: root: must be text; got a mapping"),
        ("root: ''", "1: root: is empty; give a folder"),
        ('root: "a\\0b"', "1: root: holds a control character"),
        ("root: ~nobody-of-this-name/x", "1: root: starts with ~ and a user whose home folder is not known"),
        ("embedding: wordllama", "1: embedding: must be a mapping of keys; got 'wordllama'"),
        ("embedding: {model: ' '}", "1: embedding.model: is empty"),
        ("embedding: {model: 256}", "1: embedding.model: must be text; put it in quotes; got 256"),
        ("models: [kmeans]", "1: models: must be a mapping of keys; got a list"),
        ("models: {kmeans: 12}", "1: models.kmeans: must be a mapping of keys; got 12"),
        ("models: {kmeans: {params: [1]}}", "1: models.kmeans.params: must be a mapping of keys; got a list"),
        ("models: {kmeans: {algorithm: hdbscan}}", "1: models.kmeans.algorithm: must be kmeans, which is what"),
        ("models: {kmeans: {params: {n_clusters: 1}}}", "1: models.kmeans.params.n_clusters: must be an integer"),
        ("models: {kmeans: {params: {n_clusters: true}}}", "1: models.kmeans.params.n_clusters: must be an integer"),
        ("models: {kmeans: {params: {n_clusters:  }}}", "1: models.kmeans.params.n_clusters: must be an integer"),
        ("models: {kmeans: {params: {n_clusters: {}}}}", "1: models.kmeans.params.n_clusters: must be an integer"),
        ("models: {deep: {params: {max_noise: .nan}}}", "1: models.deep.params.max_noise: must be a number"),
        ("models: {deep: {params: {max_noise: 1.5}}}", "1: models.deep.params.max_noise: must be a number"),
        (
            "models: {deep: {params: {cluster_selection_method: best}}}",
            "1: models.deep.params.cluster_selection_method: must be one of eom, leaf; got 'best'",
        ),
        ("platform: lokal", "1: platform: must be one of local; got 'lokal'; did you mean local?"),
        ("platform: 1", "1: platform: must be one of local; got 1"),
        ("platform:", "1: platform: must be one of local; got nothing"),
        ("platform: [local]", "1: platform: must be one of local; got a list"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key_path(load, text, told):
    assert message(load, text).startswith("aicluster.yaml:" + told)


def test_a_number_in_quotes_is_no_number_for_a_parameter_either(load):
    told = message(load, "models: {kmeans: {params: {n_clusters: '12'}}}")
    assert told.endswith("without quotes; got '12'")


def test_snowflake_is_told_to_come_later_and_its_keys_are_not_complained_about(load):
    told = message(load, "# mine\nplatform: snowflake\nwarehouse: WH\ndatabase: DB\n")
    assert told == "aicluster.yaml:2: platform snowflake is not part of this version; use platform: local"


def test_all_problems_of_a_file_come_in_one_error_in_the_order_of_lines(load):
    with pytest.raises(ProfileError) as caught:
        load(
            "threads: '4'\n"
            "rot: x\n"
            "root: ${GONE}\n"
            "models:\n"
            "  kmeans: {algoritm: x, params: {n_clusters: 1, n_int: 3}}\n"
            "  kmeans: {}\n"
            "  deep: 3\n"
        )
    first, *lines = caught.value.message.split("\n")
    assert first == "aicluster.yaml has 8 problems"
    assert [line.split(": ")[0:2] for line in lines] == [
        ["  aicluster.yaml:1", "threads"],
        ["  aicluster.yaml:2", "rot"],
        ["  aicluster.yaml:3", "root"],
        ["  aicluster.yaml:5", "models.kmeans.algoritm"],
        ["  aicluster.yaml:5", "models.kmeans.params.n_clusters"],
        ["  aicluster.yaml:5", "models.kmeans.params.n_int"],
        ["  aicluster.yaml:6", "models.kmeans"],
        ["  aicluster.yaml:7", "models.deep"],
    ]


def test_a_long_value_is_cut_in_the_error(load):
    assert len(message(load, f"threads: {'x' * 5000}")) < 200


def test_the_hint_is_the_command_that_checks_the_same_file(tmp_path):
    (tmp_path / "my own.yaml").write_text("rot: x\n")
    with pytest.raises(ProfileError) as caught:
        load_profile("my own", env={}, cwd=tmp_path)
    assert caught.value.hint.endswith("aicluster profile validate --profile 'my own.yaml'")


def test_a_file_elsewhere_is_named_by_its_whole_path(tmp_path):
    path = tmp_path / "a" / "p.yaml"
    path.parent.mkdir()
    path.write_text("rot: x\n")
    (tmp_path / "b").mkdir()
    with pytest.raises(ProfileError) as caught:
        load_profile(str(path), env={}, cwd=tmp_path / "b")
    assert caught.value.message.startswith(f"{path}:1: rot")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    # A link to itself fails to open for everybody; the superuser may read what is forbidden to others.
    (tmp_path / "aicluster.yaml").symlink_to("aicluster.yaml")
    with pytest.raises(ProfileError, match=r"aicluster\.yaml cannot be read: .*symbolic links"):
        load_profile(env={}, cwd=tmp_path)


def test_origins_say_where_every_value_comes_from(load):
    loaded = load(FULL.replace("root: store", "root: ${A}/${B:-b}").replace("threads: 2", "threads: ${N:-2}"), A="a")
    assert loaded.profile.root == "a/b"
    expected = {
        "platform": "aicluster.yaml:1",
        "root": "aicluster.yaml:2 from ${A}",
        "embedding.model": "aicluster.yaml:3",
        "threads": "aicluster.yaml:4, default of ${N}",
        "models.AI_CLUSTER_KMEANS.algorithm": "aicluster.yaml:6",
        "models.AI_CLUSTER_KMEANS.params.n_clusters": "aicluster.yaml:6",
        "models.AI_CLUSTER_DEEP.params.max_noise": "aicluster.yaml:9",
        "models.AI_CLUSTER_DEEP.params.cluster_selection_method": "aicluster.yaml:10",
    }
    given = {path: origin for path, origin in loaded.origins.items() if origin != "default"}
    assert given == expected


def test_rows_show_everything_in_force_defaults_too(load):
    loaded = load("models: {kmeans: {params: {n_clusters: 12}}}\n")
    shown = rows(loaded)
    assert shown[:4] == [
        ("platform", "local", "default"),
        ("root", ".aicluster", "default"),
        ("embedding.model", "wordllama-256", "default"),
        ("threads", 0, "default"),
    ]
    assert ("models.AI_CLUSTER_KMEANS.params.n_clusters", 12, "aicluster.yaml:1") in shown
    params = [f"models.{model.name}.params.{param.name}" for model in MODELS for param in model.params]
    assert [path for path, _, _ in shown[4:]] == params
    deep = defaults(MODELS[1].params)
    assert ("models.AI_CLUSTER_DEEP.params.max_noise", deep["max_noise"], "default") in shown


def test_threads_are_those_asked_for_or_all_that_this_process_may_use(load):
    assert load("threads: 3\n").threads == 3
    assert 1 <= load("threads: 0\n").threads <= min(os.cpu_count() or 1, 64)


def test_a_profile_made_in_python_is_checked_the_same_way():
    profile = LocalProfile.model_validate({"models": {"deep": {"params": {"max_noise": 0.2}}}})
    assert profile.models["AI_CLUSTER_DEEP"].params == {"max_noise": 0.2}
    with pytest.raises(ValueError, match="unknown parameter; did you mean max_noise"):
        LocalProfile.model_validate({"models": {"deep": {"params": {"max_nois": 0.2}}}})
