from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from data_change import BASE, Data, compared, row, splits

from tunegate.data.compute.database import MEMORY_VARIABLE
from tunegate.data.diff.leaks import open_leaks, seen_by_base
from tunegate.data.diff.removed_rows import SHOWN
from tunegate.data.diff.result import Pair, Pairs
from tunegate.data.rows import Row

PARTED = splits(BASE.rows)
TEST, VALID, TRAIN = PARTED["test"], PARTED["valid"], PARTED["train"]


def changed(*rows: Row, without: Iterable[Row] = ()) -> Data:
    """BASE with other rows in the place of those with the same id."""
    by_id, gone = {one.id: one for one in rows}, {one.id for one in without}
    return Data([by_id.get(one.id, one) for one in BASE.rows if one.id not in gone])


def leaks(folder: Path, before: Data, after: Data) -> Pairs:
    with compared(folder, before, after) as (connection, *_):
        return open_leaks(connection)


def seen(folder: Path, before: Data, after: Data, near: float = 0.9) -> Pairs:
    with compared(folder, before, after) as (connection, base, _):
        return seen_by_base(connection, base, near=near)


def test_a_test_question_in_another_split_is_a_leak_that_names_both_rows_while_it_is_new(tmp_path: Path) -> None:
    question = f"  {(TEST[0].text or '').upper().replace(' ', '  ')} "
    leaky = changed(replace(TRAIN[0], text=question), replace(VALID[0], text=TRAIN[1].text))
    assert leaks(tmp_path / "a", BASE, leaky).pairs == [
        Pair(id=TEST[0].id, other=TRAIN[0].id, kind="in train", similarity=1.0),
        Pair(id=VALID[0].id, other=TRAIN[1].id, kind="in train", similarity=1.0),
    ]
    assert leaks(tmp_path / "b", leaky, Data([*leaky.rows, row(900)])).count == 0


def test_a_test_question_in_validation_is_a_leak_of_test_alone(tmp_path: Path) -> None:
    found = leaks(tmp_path, BASE, changed(replace(VALID[0], text=TEST[0].text)))
    assert [(pair.id, pair.other, pair.kind) for pair in found.pairs] == [(TEST[0].id, VALID[0].id, "in valid")]


def test_questions_that_differ_in_signs_are_no_leak_and_empty_ones_equal_nothing(tmp_path: Path) -> None:
    questions = [("What is C++?", "What is C#?"), ("\U0001f600", "\U0001f680"), ("की", "का"), (" ", "\t"),
                 ("\uff21 flat", "a  FLAT")]  # fmt: skip
    rows = [replace(TEST[n], text=pair[0]) for n, pair in enumerate(questions)]
    rows += [replace(TRAIN[n], text=pair[1]) for n, pair in enumerate(questions)]
    found = leaks(tmp_path, Data([]), changed(*rows))
    assert [(pair.id, pair.other) for pair in found.pairs] == [(TEST[4].id, TRAIN[4].id)]


def test_all_leaks_are_counted_and_the_first_are_listed(tmp_path: Path) -> None:
    found = leaks(tmp_path, BASE, changed(*(replace(one, text=TRAIN[0].text) for one in TEST[: SHOWN + 5])))
    assert (found.count, len(found.pairs)) == (SHOWN + 5, SHOWN)


def test_a_new_test_row_that_the_base_was_trained_on_is_found_exactly_and_nearly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "everything")  # a stage's memory, which a comparison does not use
    long = " ".join(f"word{n}" for n in range(40))
    trained = [replace(TRAIN[0], text=f"{long} end"), TRAIN[1]]
    before = changed(*trained)
    after = changed(replace(TEST[0], text=TRAIN[1].text), replace(TEST[1], text=f"{long} start"), without=trained)
    found = {pair.id: pair for pair in seen(tmp_path / "a", before, after).pairs}
    assert set(found) == {TEST[0].id, TEST[1].id}
    assert (found[TEST[0].id].other, found[TEST[0].id].similarity) == (trained[1].id, 1.0)
    assert (found[TEST[1].id].other, found[TEST[1].id].kind) == (trained[0].id, "base's train")
    assert 0.9 <= (found[TEST[1].id].similarity or 0) < 1
    assert [pair.id for pair in seen(tmp_path / "b", before, after, near=0.99).pairs] == [TEST[0].id]


def test_new_test_rows_without_a_question_were_not_trained_on(tmp_path: Path) -> None:
    before = changed(replace(TRAIN[0], text=" "))
    after = changed(replace(TRAIN[0], text=" "), replace(TEST[0], text=""), replace(TEST[1], text="\n"))
    assert seen(tmp_path, before, after).count == 0
