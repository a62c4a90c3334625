from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.preparation.frozen_test_set import FrozenRow, content_of, freeze, read_frozen
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.files import sha256_of, write_text
from tunegate.params import Mix
from tunegate.tables import parquet_batches

Make = Callable[..., Row]
SHARES = {"valid_share": 0.2, "test_share": 0.2}


def frozen(outcome: Any, folder: Path) -> tuple[FrozenRow, ...]:
    _, sha256 = freeze(parquet_batches(outcome.folder / "test.parquet"), folder)
    return read_frozen(folder, sha256, place="params.yaml")


def test_freezing_moves_no_row_and_later_rows_go_elsewhere(
    row: Make, prepared: Callable[..., Any], tmp_path: Path
) -> None:
    old = [row(f"r{n}") for n in range(60)]
    before = prepared(old, **SHARES)
    rows = frozen(before, tmp_path / "frozen")
    assert prepared(old, rows, **SHARES).where == before.where
    added = prepared([row(f"new{n}") for n in range(60)] + old, rows, **SHARES)
    after = added.where
    assert added.dropped == {}
    assert {name for name, split in after.items() if split == "test"} == {one.id for one in rows}
    assert before.where.items() <= after.items()


def test_a_frozen_row_wins_over_an_earlier_duplicate_a_near_one_and_a_cap(
    row: Make, prose: Callable[[int], str], prepared: Callable[..., Any], tmp_path: Path
) -> None:
    old = [row(f"r{n}", text=prose(n)) for n in range(60)]
    before = prepared(old, **SHARES)
    rows = frozen(before, tmp_path / "frozen")
    tested = next(one for one in old if one.id == rows[0].id)
    copies = [row("copy", text=tested.text), row("near", text=f"{tested.text} now")]
    after = prepared([*copies, *old], rows, mixture={"s": Mix(cap=30)}, near_duplicates=0.8, **SHARES)
    assert {name for name, split in after.where.items() if split == "test"} == {one.id for one in rows}
    assert after.dropped["copy"][:2] == ("duplicate", tested.id)
    assert after.dropped["near"][:2] == ("near_duplicate", tested.id)
    assert len(after.where) == 30


def test_a_cap_smaller_than_the_frozen_test_set_takes_nothing_out_of_it(
    row: Make, prepared: Callable[..., Any], tmp_path: Path
) -> None:
    old = [row(f"r{n}", source="t" if n % 2 else "s") for n in range(60)]
    rows = frozen(prepared(old, **SHARES), tmp_path / "frozen")
    after = prepared(old, rows, mixture={"s": Mix(cap=1)}, **SHARES)
    assert {name for name, split in after.where.items() if split == "test"} == {one.id for one in rows}


def test_a_new_row_of_a_frozen_group_is_left_out_of_every_split(
    row: Make, prepared: Callable[..., Any], tmp_path: Path
) -> None:
    old = [row(f"r{n}") for n in range(60)]
    rows = frozen(prepared(old, **SHARES), tmp_path / "frozen")
    after = prepared([*old, row("late", group=rows[0].group)], rows, **SHARES)
    assert after.dropped == {"late": ("not_in_frozen_test", rows[0].group, None)}


def test_a_missing_frozen_row_is_named_with_its_reason(row: Make, prepared: Callable[..., Any], tmp_path: Path) -> None:
    old = [row(f"r{n}") for n in range(60)]
    rows = frozen(prepared(old, **SHARES), tmp_path / "frozen")
    gone, short = rows[0].id, rows[1].id
    left = [row(one.id, text="?") if one.id == short else one for one in old if one.id != gone]
    with pytest.raises(InputError) as caught:
        prepared(left, rows, min_characters=2, **SHARES)
    assert caught.value.place == "params.yaml: prepare.test_set"
    assert caught.value.problem == (
        f"2 rows of the frozen test set are missing: {gone} (not among the rows), {short} (too_short)"
    )
    assert "tunegate data freeze" in caught.value.remedy


def test_an_edited_frozen_row_is_named(row: Make, prepared: Callable[..., Any], tmp_path: Path) -> None:
    old = [row(f"r{n}") for n in range(60)]
    rows = frozen(prepared(old, **SHARES), tmp_path / "frozen")
    edited = [row(one.id, label="other") if one.id == rows[0].id else one for one in old]
    with pytest.raises(InputError, match=f"1 rows of the frozen test set say something else now: {rows[0].id}"):
        prepared(edited, rows, **SHARES)


def test_a_place_or_a_source_that_changes_is_no_edit(row: Make, prepared: Callable[..., Any], tmp_path: Path) -> None:
    old = [row(f"r{n}") for n in range(60)]
    rows = frozen(prepared(old, **SHARES), tmp_path / "frozen")
    moved = [row(one.id, place="elsewhere:1", source="t") for one in old]
    assert sum(split == "test" for split in prepared(moved, rows, **SHARES).where.values()) == len(rows)


def test_another_file_than_the_pinned_one_is_refused_with_both_hashes(tmp_path: Path) -> None:
    write_text(tmp_path / "test.json", "{}")
    found = sha256_of(tmp_path / "test.json")
    with pytest.raises(InputError) as caught:
        read_frozen(tmp_path, "0" * 64, place="params.yaml")
    assert caught.value.place == "params.yaml: prepare.test_set"
    assert "0" * 64 in caught.value.problem
    assert found in caught.value.problem
    with pytest.raises(InputError, match="no such file"):
        read_frozen(tmp_path / "nowhere", "0" * 64, place="params.yaml")


def test_without_a_pin_nothing_is_read(tmp_path: Path) -> None:
    write_text(tmp_path / "test.json", "not even JSON")
    assert read_frozen(tmp_path, None, place="params.yaml") == ()


def test_an_empty_test_split_cannot_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the test split is empty"):
        freeze([], tmp_path)
    assert not (tmp_path / "test.json").exists()


def test_a_test_set_without_rejected_answers_keeps_the_hashes_that_it_was_frozen_with() -> None:
    record = {"group": "g", "text": "a?", "label": "x", "messages": None, "slices": [("language", "sv")]}
    old = "ae953bbc"
    assert content_of(record)[:8] == content_of(record | {"rejected": None})[:8] == old
    assert content_of(record | {"rejected": "y"})[:8] != old


def test_a_frozen_question_without_an_answer_stays_where_a_new_row_answers_it(
    row: Make, prepared: Callable[..., Any], tmp_path: Path
) -> None:
    old = [row(f"r{n}", label=None) for n in range(60)]
    rows = frozen(prepared(old, **SHARES), tmp_path / "frozen")
    answered = row("new", text=next(one for one in old if one.id == rows[0].id).text)
    after = prepared([*old, answered], rows, **SHARES)
    assert {name for name, split in after.where.items() if split == "test"} == {one.id for one in rows}
    assert after.dropped == {"new": ("question_also_in_test", rows[0].id, None)}
