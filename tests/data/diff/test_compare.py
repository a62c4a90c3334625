from dataclasses import replace
from pathlib import Path

import pytest
from data_change import BASE, EDITED, HEAD, PERSONAL, Data, row, side_at

from tunegate.data.diff.compare import compare
from tunegate.data.diff.result import DataDiff, Shift
from tunegate.data.diff.sides import NOTHING, PREPARED, Side
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.files import read_yaml, write_yaml
from tunegate.stages import prepare
from tunegate.tables import read_parquet, write_parquet

ROOT = Path(__file__).resolve().parents[3]


def shift_of(diff: DataDiff, name: str) -> Shift:
    return next(shift for shift in diff.shifts if shift.name == name)


def diff(before: Data, after: Data, folder: Path) -> DataDiff:
    return compare(side_at(folder / "base", before), side_at(folder / "head", after), folder / "work")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DataDiff:
    return diff(BASE, HEAD, tmp_path_factory.mktemp("diff"))


def test_a_change_is_found_to_be_exactly_what_was_planted(result: DataDiff) -> None:
    assert [result.total(what) for what in ("before", "after", "added", "removed", "edited")] == [400, 500, 100, 0, 10]
    assert {edit.id for edit in result.edited} == {one.id for one in EDITED}
    assert (result.leaks_left_out.count, result.duplicates.count) == (5, 3)
    assert {(p.id, p.other) for p in result.leaks_left_out.pairs} == {
        (left.row.id, left.other) for left in HEAD.left if left.reason == "question_also_in_test"
    }
    assert [(p.id, p.other, p.similarity) for p in result.duplicates.pairs] == [
        (f"row-{700 + n:05d}", f"row-{n:05d}", 0.93) for n in range(3)
    ]
    assert result.personal_data
    assert result.personal_data.ids == [one.id for one in PERSONAL]
    assert [(kind.name, kind.before, kind.after) for kind in result.personal_data.kinds] == [("masked: email", 0, 4)]
    assert result.quarantine
    assert [one.id for one in result.quarantine.new] == ["row-00800"]
    assert (result.leaks.count, result.seen.count, result.moved_count, result.notes) == (0, 0, 0, [])


def test_rows_that_came_in_are_counted_beside_those_that_stayed(result: DataDiff) -> None:
    ingested = result.rows[0]
    assert (ingested.name, ingested.before, ingested.after, ingested.added) == ("ingested", 400, 509, 109)
    assert [split.name for split in result.splits] == ["train", "valid", "test"]
    assert [(r.reason, r.before, r.after) for r in result.left_out] == [
        ("quarantine: letters", 0, 1), ("near_duplicate", 0, 3), ("question_also_in_test", 0, 5),
    ]  # fmt: skip
    assert [(t.split, t.before, t.after) for t in result.tokens] == [("train", 8000, 10000)]


def test_the_same_data_has_no_shift_of_anything(tmp_path: Path) -> None:
    result = diff(BASE, BASE, tmp_path)
    assert {(shift.effect, shift.verdict) for shift in result.shifts if shift.of == "all rows"} == {(0.0, "none")}


def test_the_same_data_gives_the_same_value(result: DataDiff, tmp_path: Path) -> None:
    assert diff(BASE, HEAD, tmp_path) == result


def test_what_an_older_base_does_not_have_is_said(tmp_path: Path) -> None:
    base, head = side_at(tmp_path / "base", BASE), side_at(tmp_path / "head", HEAD)
    for name in ("dropped", "changes"):
        (tmp_path / f"base/prepared/{name}.parquet").unlink()
    result = compare(base, head, tmp_path / "work")
    assert "the base's data/prepared has no dropped.parquet, changes.parquet" in result.notes[0]
    assert result.duplicates.count == 3


def test_without_a_base_everything_is_new(tmp_path: Path) -> None:
    result = compare(NOTHING, side_at(tmp_path / "head", BASE), tmp_path / "work", first=True)
    assert (result.base, result.total("added"), result.total("before")) == (None, 400, 0)
    assert {shift.verdict for shift in result.shifts} == {"too few rows to tell"}
    assert result.sources[0].change == "added"


def test_a_side_without_any_rows_is_no_crash(tmp_path: Path) -> None:
    result = compare(side_at(tmp_path / "base", BASE), NOTHING, tmp_path / "work")
    assert result.total("removed") == 400
    assert "the head locks no data/ingested" in result.notes[0]


def prepared(rows: list[Row], folder: Path) -> Side:
    """What the stage itself makes of validated rows."""
    write_parquet(folder / "validated/rows.parquet", table_of(rows, PLACED_ROW))
    params = read_yaml(ROOT / "params.yaml")
    params["prepare"] |= {"personal_data": {"action": "mask"}, "label_noise": False, "near_duplicates": 0.9}
    write_yaml(folder / "params.yaml", params)
    (folder / "frozen").mkdir()
    prepare.main(*(str(folder / name) for name in ("params.yaml", "validated", "frozen", "prepared")))
    return Side(folder.name, {PREPARED: folder / "prepared"}, {PREPARED: folder.name}, {}, {})


def test_the_stage_prepare_and_the_comparison_agree_that_one_system_prompt_makes_no_leak(tmp_path: Path) -> None:
    prompt = {"role": "system", "content": " ".join(f"rule{n}" for n in range(300))}

    def chat(number: int, question: str) -> Row:
        turns = (prompt, {"role": "user", "content": question}, {"role": "assistant", "content": f"desk {number}"})
        return row(number, text=None, label=None, messages=turns)

    def question_of(number: int) -> str:
        return " ".join(f"w{number}x{word}" for word in range(5))

    rows = [chat(n, question_of(n)) for n in range(0, 80, 2)]
    before = prepared(rows, tmp_path / "base")
    repeated = read_parquet(tmp_path / "base/prepared/train.parquet").to_pylist()[0]
    test_groups = {one["group"] for one in read_parquet(tmp_path / "base/prepared/test.parquet").to_pylist()}
    new = [replace(chat(n, question_of(n)), group=sorted(test_groups)[0]) for n in range(100, 110)]
    copy = replace(chat(200, repeated["messages"][1]["content"].upper()), group=sorted(test_groups)[0])
    kept = [one for one in rows if one.id != repeated["id"]]
    result = compare(before, prepared([*kept, *new, copy], tmp_path / "head"), tmp_path / "work")
    assert (result.total("added"), result.leaks_left_out.count, result.leaks.count) == (11, 0, 0)
    assert [(p.id, p.other) for p in result.seen.pairs] == [(copy.id, repeated["id"])]


def test_the_stage_prepare_and_the_comparison_agree_on_a_planted_change(tmp_path: Path) -> None:
    before = prepared(list(BASE.rows), tmp_path / "base")
    kept = {name: read_parquet(tmp_path / f"base/prepared/{name}.parquet").to_pylist() for name in ("test", "train")}
    leaks = [
        row(600 + n, one["text"], label="other", group=kept["train"][n]["group"], place="x")
        for n, one in enumerate(kept["test"][:5])
    ]
    copies = [
        row(700 + n, one["text"], label=one["label"], group=one["group"], place="x")
        for n, one in enumerate(kept["train"][20:23])
    ]
    personal = [row(400 + n, f"{row(400 + n).text}, write to ada{n}@firma.se") for n in range(4)]
    fresh = [*personal, *(row(n) for n in range(404, 500))]
    edits = {one.id: one for one in EDITED}
    after = [edits.get(one.id, one) for one in BASE.rows] + fresh + leaks + copies
    result = compare(before, prepared(after, tmp_path / "head"), tmp_path / "work")
    assert [result.total(what) for what in ("added", "removed", "edited")] == [100, 0, 10]
    assert [(p.id, p.other) for p in result.leaks_left_out.pairs] == [
        (leak.id, one["id"]) for leak, one in zip(leaks, kept["test"], strict=False)
    ]
    assert [(p.id, p.other) for p in result.duplicates.pairs] == [
        (copy.id, one["id"]) for copy, one in zip(copies, kept["train"][20:], strict=False)
    ]
    assert result.personal_data
    assert result.personal_data.ids == [one.id for one in personal]
    assert (result.leaks.count, result.seen.count) == (0, 0)


def test_rejected_answers_are_compared_and_an_older_base_has_none(tmp_path: Path) -> None:
    def preferring(number: int, other: str) -> Row:
        return row(number, rejected=f"{other} of house {number}")

    old, new = (Data([preferring(n, other) for n in range(60)]) for other in ("the cellar", "a long way up the roof"))
    result = diff(old, new, tmp_path / "a")
    assert (result.total("edited"), {edit.field for one in result.edited for edit in one.fields}) == (60, {"rejected"})
    assert shift_of(result, "length of the rejected answer, characters").verdict == "large"
    assert shift_of(result, "words, by frequency").verdict != "none"
    added = diff(Data(old.rows[:59]), old, tmp_path / "b").added[0]
    assert (added.answer, added.rejected) == ("water", "the cellar of house 59")

    base, head = side_at(tmp_path / "c/base", Data([row(n) for n in range(60)])), side_at(tmp_path / "c/head", new)
    for path in (tmp_path / "c/base").rglob("*.parquet"):
        table = read_parquet(path)
        if "rejected" in table.column_names:
            write_parquet(path, table.drop_columns(["rejected"]))
    assert compare(base, head, tmp_path / "c/work").total("edited") == 60
    same = compare(base, side_at(tmp_path / "c/same", Data([row(n) for n in range(60)])), tmp_path / "c/more")
    assert (same.rows[0].edited, same.total("edited")) == (0, 0)


def test_raw_text_is_compared_and_a_label_that_comes_is_an_edit(tmp_path: Path) -> None:
    raw, labelled = Data([row(n, label=None) for n in range(60)]), Data([row(n) for n in range(60)])
    assert diff(raw, raw, tmp_path / "a").total("edited") == 0
    result = diff(raw, labelled, tmp_path / "b")
    assert result.total("edited") == 60
    assert {edit.field for one in result.edited for edit in one.fields} == {"answer"}
