from collections.abc import Callable
from typing import Any

from tunegate.data.rows import Row

Make = Callable[..., Row]
Text = Callable[[int], str]


def test_the_first_of_equal_rows_stays_and_the_others_name_it(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row("b", text="Why  so?"), row("a", text="why so?"), row("c", text="Why so?", label="y")]
    outcome = prepared(rows)
    assert set(outcome.where) == {"b", "c"}
    assert outcome.dropped == {"a": ("duplicate", "b", None)}


def test_the_first_source_wins_whatever_the_ids(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row("z", text="Why?", source="first"), row("a", text="Why?", source="second")]
    outcome = prepared(rows)
    assert outcome.ledger["per_source"]["second"] == {"in": 1, "out": 0, "reasons": {"duplicate": 1}}


def test_duplicates_stay_when_asked(row: Make, prepared: Callable[..., Any]) -> None:
    assert len(prepared([row("a", text="a?"), row("b", text="a?")], deduplicate=False).where) == 2


def test_a_near_row_with_the_same_answer_is_dropped_with_its_similarity(
    row: Make, prose: Text, prepared: Callable[..., Any]
) -> None:
    rows = [row("a", text=prose(1)), row("b", text=prose(1) + " now"), row("c", text=prose(2))]
    outcome = prepared(rows, near_duplicates=0.8)
    assert outcome.dropped == {"b": ("near_duplicate", "a", 0.952381)}


def test_near_questions_with_different_answers_both_stay(row: Make, prose: Text, prepared: Callable[..., Any]) -> None:
    rows = [row("a", text=prose(1)), row("b", text=prose(1) + " now", label="y")]
    assert not prepared(rows, near_duplicates=0.8).dropped


def test_a_row_is_near_only_to_one_that_stays(row: Make, prose: Text, prepared: Callable[..., Any]) -> None:
    steps = [prose(1) + " one two three four five six"[: 4 * n] for n in range(7)]
    rows = [row(f"r{n}", text=text) for n, text in enumerate(steps)]
    outcome = prepared(rows, near_duplicates=0.9)
    kept = set(outcome.where)
    assert len(kept) > 1, "the last is not near the first"
    assert {other for _, other, _ in outcome.dropped.values()} <= kept


def test_a_system_prompt_that_all_share_makes_no_conversations_near(
    row: Make, prose: Text, prepared: Callable[..., Any]
) -> None:
    def chat(question: str) -> tuple[dict[str, str], ...]:
        turns = [("system", " ".join(map(prose, range(100, 110)))), ("user", question), ("assistant", "Yes.")]
        return tuple({"role": role, "content": content} for role, content in turns)

    rows = [row(f"r{n}", text=None, label=None, messages=chat(f"Is number {n} open?")) for n in range(3)]
    assert not prepared(rows, near_duplicates=0.9).dropped


def test_conversations_in_which_the_user_says_nothing_are_not_near_each_other(
    row: Make, prepared: Callable[..., Any]
) -> None:
    def opened(name: str, role: str) -> Row:
        messages = ({"role": "system", "content": role}, {"role": "assistant", "content": "Hi!"})
        return row(name, text=None, label=None, messages=messages)

    outcome = prepared([opened("a", "You sell roofs."), opened("b", "You mend pipes.")], near_duplicates=0.5)
    assert set(outcome.where) == {"a", "b"}


def test_one_question_may_have_many_pairs_of_answers(row: Make, prose: Text, prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}", text=prose(1), rejected=other) for n, other in enumerate(("y", "z", "Z ", None, "y"))]
    outcome = prepared(rows, near_duplicates=0.8)
    assert outcome.dropped == {"r2": ("duplicate", "r1", None), "r4": ("duplicate", "r0", None)}


def test_an_unanswered_question_repeats_an_answered_one_wherever_that_stands(
    row: Make, prepared: Callable[..., Any]
) -> None:
    rows = [row("open", text="Why so?", label=None), row("a", text="why  so?"), row("other", text="Who?", label=None)]
    assert prepared(rows).dropped == {"open": ("duplicate", "a", None)}
    assert not prepared(rows, deduplicate=False).dropped


def test_raw_text_is_compared_with_raw_text_exactly_and_nearly(
    row: Make, prose: Text, prepared: Callable[..., Any]
) -> None:
    rows = [
        row(f"r{n}", text=text, label=None) for n, text in enumerate((prose(1), prose(1), prose(1) + " now", prose(2)))
    ]
    assert prepared(rows, near_duplicates=0.8).dropped == {
        "r1": ("duplicate", "r0", None),
        "r2": ("near_duplicate", "r0", 0.952381),
    }


def test_an_unanswered_question_near_an_answered_one_goes_before_it_can_take_that_out_of_training(
    row: Make, prose: Text, prepared: Callable[..., Any]
) -> None:
    rows = [
        row("open", text=prose(1) + " now", label=None),
        row("a", text=prose(1)),
        row("b", text=prose(2), label=None),
    ]
    outcome = prepared(rows, near_duplicates=0.8)
    assert outcome.dropped == {"open": ("near_duplicate", "a", 0.952381)}
    assert set(outcome.where) == {"a", "b"}
