import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.preparation.splits import check_not_empty
from tunegate.data.rows import Row
from tunegate.errors import InputError

Make = Callable[..., Row]
Text = Callable[[int], str]
SHARES = {"valid_share": 0.1, "test_share": 0.2}
LARGE_SHARES = {"valid_share": 0.2, "test_share": 0.2}


def test_the_shares_are_kept(row: Make, prepared: Callable[..., Any]) -> None:
    counts = Counter(prepared([row(f"g{n}") for n in range(4_000)], **SHARES).where.values())
    assert counts["test"] == pytest.approx(800, abs=4 * 26)  # four standard deviations of a fair draw
    assert counts["valid"] == pytest.approx(400, abs=4 * 19)


def test_another_key_is_another_split(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"g{n}") for n in range(100)]
    assert prepared(rows, split_key="a", **SHARES).where != prepared(rows, split_key="b", **SHARES).where


@pytest.mark.parametrize("seed", range(3))
def test_adding_rows_never_moves_an_old_one(row: Make, prepared: Callable[..., Any], seed: int) -> None:
    dice = random.Random(seed)
    names = [f"row-{dice.getrandbits(40)}" for _ in range(dice.randint(1, 200))]
    old = [row(name, group=f"g{dice.randint(0, 60)}") for name in names]
    new = [row(f"new-{n}", group=f"g{dice.randint(0, 90)}") for n in range(dice.randint(1, 200))]
    before = prepared(old, **SHARES).where
    every = old + new
    dice.shuffle(every)
    assert before.items() <= prepared(every, **SHARES).where.items()


@pytest.mark.parametrize("stratify", [False, True])
def test_a_group_is_never_separated(row: Make, prepared: Callable[..., Any], stratify: bool) -> None:
    dice = random.Random(1)
    rows = [row(f"r{n}", group=f"g{dice.randint(0, 50)}", label=dice.choice("abc")) for n in range(300)]
    place = prepared(rows, stratify=stratify, **SHARES).where
    assert len({(one.group, place[one.id]) for one in rows}) == len({one.group for one in rows})


def test_raising_the_test_share_takes_no_row_out_of_the_test(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}") for n in range(300)]
    small, large = (prepared(rows, valid_share=0.1, test_share=share).where for share in (0.2, 0.3))
    assert {name for name, split in small.items() if split == "test"} < {n for n, s in large.items() if s == "test"}


def test_stratified_splits_give_every_label_its_shares(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}", label="rare" if n % 10 == 0 else "common") for n in range(400)]
    place = prepared(rows, stratify=True, **SHARES).where
    counts = Counter((one.label, place[one.id]) for one in rows)
    assert {key: counts[key] for key in counts} == {
        ("rare", "test"): 8,
        ("rare", "valid"): 4,
        ("rare", "train"): 28,
        ("common", "test"): 72,
        ("common", "valid"): 36,
        ("common", "train"): 252,
    }


def test_an_empty_split_is_refused_with_its_share() -> None:
    shares: dict[Any, float] = {"train": 0.8, "valid": 0, "test": 0.2}
    with pytest.raises(InputError) as caught:
        check_not_empty({"train": 1, "valid": 0, "test": 0}, shares, groups=1, place="params.yaml")
    assert caught.value.place == "params.yaml: prepare.test_share"
    assert caught.value.problem == "the test split is empty: 1 groups, of which a share of 0.2 goes there"
    assert "split_key" in caught.value.remedy
    check_not_empty({"train": 1, "valid": 0, "test": 0}, {**shares, "test": 0}, groups=1, place="params.yaml")


def test_stratified_splits_give_labelled_and_unlabelled_rows_their_shares(
    row: Make, prepared: Callable[..., Any]
) -> None:
    rows = [row(f"r{n}", label=None if n % 2 else "x") for n in range(200)]
    place = prepared(rows, stratify=True, **SHARES).where
    for odd in (0, 1):
        counts = Counter(place[f"r{n}"] for n in range(odd, 200, 2))
        assert counts == {"train": 70, "valid": 10, "test": 20}


def test_a_group_with_a_label_is_stratified_by_it_however_many_rows_have_none(
    row: Make, prepared: Callable[..., Any]
) -> None:
    rows = [row(f"g{n}-{m}", group=f"g{n}", label="xy"[n % 2] if m == 0 else None) for n in range(40) for m in range(3)]
    place = prepared(rows, stratify=True, **SHARES).where
    for odd in (0, 1):
        counts = Counter(place[f"g{n}-0"] for n in range(odd, 40, 2))
        assert counts == {"train": 14, "valid": 2, "test": 4}


def test_a_label_that_a_row_gets_later_does_not_move_it(row: Make, prepared: Callable[..., Any]) -> None:
    names = [f"r{n}" for n in range(60)]
    before = prepared([row(name, label=None) for name in names], **SHARES).where
    assert prepared([row(name) for name in names], **SHARES).where == before


@pytest.fixture
def places(row: Make, prose: Text, prepared: Callable[..., Any]) -> dict[str, list[str]]:
    """The names of groups by the split that they are in."""
    where = prepared([row(f"r{n}", text=prose(n)) for n in range(60)], **LARGE_SHARES).where
    return {split: [name for name, place in where.items() if place == split] for split in ("train", "valid", "test")}


@pytest.mark.parametrize(
    ("winner", "loser", "reason"),
    [("test", "train", "in_test"), ("test", "valid", "in_test"), ("valid", "train", "in_valid")],
)
def test_an_equal_question_is_left_out_of_the_split_that_loses(
    row: Make,
    prose: Text,
    prepared: Callable[..., Any],
    places: dict[str, list[str]],
    winner: str,
    loser: str,
    reason: str,
) -> None:
    one, other = places[winner][0], places[loser][1]
    rows = [row(f"r{n}", text=prose(n)) for n in range(60)]
    rows = [row(r.id, text=f" {prose(99).upper()}", label="another") if r.id == other else r for r in rows]
    rows = [row(r.id, text=prose(99)) if r.id == one else r for r in rows]
    assert prepared(rows, **LARGE_SHARES).dropped == {other: (f"question_also_{reason}", one, None)}


@pytest.mark.parametrize(
    ("winner", "loser", "reason"),
    [("test", "train", "near_test"), ("test", "valid", "near_test"), ("valid", "train", "near_valid")],
)
def test_a_near_question_is_left_out_too_whatever_its_answer(
    row: Make,
    prose: Text,
    prepared: Callable[..., Any],
    places: dict[str, list[str]],
    winner: str,
    loser: str,
    reason: str,
) -> None:
    one, other = places[winner][0], places[loser][1]
    rows = [row(f"r{n}", text=prose(n)) for n in range(60)]
    rows = [row(r.id, text=prose(99) + " now", label="another") if r.id == other else r for r in rows]
    rows = [row(r.id, text=prose(99)) if r.id == one else r for r in rows]
    outcome = prepared(rows, near_duplicates=0.8, **LARGE_SHARES)
    assert outcome.dropped == {other: (f"question_{reason}", one, pytest.approx(0.95, abs=0.01))}


def test_one_question_in_two_groups_of_one_split_is_no_leak(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("1", text="a?"), row("2", text="a?", label="y")])
    assert (len(outcome.splits["train"]), outcome.dropped) == (2, {})


def test_a_row_left_out_of_valid_for_the_test_takes_nothing_out_of_train(
    row: Make, prose: Text, prepared: Callable[..., Any], places: dict[str, list[str]]
) -> None:
    tested, judged, trained = (places[split][0] for split in ("test", "valid", "train"))
    texts = {tested: prose(99), judged: prose(99) + " now here", trained: prose(99) + " now here too for"}
    rows = [row(f"r{n}", text=texts.get(f"r{n}", prose(n)), label=f"l{n}") for n in range(60)]
    assert set(prepared(rows, near_duplicates=0.85, **LARGE_SHARES).dropped) == {judged}
