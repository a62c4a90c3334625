from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.preparation.mixture import shares
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.params import Mix

Make = Callable[..., Row]


def rows_of_sources(row: Make, **counts: int) -> list[Row]:
    return [row(f"{source}-{n}", source=source) for source, count in counts.items() for n in range(count)]


def test_a_cap_keeps_at_most_that_many_rows_and_leaves_the_other_sources_alone(
    row: Make, prepared: Callable[..., Any]
) -> None:
    outcome = prepared(rows_of_sources(row, a=50, b=20), mixture={"a": Mix(cap=10)})
    assert Counter(name[0] for name in outcome.where) == {"a": 10, "b": 20}
    assert outcome.ledger["per_source"]["a"]["reasons"] == {"over_cap": 40}
    assert next(iter(outcome.dropped.values())) == ("over_cap", "10 rows", None)


def test_weights_are_relative_and_the_shortest_source_sets_the_scale(row: Make, prepared: Callable[..., Any]) -> None:
    mixture = {"a": Mix(weight=3), "b": Mix(weight=1), "c": Mix(cap=5)}
    outcome = prepared(rows_of_sources(row, a=30, b=40, c=9, d=8), mixture=mixture)
    assert Counter(name[0] for name in outcome.where) == {"a": 30, "b": 10, "c": 5, "d": 8}
    assert outcome.ledger["reasons"] == {"over_weight": 30, "over_cap": 4}


def test_added_rows_displace_no_more_than_their_own_number(row: Make, prepared: Callable[..., Any]) -> None:
    rows = rows_of_sources(row, a=60)
    before = set(prepared(rows[:50], mixture={"a": Mix(cap=20)}).where)
    after = set(prepared(rows, mixture={"a": Mix(cap=20)}).where)
    assert len(after) == 20
    assert before - after <= before
    assert after - before <= {one.id for one in rows[50:]}


def test_a_smaller_cap_is_a_part_of_a_larger_one(row: Make, prepared: Callable[..., Any]) -> None:
    rows = rows_of_sources(row, a=50)
    small, large = (set(prepared(rows, mixture={"a": Mix(cap=cap)}).where) for cap in (10, 25))
    assert small < large


def test_a_group_is_used_whole_or_not_at_all(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}", group=f"g{n // 4}") for n in range(40)]
    kept = Counter(name for r in prepared(rows, mixture={"s": Mix(cap=10)}).splits["train"] for name in [r.group])
    assert set(kept.values()) == {4}
    assert kept.total() == 8


def test_a_source_that_there_is_not_is_refused_with_the_nearest_name(row: Make, prepared: Callable[..., Any]) -> None:
    with pytest.raises(InputError) as caught:
        prepared(rows_of_sources(row, tickets=3), mixture={"ticket": Mix(cap=1)})
    assert caught.value.place == "params.yaml: prepare.mixture"
    assert caught.value.problem == "no source 'ticket'; did you mean 'tickets'?"


def test_a_weight_for_a_source_without_rows_is_refused() -> None:
    with pytest.raises(InputError, match="'b' has a weight and no rows"):
        shares({"a": 10}, {"a": 1, "b": 2}, place="params.yaml")
    assert shares({"a": 30, "b": 100}, {"a": 0.3, "b": 0.7}, place="p") == {"a": 30, "b": 70}


def test_a_group_larger_than_the_cap_does_not_keep_the_others_out(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"a-{n}", source="a", group="large" if n < 30 else f"g{n}") for n in range(60)]
    outcome = prepared(rows, mixture={"a": Mix(cap=20)})
    assert len(outcome.where) == 20
    assert not any(one.group == "large" for one in rows if one.id in outcome.where)


def test_groups_behind_one_that_does_not_fit_any_more_fill_the_room(row: Make, prepared: Callable[..., Any]) -> None:
    sizes = [7, 5, 5, 1, 1, 1, 1, 1, 1, 1]
    rows = [row(f"{group}-{n}", group=f"g{group}") for group, size in enumerate(sizes) for n in range(size)]
    for cap in range(5, 24, 3):
        outcome = prepared(rows, mixture={"s": Mix(cap=cap)})
        room = cap - len(outcome.where)
        assert room >= 0
        assert all(sizes[int(name.split("-")[0])] > room for name in outcome.dropped)


def test_a_source_of_which_nothing_is_left_is_refused(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"a-{n}", source="a", group="one") for n in range(9)] + [row("b-1", source="b")]
    with pytest.raises(InputError, match="no row of 'a' is left") as caught:
        prepared(rows, mixture={"a": Mix(cap=5)})
    assert caught.value.place == "params.yaml: prepare.mixture.a"
