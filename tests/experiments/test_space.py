from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.experiments.declaration import REMEDY, Search
from tunegate.experiments.space import (
    current_values,
    diff_of,
    distributions_of,
    grid_point,
    grid_size,
    point_of,
    require_known_keys,
    values_of,
    with_params,
)
from tunegate.files import parse_yaml
from tunegate.params import parse

TEXT = (Path(__file__).resolve().parents[2] / "params.yaml").read_text()


def search(space: dict[str, Any], **more: Any) -> Search:
    return parse(Search, {"space": space} | more, place="search.yaml", remedy=REMEDY)


def test_a_key_that_params_yaml_cannot_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"space: train.learnin_rate: unknown key; did you mean 'learning_rate'"):
        require_known_keys(TEXT, search({"train.learnin_rate": {"low": 0.1, "high": 0.2}}))
    require_known_keys(TEXT, search({"prepare.mixture.faq.weight": {"low": 0.5, "high": 2.0}}))
    require_known_keys(TEXT, search({"train.rank": {"values": [0]}}))


def test_a_value_that_the_schema_refuses_is_an_error_with_its_key() -> None:
    with pytest.raises(InputError, match=r"params.yaml: train.rank: must be greater than or equal to 1 \(got 0\)"):
        with_params(TEXT, {"train.rank": 0})
    edited = parse_yaml(with_params(TEXT, {"prepare.mixture.faq.weight": 0.5, "train.rank": 8}), place="x")
    assert (edited["prepare"]["mixture"], edited["train"]["rank"]) == ({"faq": {"weight": 0.5}}, 8)


def test_what_optuna_chooses_becomes_values_of_params_yaml() -> None:
    space = {
        "train.rank": {"values": [8, 16]},
        "train.target_modules": {"values": ["all-linear", ["q_proj", "v_proj"]]},
        "train.learning_rate": {"low": 0.0001, "high": 0.01, "log": True},
        "train.epochs": {"low": 2, "high": 6, "step": 2},
    }
    distributions = distributions_of(search(space))
    assert list(distributions) == sorted(space)
    assert distributions["train.learning_rate"].log
    assert distributions["train.epochs"].step == 2
    chosen = {"train.rank": "16", "train.target_modules": '["q_proj", "v_proj"]'}
    values = values_of(search(space), chosen | {"train.learning_rate": 0.00123456, "train.epochs": 4})
    assert values == {
        "train.rank": 16,
        "train.target_modules": ["q_proj", "v_proj"],
        "train.learning_rate": 0.001235,
        "train.epochs": 4,
    }


def test_the_commits_own_values_are_a_point_where_the_space_holds_them() -> None:
    inside = search({"train.rank": {"values": [8, 16]}, "train.learning_rate": {"low": 0.001, "high": 0.01}})
    now = current_values(TEXT, inside)
    assert now == {"train.rank": 16, "train.learning_rate": 0.002}
    assert point_of(inside, now) == {"train.rank": "16", "train.learning_rate": 0.002}
    assert point_of(search({"train.rank": {"values": [8]}}), now) is None
    assert point_of(search({"train.rank": {"low": 1, "high": 9, "step": 2}}), {"train.rank": 8}) is None
    weight = search({"prepare.mixture.faq.weight": {"low": 0.5, "high": 2.0}})
    assert point_of(weight, current_values(TEXT, weight)) is None


def test_only_what_differs_is_in_the_diff() -> None:
    changes = diff_of({"a": 1, "b": 2}, {"a": 1, "b": 3})
    assert {key: (change.before, change.after) for key, change in changes.items()} == {"b": (2, 3)}


def test_a_grid_has_every_point_once() -> None:
    space = search({"train.rank": {"values": [8, 16]}, "train.epochs": {"low": 1, "high": 3}}, sampler="grid")
    grid = [grid_point(space, number) for number in range(grid_size(space))]
    assert len({tuple(point.items()) for point in grid}) == len(grid) == 6
    assert [list(point) for point in grid] == [["train.rank", "train.epochs"]] * 6
    assert [point["train.epochs"] for point in grid[:3]] == [1, 2, 3]


def test_a_range_of_many_whole_numbers_is_never_listed() -> None:
    """As a list, this one would fill the memory."""
    endless = search({"train.seed": {"low": 0, "high": 10**15}, "train.rank": {"values": [8, 16]}}, sampler="grid")
    assert point_of(endless, {"train.seed": 10**14 + 7, "train.rank": 8}) == {
        "train.seed": 10**14 + 7,
        "train.rank": "8",
    }
    assert grid_size(endless) == 2 * 10**15 + 2
    assert grid_point(endless, 2 * 10**14 + 1) == {"train.seed": 10**14, "train.rank": "16"}
    steps = search(
        {
            "train.epochs": {"low": 1, "high": 9, "step": 4},
            "train.learning_rate": {"low": 0.1, "high": 0.5, "step": 0.1},
        }
    )
    held = {value for value in range(12) if point_of(steps, {"train.epochs": value, "train.learning_rate": 0.3})}
    assert held == {1, 5, 9}
    assert point_of(steps, {"train.epochs": 1, "train.learning_rate": 0.35}) is None
