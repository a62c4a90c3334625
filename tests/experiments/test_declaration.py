from typing import Any

import pytest

from tunegate.errors import InputError, UsageError
from tunegate.experiments.declaration import Axis, Search, axis_of, objective_of
from tunegate.params import parse

SPACE = {"train.rank": {"values": [8, 16]}}


def searched(**more: Any) -> Search:
    return parse(Search, {"space": SPACE} | more, place="search.yaml", remedy="docs/search.md")


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("a.b=8,16,32", {"values": [8, 16, 32]}),
        ("a.b=adamw,sgd", {"values": ["adamw", "sgd"]}),
        ("a.b=null,true", {"values": [None, True]}),
        ("a.b=2:6", {"low": 2, "high": 6}),
        ("a.b=0.5:2:0.5", {"low": 0.5, "high": 2, "step": 0.5}),
        ("a.b=log:1e-4:1e-2", {"low": 1e-4, "high": 1e-2, "log": True}),
    ],
)
def test_the_command_line_says_what_the_file_can(text: str, axis: dict[str, Any]) -> None:
    assert axis_of(text) == ("a.b", axis)
    assert parse(Axis, axis, place="--param", remedy="")


@pytest.mark.parametrize("text", ["a.b", "=1,2", "a.b=", "a.b=log:1", "a.b=1:2:3:4"])
def test_a_parameter_without_values_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(UsageError, match="not a parameter and its values"):
        axis_of(text)


def test_an_objective_needs_a_direction() -> None:
    assert objective_of("slices.language.sv.tuned.accuracy:maximize")["metric"] == "slices.language.sv.tuned.accuracy"
    with pytest.raises(UsageError, match="not a metric and its direction"):
        objective_of("tuned.accuracy")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"space": {"a.b": {"low": 1.0, "high": 2.0}}, "sampler": "grid"}, "values or a step for a.b"),
        ({"space": {"a.b": {"low": 2, "high": 1}}}, "low of at most high"),
        ({"space": {"a.b": {"low": 0, "high": 1, "log": True}}}, "begins above 0"),
        ({"space": {"a.b": {"low": 1}}}, "low and high, or values"),
        ({"space": {"a.b": {"values": [1], "low": 1}}}, "not both"),
        ({"space": {}}, "at least 1"),
        ({"space": {"a.b": {"values": [8, 16, 8]}}}, "each once"),
        ({"space": {"a.b": {"low": 0, "high": 1e308, "step": 1e-300}}}, "a range of at most 9007199254740992 values"),
        ({"name": "a" * 101}, "at most 100 characters"),
        ({"pruner": "median", "objectives": [{"metric": "minutes"}, {"metric": "latency"}]}, "pruner none"),
        ({"objectives": [{"metric": "minutes"}, {"metric": "minutes"}]}, "one objective alone"),
        ({"trails": 3}, "did you mean 'trials'"),
    ],
)
def test_a_search_that_cannot_be_run_is_refused(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        searched(**more)


def test_points_of_a_range_are_round() -> None:
    axis = Axis(low=0.1, high=0.5, step=0.1)
    assert [axis.point(number) for number in range(axis.count or 0)] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert (Axis(low=2, high=5).count, Axis(low=2, high=5).point(3)) == (4, 5)
    assert Axis(low=0.1, high=0.5).count is None
    assert [Axis(low=10000.4, high=10001.0, step=0.2).point(number) for number in (1, 2)] == [10000.6, 10000.8]


@pytest.mark.parametrize(("chosen", "rounded"), [(0.00123456, 0.00123456), (0.00123411, 0.001234), (0.0012, 0.0012)])
def test_a_number_is_rounded_and_stays_within_its_range(chosen: float, rounded: float) -> None:
    assert Axis(low=0.0012, high=0.00123456).rounded(chosen) == rounded
    assert Axis(low=0.00123456, high=1.0).rounded(0.00123456) == 0.001235
    assert Axis(low=0.00123412, high=1.0).rounded(0.00123412) == 0.00123412


def test_the_number_of_trials_and_the_name_are_no_part_of_what_a_search_is() -> None:
    assert searched(trials=3, name="a").definition("c") == searched(trials=9).definition("c")
    assert searched(seed=1).definition("c") != searched(seed=2).definition("c")
    assert searched().title("c" * 40) != searched().title("d" * 40)
