import itertools

import pytest
from technique_runs import example

from tunegate.errors import InputError
from tunegate.training.tasks import endless, require_same_tasks, tasks_of

ROWS = [example(f"{desk}-{n}", [5], [6], desk=desk) for n in range(2) for desk in ("roof", "heat")]


def test_rows_are_put_to_their_tasks_in_the_order_of_the_names() -> None:
    tasks = tasks_of(ROWS, "desk", "data/tokens")
    assert [(name, [row.id for row in rows]) for name, rows in tasks.items()] == [
        ("heat", ["heat-0", "heat-1"]),
        ("roof", ["roof-0", "roof-1"]),
    ]
    assert list(tasks_of(ROWS, "source", "")) == ["made"]


def test_a_row_without_the_slice_is_named_with_those_that_it_has() -> None:
    with pytest.raises(InputError, match=r"the row odd has no slice 'desk'; did you mean 'desks'") as caught:
        tasks_of([*ROWS, example("odd", [5], [6], desks="roof")], "desk", "data/tokens")
    assert caught.value.place == "data/tokens"
    assert "desks, source" in caught.value.remedy


@pytest.mark.parametrize(("train", "valid", "split"), [("ab", "a", "valid"), ("a", "ab", "train")])
def test_a_task_that_one_split_lacks_is_named_with_the_split(train: str, valid: str, split: str) -> None:
    tasks = [dict.fromkeys(names, ROWS) for names in (train, valid)]
    require_same_tasks(tasks[0], tasks[0], "data/tokens")
    with pytest.raises(InputError, match=f"'b' in the split {split}") as caught:
        require_same_tasks(*tasks, "data/tokens")
    assert caught.value.place == "data/tokens"


def test_draws_hold_all_items_before_one_comes_again_in_orders_of_their_own() -> None:
    drawn = list(itertools.islice(endless(range(20), [7]), 60))
    rounds = [drawn[start : start + 20] for start in (0, 20, 40)]
    assert [sorted(items) for items in rounds] == [list(range(20))] * 3
    assert rounds[0] != rounds[1]
    assert drawn == list(itertools.islice(endless(range(20), [7]), 60))
    assert drawn != list(itertools.islice(endless(range(20), [8]), 60))
