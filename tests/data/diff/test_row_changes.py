from dataclasses import replace
from pathlib import Path

from data_change import Data, compared, row, split_of

from tunegate.data.diff.result import Move, RowCounts, Words
from tunegate.data.diff.row_changes import SHOWN_ROWS, edited, moved, one_sided, row_counts

ROWS = [row(n) for n in range(40)]


def upper(text: str) -> str:
    return text.upper()


def both(before: str, after: str) -> list[Words]:
    return [Words(side="before", text=before), Words(side="after", text=after)]


def test_rows_are_counted_as_ingested_and_split_by_split(tmp_path: Path) -> None:
    after = [replace(one, label="other") if one.id == "row-00006" else one for one in ROWS[:38]] + [row(40)]
    with compared(tmp_path, Data(ROWS), Data(after)) as (connection, *_):
        counts = {count.name: count for count in row_counts(connection)}
    assert counts["ingested"] == RowCounts(name="ingested", before=40, after=39, added=1, removed=2, edited=1)
    train = sum(split_of(one) == "train" for one in ROWS)
    assert counts["train"] == RowCounts(name="train", before=train, after=train - 2, added=0, removed=2, edited=1)
    assert (counts["test"].added, counts["valid"].added) == (1, 0)


def test_a_row_in_another_split_is_moved_and_counts_as_added_there_and_removed_here(tmp_path: Path) -> None:
    after = [replace(one, group="pair-00000") if one.id == "row-00006" else one for one in ROWS]
    with compared(tmp_path, Data(ROWS), Data(after)) as (connection, *_):
        assert moved(connection) == (1, [Move(id="row-00006", before="train", after="test")])
        counts = {count.name: count for count in row_counts(connection)}
    assert (counts["train"].removed, counts["test"].added, counts["test"].edited) == (1, 1, 0)


def test_rows_of_one_side_are_shown_with_every_text_masked(tmp_path: Path) -> None:
    new = row(50, "where is it?", label="desk", rejected="no idea")
    with compared(tmp_path, Data(ROWS), Data([*ROWS, new])) as (connection, *_):
        (shown,) = one_sided(connection, "after", upper)
        assert one_sided(connection, "before", upper) == []
    assert (shown.id, shown.split, shown.source) == (new.id, split_of(new), "desks")
    assert (shown.question, shown.answer, shown.rejected) == ("WHERE IS IT?", "DESK", "NO IDEA")


def test_an_edit_is_shown_field_by_field(tmp_path: Path) -> None:
    changed = replace(ROWS[6], label="desk", slices={"language": "no", "a": "b"})
    after = [changed if one.id == changed.id else one for one in ROWS]
    with compared(tmp_path, Data(ROWS), Data(after)) as (connection, *_):
        (edit,) = edited(connection, both)
    assert [(field.field, [part.text for part in field.words]) for field in edit.fields] == [
        ("answer", [ROWS[6].label, "desk"]),
        ("slices", ["language: sv", "a: b, language: no"]),
    ]


def test_of_a_conversation_all_turns_before_the_answer_are_its_question(tmp_path: Path) -> None:
    def chat(first: str) -> Data:
        roles = (("user", first), ("assistant", "Which?"), ("user", "The roof."), ("assistant", "Call."))
        turns = tuple({"role": role, "content": content} for role, content in roles)
        return Data([replace(ROWS[0], text=None, label=None, messages=turns)])

    with compared(tmp_path, chat("It leaks."), chat("It drips.")) as (connection, *_):
        (edit,) = edited(connection, both)
    assert [field.field for field in edit.fields] == ["question"]
    assert edit.fields[0].words[0].text == "user: It leaks.\nassistant: Which?\nuser: The roof."


def test_a_sample_is_bounded_the_same_every_time_and_not_the_first_rows(tmp_path: Path) -> None:
    rows = [row(n) for n in range(4 * SHOWN_ROWS)]
    samples = []
    for name in ("a", "b"):
        with compared(tmp_path / name, Data([]), Data(rows)) as (connection, *_):
            samples.append([shown.id for shown in one_sided(connection, "after", upper)])
    assert samples[0] == samples[1] == sorted(samples[0])
    assert len(samples[0]) == SHOWN_ROWS
    assert samples[0] != [one.id for one in rows[:SHOWN_ROWS]]
