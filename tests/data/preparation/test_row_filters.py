from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.rows import Row
from tunegate.params import PersonalData

Make = Callable[..., Row]


def chat(*turns: str) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(turns)
    messages = tuple({"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False))
    return {"text": None, "label": None, "messages": messages}


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


def test_of_two_answers_the_longer_counts(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [
        row("a", text="x" * 5, label="y", rejected="z" * 6),
        row("b", text="x" * 5, label="y" * 5, rejected="z"),
        row("c", **chat("x" * 5, "y"), rejected="z" * 6),
        row("d", **chat("x" * 5, "y" * 5), rejected="z"),
    ]
    found = prepared(rows, max_characters=10).dropped
    assert found == {"a": ("too_long", "11 characters", None), "c": ("too_long", "11 characters", None)}


def test_a_rejected_answer_of_a_conversation_may_not_repeat_itself_either(
    row: Make, prepared: Callable[..., Any]
) -> None:
    rows = [
        row("a", **chat("Open?", "Yes"), rejected="we are open " * 6),
        row("b", **chat("Shut?", "Yes"), rejected="No"),
    ]
    assert prepared(rows, max_repetition=0.5).dropped == {"a": ("repetitive", "0.82 repeated", None)}


def test_a_row_that_rejects_what_it_chooses_is_dropped(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [
        row("a", label="x", rejected="x"),
        row("b", label="x", rejected="X"),
        row("c", **chat("Open?", "Yes"), rejected="Yes"),
        row("d", **chat("Shut?", "Yes"), rejected="No"),
        row("e", label=None),
    ]
    outcome = prepared(rows)
    assert outcome.dropped == dict.fromkeys(("a", "c"), ("rejected_is_chosen", None, None))
    assert outcome.ledger["reasons"] == {"rejected_is_chosen": 2}


def test_answers_that_are_equal_once_they_are_repaired_and_masked_are_equal(
    row: Make, prepared: Callable[..., Any]
) -> None:
    mail = PersonalData(action="mask")
    rows = [
        row("a", label="It is so", rejected="It is so  "),
        row("b", **chat("Who?", "Ask ada@firma.se"), rejected="Ask bo@firma.se"),
        row("c"),
    ]
    reasons = {name: reason for name, (reason, _, _) in prepared(rows, personal_data=mail).dropped.items()}
    assert reasons == dict.fromkeys("ab", "rejected_is_chosen")
