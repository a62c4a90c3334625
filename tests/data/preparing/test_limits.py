from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.rows import Row

Make = Callable[..., Row]


def chat(*turns: str) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(turns)
    said = tuple({"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False))
    return {"text": None, "label": None, "messages": said}


def test_a_row_whose_question_is_shorter_than_allowed_is_dropped_with_its_length(
    row: Make, prepared: Callable[..., Any]
) -> None:
    rows = [row("a", text="Hi?"), row("b", text="Hello?"), row("c", **chat("Hi", "A long answer to it"))]
    assert prepared(rows, min_characters=6).dropped == {
        "a": ("too_short", "3 characters", None),
        "c": ("too_short", "2 characters", None),
    }


def test_a_row_whose_question_and_answer_together_are_too_long_is_dropped(
    row: Make, prepared: Callable[..., Any]
) -> None:
    rows = [row("a", text="x" * 10, label="y"), row("b", text="x" * 9, label="y"), row("c", **chat("x" * 5, "y" * 6))]
    found = prepared(rows, max_characters=10).dropped
    assert found == {"a": ("too_long", "11 characters", None), "c": ("too_long", "11 characters", None)}


def test_a_row_that_repeats_itself_is_dropped_with_the_share(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row("a", text="we are open " * 6), row("b", text="we are open today and tomorrow")]
    assert prepared(rows, max_repetition=0.5).dropped == {"a": ("repetitive", "0.81 repeated", None)}


@pytest.mark.parametrize("values", [{"text": "ab", "label": "y" * 20}])
def test_a_row_that_breaks_two_rules_has_the_first_as_its_only_reason(
    row: Make, prepared: Callable[..., Any], values: dict[str, str]
) -> None:
    outcome = prepared([row("a", **values), row("b")], min_characters=3, max_characters=20)
    assert outcome.dropped["a"][0] == "too_short"
    assert outcome.ledger["reasons"] == {"too_short": 1}


def test_lengths_are_those_after_repair(row: Make, prepared: Callable[..., Any]) -> None:
    assert prepared([row("a", text="  Hi?  "), row("b")], min_characters=5).dropped["a"][1] == "3 characters"
