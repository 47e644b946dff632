from __future__ import annotations

import pytest

from aicluster_cli.clustering.catalog import MODELS
from aicluster_cli.clustering.params import defaults
from aicluster_cli.errors import ProfileError, UsageError
from aicluster_cli.profile.overrides import effective_params, param_origins, parse_set

KMEANS, DEEP = MODELS
PROFILE = "models: {kmeans: {params: {n_clusters: 12, n_init: 3}}}\n"


def test_set_flags_are_split_at_the_first_equals_sign():
    assert parse_set(["a=1", " b = x=y ", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    assert parse_set([]) == {}


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (["n_clusters"], "--set n_clusters: there is no = in it"),
        (["=5"], "--set =5: there is no parameter name before the ="),
        ([" =5"], "there is no parameter name before the ="),
        (["a=1", "b=2", "a=3"], "--set a is given twice"),
    ],
)
def test_set_flags_that_cannot_be_right_are_usage_errors(items, told):
    with pytest.raises(UsageError) as caught:
        parse_set(items)
    assert told in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_flags_win_over_the_profile_and_the_profile_over_the_defaults(load):
    params = effective_params(load(PROFILE), KMEANS, {"n_init": "5"})
    assert params == {**defaults(KMEANS.params), "n_clusters": 12, "n_init": 5}
    assert type(params["n_init"]) is int


def test_without_flags_or_section_the_defaults_hold(load):
    assert effective_params(load(PROFILE), DEEP) == defaults(DEEP.params)


def test_the_profile_is_left_as_it_was(load):
    loaded = load(PROFILE)
    effective_params(loaded, KMEANS, {"n_init": "5"})
    assert loaded.params("AI_CLUSTER_KMEANS") == {"n_clusters": 12, "n_init": 3}


@pytest.mark.parametrize(
    ("model", "given", "told"),
    [
        (
            KMEANS,
            {"n_cluster": "5"},
            "--set n_cluster: AI_CLUSTER_KMEANS has no such parameter; did you mean n_clusters?",
        ),
        (KMEANS, {"zzz": "5"}, "--set zzz: AI_CLUSTER_KMEANS has no such parameter; known are n_clusters, "),
        (KMEANS, {"n_clusters": "many"}, "--set n_clusters=many: n_clusters must be an integer"),
        (KMEANS, {"n_clusters": "2.5"}, "--set n_clusters=2.5: n_clusters must be an integer"),
        (KMEANS, {"n_clusters": ""}, "--set n_clusters=: n_clusters must be an integer"),
        (KMEANS, {"n_clusters": "1"}, "--set n_clusters=1: n_clusters must be an integer"),
        (DEEP, {"max_noise": "nan"}, "--set max_noise=nan: max_noise must be a number"),
        (DEEP, {"cluster_selection_method": "x"}, "cluster_selection_method must be one of eom, leaf"),
    ],
)
def test_a_wrong_flag_is_a_usage_error_that_lists_the_parameters(load, model, given, told):
    with pytest.raises(UsageError) as caught:
        effective_params(load(PROFILE), model, given)
    error = caught.value
    assert error.message.startswith("--set ")
    assert told in error.message
    assert not isinstance(error, ProfileError)
    assert error.hint.startswith(f"parameters of {model.name}: ")
    assert all(param.name in error.hint for param in model.params)


def test_all_wrong_flags_are_told_together(load):
    with pytest.raises(UsageError) as caught:
        effective_params(load(PROFILE), KMEANS, {"a": "1", "n_clusters": "x", "n_init": "2"})
    assert len(caught.value.message.split("\n")) == 2


def test_origins_of_parameters_tell_flag_profile_and_default_apart(load):
    origins = param_origins(load(PROFILE), KMEANS, {"n_init": "5"})
    assert origins == {
        "n_clusters": "aicluster.yaml:1",
        "n_init": "flag --set",
        "random_state": "default",
        "max_iter": "default",
        "smoothing": "default",
    }
