from pathlib import Path

from data_change import BASE, Data, Left, compared, row, side_at

from tunegate.data.compute.database import connect
from tunegate.data.diff.removed_rows import SHOWN, new_duplicates, new_leaks_left_out, personal_data, quarantine
from tunegate.data.diff.result import Count, Pair, Quarantined
from tunegate.data.diff.sides import NOTHING

OLD, NEW, LEAK = (Left(row(600 + n), "near_duplicate", f"row-0000{n}", 0.93) for n in range(3))
LEAKS = [LEAK._replace(reason=reason) for reason in ("question_also_in_test", "question_near_test")]
LEAKS[1] = LEAKS[1]._replace(row=row(605))


def test_rows_left_out_by_the_head_alone_are_new_and_name_the_row_they_repeat(tmp_path: Path) -> None:
    after = Data(BASE.rows, left=[OLD, NEW, *LEAKS, Left(row(610), "secret", "")])
    with compared(tmp_path, Data(BASE.rows, left=[OLD]), after) as (connection, base, head):
        duplicates, leaks = new_duplicates(connection, base, head), new_leaks_left_out(connection, base, head)
    assert duplicates.pairs == [Pair(id=NEW.row.id, other=NEW.other, kind="near_duplicate", similarity=0.93)]
    assert [(pair.id, pair.kind) for pair in leaks.pairs] == [(left.row.id, left.reason) for left in LEAKS]


def test_a_row_that_is_left_out_for_another_reason_than_before_is_new(tmp_path: Path) -> None:
    before = Data(BASE.rows, left=[NEW._replace(reason="duplicate")])
    with compared(tmp_path, before, Data(BASE.rows, left=[NEW])) as (connection, base, head):
        assert new_duplicates(connection, base, head).count == 1


def test_all_new_pairs_are_counted_and_the_first_are_listed(tmp_path: Path) -> None:
    many = [Left(row(1000 + n), "duplicate", "row-00001") for n in range(SHOWN + 3)]
    with compared(tmp_path, BASE, Data(BASE.rows, left=many)) as (connection, base, head):
        found = new_duplicates(connection, base, head)
    assert (found.count, len(found.pairs)) == (SHOWN + 3, SHOWN)


def test_rows_in_quarantine_are_counted_of_those_checked_and_only_new_ones_are_listed(tmp_path: Path) -> None:
    before = Data(BASE.rows, quarantined=[(row(800), ["letters"])])
    after = Data(BASE.rows, quarantined=[(row(800), ["letters"]), (row(801), ["length", "letters"])])
    with compared(tmp_path, before, after) as (connection, base, head):
        found = quarantine(connection, base, head)
        assert quarantine(connection, base, NOTHING) is None
    assert found
    assert (found.before, found.after, found.checked_before, found.checked_after) == (1, 2, 401, 402)
    assert found.new == [Quarantined(id="row-00801", reasons=["length", "letters"])]


def test_a_change_of_a_row_is_personal_data_only_where_some_was_detected(tmp_path: Path) -> None:
    before = Data(BASE.rows, changes=[("row-00002", ["masked: email"])])
    after = Data(BASE.rows, left=[Left(row(700), "personal_data", ""), OLD], changes=[
        ("row-00000", ["stripped: html", "repaired: encoding"]),
        ("row-00001", ["stripped: html", "found: phone x3"]),
        ("row-00002", ["masked: email x2"]),
    ])  # fmt: skip
    with compared(tmp_path, before, after) as (connection, base, head):
        found = personal_data(connection, base, head)
    assert found
    assert (found.new_rows, found.ids) == (2, ["row-00001", "row-00700"])
    assert found.kinds == [
        Count(name="found: phone", before=0, after=1),
        Count(name="left out: personal data", before=0, after=1),
        Count(name="masked: email", before=1, after=1),
    ]


def test_a_head_without_records_is_unknown_and_a_base_without_them_makes_everything_new(tmp_path: Path) -> None:
    head = side_at(tmp_path / "head", Data(BASE.rows, left=[NEW], changes=[("row-00001", ["masked: email"])]))
    with connect(tmp_path, 2**28) as connection:
        assert personal_data(connection, head, NOTHING) is None
        assert new_duplicates(connection, head, NOTHING).count == 0
        assert new_duplicates(connection, NOTHING, head).count == 1
        found = personal_data(connection, NOTHING, head)
    assert found
    assert found.ids == ["row-00001"]
