import random
from collections import Counter
from collections.abc import Callable

import pytest

from tunegate.data.preparing.splits import check_not_empty, split_of, split_rows
from tunegate.data.rows import Row
from tunegate.errors import InputError

Make = Callable[..., Row]


def where(rows: list[Row], **shares: float) -> dict[str, str]:
    wanted = {"key": "k", "valid_share": 0.1, "test_share": 0.2} | shares
    splits, _ = split_rows(rows, **wanted)  # type: ignore[arg-type]
    return {row.id: name for name, split in splits.items() for row in split}


def test_the_shares_are_kept() -> None:
    counts = Counter(split_of(f"g{n}", key="k", valid_share=0.1, test_share=0.2) for n in range(20_000))
    assert counts["test"] == pytest.approx(4000, abs=4 * 57)  # four standard deviations of a fair draw
    assert counts["valid"] == pytest.approx(2000, abs=4 * 42)


def test_the_hash_is_the_one_that_older_commits_were_split_with() -> None:
    names = [split_of(f"g{n}", key="permit-helpdesk", valid_share=0.1, test_share=0.2)[1] for n in range(24)]
    assert "".join(names) == "arrrrrrarrerrrerrrrrerrr"


def test_another_key_is_another_split() -> None:
    one, other = ([split_of(f"g{n}", key=k, valid_share=0.1, test_share=0.2) for n in range(100)] for k in "ab")
    assert one != other


@pytest.mark.parametrize("seed", range(20))
def test_adding_rows_never_moves_an_old_one(row: Make, seed: int) -> None:
    dice = random.Random(seed)
    names = [f"row-{dice.getrandbits(40)}" for _ in range(dice.randint(1, 200))]
    old = [row(name, group=f"g{dice.randint(0, 60)}") for name in names]
    new = [row(f"new-{n}", group=f"g{dice.randint(0, 90)}") for n in range(dice.randint(1, 200))]
    before = where(old)
    every = old + new
    dice.shuffle(every)
    after = where(every)
    assert before == {name: after[name] for name in before}


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_never_separated(row: Make, seed: int) -> None:
    dice = random.Random(seed)
    rows = [row(f"r{n}", group=f"g{dice.randint(0, 50)}") for n in range(300)]
    place = where(rows)
    assert len({(one.group, place[one.id]) for one in rows}) == len({one.group for one in rows})


def test_raising_the_test_share_takes_no_row_out_of_the_test(row: Make) -> None:
    rows = [row(f"r{n}") for n in range(300)]
    before, after = where(rows, test_share=0.2), where(rows, test_share=0.3)
    assert {name for name, split in before.items() if split == "test"} < {n for n, s in after.items() if s == "test"}


def test_a_question_of_the_test_is_left_out_of_the_others_and_counted(row: Make) -> None:
    rows = [row(f"r{n}") for n in range(100)]
    place = where(rows)
    tested = next(one for one in rows if place[one.id] == "test")
    judged = next(one for one in rows if place[one.id] == "valid")
    trained = [one for one in rows if place[one.id] == "train"][:2]
    copies = [
        row(trained[0].id, text=f"  {str(tested.text).upper()}", label="another"),
        row(trained[1].id, text=judged.text),
    ]
    others = [one for one in rows if one.id not in {copy.id for copy in copies}]
    splits, left_out = split_rows(others + copies, key="k", valid_share=0.1, test_share=0.2)
    assert left_out == {copies[0].id: "question_also_in_test", copies[1].id: "question_also_in_valid"}
    assert not {copy.id for copy in copies} & {one.id for split in splits.values() for one in split}


def test_one_question_in_two_groups_of_one_split_is_no_leak(row: Make) -> None:
    splits, left_out = split_rows([row("1", text="a?"), row("2", text="a?")], key="k", valid_share=0, test_share=0)
    assert (len(splits["train"]), left_out) == (2, {})


def test_an_empty_split_is_refused_with_its_share(row: Make) -> None:
    splits, _ = split_rows([row("1")], key="k", valid_share=0, test_share=0)
    with pytest.raises(InputError) as caught:
        check_not_empty(splits, {"train": 0.8, "valid": 0, "test": 0.2}, "params.yaml")
    assert caught.value.place == "params.yaml: prepare.test_share"
    assert caught.value.problem == "the test split is empty: 1 groups, of which a share of 0.2 goes there"
    assert "split_key" in caught.value.remedy
    check_not_empty(splits, {"train": 1, "valid": 0, "test": 0}, "params.yaml")
