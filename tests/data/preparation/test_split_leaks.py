from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.rows import Row

Make = Callable[..., Row]
Text = Callable[[int], str]
SHARES = {"valid_share": 0.2, "test_share": 0.2}


@pytest.fixture
def places(row: Make, said: Text, prepared: Callable[..., Any]) -> dict[str, list[str]]:
    """The names of groups by the split that they are in."""
    where = prepared([row(f"r{n}", text=said(n)) for n in range(60)], **SHARES).where
    return {split: [name for name, place in where.items() if place == split] for split in ("train", "valid", "test")}


@pytest.mark.parametrize(
    ("winner", "loser", "reason"),
    [("test", "train", "in_test"), ("test", "valid", "in_test"), ("valid", "train", "in_valid")],
)
def test_an_equal_question_is_left_out_of_the_split_that_loses(
    row: Make,
    said: Text,
    prepared: Callable[..., Any],
    places: dict[str, list[str]],
    winner: str,
    loser: str,
    reason: str,
) -> None:
    one, other = places[winner][0], places[loser][1]
    rows = [row(f"r{n}", text=said(n)) for n in range(60)]
    rows = [row(r.id, text=f" {said(99).upper()}", label="another") if r.id == other else r for r in rows]
    rows = [row(r.id, text=said(99)) if r.id == one else r for r in rows]
    assert prepared(rows, **SHARES).dropped == {other: (f"question_also_{reason}", one, None)}


@pytest.mark.parametrize(
    ("winner", "loser", "reason"),
    [("test", "train", "near_test"), ("test", "valid", "near_test"), ("valid", "train", "near_valid")],
)
def test_a_near_question_is_left_out_too_whatever_its_answer(
    row: Make,
    said: Text,
    prepared: Callable[..., Any],
    places: dict[str, list[str]],
    winner: str,
    loser: str,
    reason: str,
) -> None:
    one, other = places[winner][0], places[loser][1]
    rows = [row(f"r{n}", text=said(n)) for n in range(60)]
    rows = [row(r.id, text=said(99) + " now", label="another") if r.id == other else r for r in rows]
    rows = [row(r.id, text=said(99)) if r.id == one else r for r in rows]
    outcome = prepared(rows, near_duplicates=0.8, **SHARES)
    assert outcome.dropped == {other: (f"question_{reason}", one, pytest.approx(0.95, abs=0.01))}


def test_one_question_in_two_groups_of_one_split_is_no_leak(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("1", text="a?"), row("2", text="a?", label="y")])
    assert (len(outcome.splits["train"]), outcome.dropped) == (2, {})


def test_a_row_left_out_of_valid_for_the_test_takes_nothing_out_of_train(
    row: Make, said: Text, prepared: Callable[..., Any], places: dict[str, list[str]]
) -> None:
    tested, judged, trained = (places[split][0] for split in ("test", "valid", "train"))
    texts = {tested: said(99), judged: said(99) + " now here", trained: said(99) + " now here too for"}
    rows = [row(f"r{n}", text=texts.get(f"r{n}", said(n)), label=f"l{n}") for n in range(60)]
    assert set(prepared(rows, near_duplicates=0.85, **SHARES).dropped) == {judged}
