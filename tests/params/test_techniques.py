from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.params import Closed, Fewshot, Multitask, Reinforce, Semisupervised, Train, parse


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"kind": "regex"}, "pattern with kind regex"),
        ({"kind": "json_schema"}, "schema_file with kind json_schema"),
        ({"kind": "python"}, "function with kind python"),
        ({"kind": "exact_match", "pattern": "a"}, "pattern with kind regex"),
        ({"kind": "regex", "pattern": "a", "function": "rewards/a.py:b"}, "function with kind python"),
    ],
)
def test_a_reward_names_what_its_kind_needs_and_nothing_else(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(Reinforce, {"rewards": [values]}, place="params.yaml: train.reinforce", remedy="")
    assert caught.value.place == "params.yaml: train.reinforce: rewards[0]"
    assert f"{problem}, and with no other" in caught.value.problem


@pytest.mark.parametrize(
    ("section", "key", "outside", "inside"),
    [
        (Reinforce, "answers_per_row", 1, 2),
        (Reinforce, "kl", -0.1, 0.0),
        (Multitask, "temperature", 0.99, 1.0),
        (Semisupervised, "confidence", 1.0, 0.99),
        (Fewshot, "inner_learning_rate", 0.0, 1.0),
    ],
)
def test_a_value_at_the_bound_is_taken_and_one_past_it_is_not(
    section: type[Closed], key: str, outside: float, inside: float
) -> None:
    assert getattr(parse(section, {key: inside}, place="", remedy=""), key) == inside
    with pytest.raises(InputError) as caught:
        parse(section, {key: outside}, place="params.yaml", remedy="")
    assert caught.value.place == f"params.yaml: {key}"


def test_portable_instructions_are_for_a_cpu() -> None:
    with pytest.raises(InputError, match="instructions must be native") as caught:
        parse(Train, {"instructions": "portable", "device": "cuda"}, place="params.yaml: train", remedy="")
    assert "cuda" in caught.value.problem
