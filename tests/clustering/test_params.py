from __future__ import annotations

import numpy as np
import pytest

from aicluster_cli.clustering.params import (
    DEEP_PARAMS,
    KMEANS_PARAMS,
    Param,
    ParameterError,
    check_params,
    defaults,
)

PARAMS = {
    f"{model}.{param.name}": param
    for model, params in (("kmeans", KMEANS_PARAMS), ("deep", DEEP_PARAMS))
    for param in params
}

LIMITS = {
    "kmeans.n_clusters": (2, 1_000_000),
    "kmeans.random_state": (0, 2**31 - 1),
    "kmeans.n_init": (1, 1000),
    "kmeans.max_iter": (1, 100_000),
    "deep.min_cluster_size": (2, 1_000_000),
    "deep.min_samples": (1, 1_000_000),
    "deep.granularity": (-10, 10),
    "deep.max_noise": (0, 1),
    "deep.random_state": (0, 2**31 - 1),
}

WHOLE_NUMBERS = [name for name in LIMITS if name not in ("deep.granularity", "deep.max_noise")]


def refused(param, value):
    with pytest.raises(ParameterError) as caught:
        param.check(value)
    assert caught.value.name == param.name
    return str(caught.value)


def test_the_defaults():
    assert defaults(KMEANS_PARAMS) == {
        "n_clusters": 0,
        "random_state": 42,
        "n_init": 1,
        "max_iter": 100,
        "smoothing": "auto",
    }
    assert defaults(DEEP_PARAMS) == {
        "min_cluster_size": 0,
        "min_samples": 5,
        "cluster_selection_method": "leaf",
        "granularity": 0.0,
        "max_noise": 0.1,
        "random_state": 42,
    }


@pytest.mark.parametrize("name", PARAMS)
def test_every_default_is_allowed_and_explained(name):
    param = PARAMS[name]
    assert param.check(param.default) == param.default
    assert type(param.check(param.default)) is param.type
    assert param.meaning


def test_every_number_has_its_limits():
    assert {name: (param.minimum, param.maximum) for name, param in PARAMS.items() if not param.choices} == LIMITS


@pytest.mark.parametrize("name", LIMITS)
def test_a_number_may_reach_its_limits_and_not_pass_them(name):
    param, (low, high) = PARAMS[name], LIMITS[name]
    step = 1 if param.type is int else 1e-9
    assert (param.check(low), param.check(high)) == (low, high)
    for outside in (low - step, high + step):
        if not (outside == 0 and param.zero):
            assert repr(outside) in refused(param, outside)


def test_messages_say_what_is_expected_and_what_was_given():
    told = {
        "kmeans.n_clusters": "n_clusters must be an integer from 2 to 1,000,000, or 0 = choose; got 1",
        "kmeans.n_init": "n_init must be an integer from 1 to 1,000; got 'many'",
        "deep.max_noise": "max_noise must be a number from 0 to 1; got 1.5",
        "kmeans.smoothing": "smoothing must be one of auto, on, off; got 'best'",
    }
    given = {
        "kmeans.n_clusters": 1,
        "kmeans.n_init": "many",
        "deep.max_noise": 1.5,
        "kmeans.smoothing": "best",
    }
    assert {name: refused(PARAMS[name], given[name]) for name in told} == told


def test_a_message_says_at_least_where_there_is_no_maximum():
    assert Param("size", 3, "a size", minimum=2).expected == "an integer of at least 2"
    assert Param("share", 0.5, "a share").expected == "a number"


def test_numpy_scalars_are_told_as_the_numbers_they_are():
    assert refused(PARAMS["kmeans.n_clusters"], np.int64(1)).endswith("got 1")
    assert refused(PARAMS["deep.cluster_selection_method"], np.str_("best")).endswith("got 'best'")


def test_zero_stands_for_something_only_where_it_is_said():
    assert PARAMS["kmeans.n_clusters"].check(0) == 0
    assert PARAMS["kmeans.n_clusters"].check("0") == 0
    assert PARAMS["deep.min_cluster_size"].check(0) == 0
    for name in ("kmeans.n_init", "kmeans.max_iter", "deep.min_samples"):
        refused(PARAMS[name], 0)


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
@pytest.mark.parametrize("value", [5, 5.0, "5", " 5 ", np.int64(5), np.int32(5), np.float64(5.0), np.uint8(5)])
def test_a_whole_number_may_come_as_any_number_or_text(name, value):
    read = PARAMS[name].check(value)
    assert read == 5
    assert type(read) is int


@pytest.mark.parametrize("value", [0.25, "0.25", ".25", "2.5e-1", np.float64(0.25), np.float32(0.25)])
def test_a_share_may_come_as_any_number_or_text(value):
    read = PARAMS["deep.max_noise"].check(value)
    assert read == 0.25
    assert type(read) is float


@pytest.mark.parametrize("value", [0, 1, "0", "1", np.int64(1)])
def test_a_share_may_be_a_whole_number(value):
    assert type(PARAMS["deep.max_noise"].check(value)) is float


@pytest.mark.parametrize("value", ["eom", "leaf", np.str_("leaf")])
def test_a_choice_may_be_any_of_them(value):
    read = PARAMS["deep.cluster_selection_method"].check(value)
    assert read == value
    assert type(read) is str


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.parametrize(
    "value",
    [
        *(True, False, np.True_, None, "", " ", "five", "1,5", "nan", "inf", "-inf", "--5", [5], (5,), {"a": 5}, b"5"),
        *(float("nan"), float("inf"), float("-inf"), 10**400, -(10**400), "9" * 5000, 1 + 0j, object()),
        *(np.array([5, 6]), np.array([]), np.float64("nan")),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_value_is_refused(name, value):
    refused(PARAMS[name], value)


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
@pytest.mark.parametrize("value", [5.5, "5.5", "5.0", "5e0", np.float64(5.5)])
def test_a_fraction_is_no_whole_number(name, value):
    refused(PARAMS[name], value)


@pytest.mark.parametrize("value", ["EOM", "eom ", 1, 0, 1.0])
def test_a_choice_is_taken_literally(value):
    refused(PARAMS["deep.cluster_selection_method"], value)


def test_given_parameters_are_checked_and_the_others_at_their_defaults():
    assert check_params(KMEANS_PARAMS, {"n_clusters": "7", "max_iter": np.int64(9)}) == {
        "n_clusters": 7,
        "random_state": 42,
        "n_init": 1,
        "max_iter": 9,
        "smoothing": "auto",
    }
    assert check_params(DEEP_PARAMS, {}) == defaults(DEEP_PARAMS)


def test_an_unknown_parameter_is_refused_with_the_known_ones():
    with pytest.raises(
        ParameterError,
        match=r"^unknown parameter clusters; known are n_clusters, random_state, n_init, max_iter, smoothing$",
    ) as caught:
        check_params(KMEANS_PARAMS, {"n_clusters": 3, "clusters": 3})
    assert caught.value.name == "clusters"


def test_a_bad_value_is_refused_by_name():
    with pytest.raises(ParameterError) as caught:
        check_params(DEEP_PARAMS, {"max_noise": 2})
    assert caught.value.name == "max_noise"


def test_a_parameter_error_is_a_value_error():
    assert issubclass(ParameterError, ValueError)
