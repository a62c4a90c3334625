from dataclasses import replace
from pathlib import Path

import pytest
from data_change import BASE, EDITED, HEAD, PERSONAL, Data, Left, row, splits, write

from tunegate.data.compute.database import MEMORY_VARIABLE
from tunegate.data.diff.compare import compare
from tunegate.data.diff.result import DataDiff, Shift
from tunegate.data.diff.sides import NOTHING, OUTPUTS, PREPARED, Side
from tunegate.data.rows import PLACED_ROW, Row, table_of
from tunegate.files import read_yaml, write_yaml
from tunegate.stages import prepare
from tunegate.tables import read_parquet, write_parquet

ROOT = Path(__file__).resolve().parents[3]


def side(data: Data, folder: Path) -> Side:
    write(data, folder)
    names = {output: folder / Path(output).name for output in OUTPUTS}
    return Side(folder.name, names, {name: str(hash((folder.name, name))) for name in names}, {"desks": "MIT"}, {})


def diff(before: Data, after: Data, folder: Path) -> DataDiff:
    return compare(side(before, folder / "base"), side(after, folder / "head"), folder / "work")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> DataDiff:
    return diff(BASE, HEAD, tmp_path_factory.mktemp("diff"))


def test_a_change_is_found_to_be_exactly_what_was_planted(found: DataDiff) -> None:
    assert [found.total(what) for what in ("before", "after", "added", "removed", "edited")] == [400, 500, 100, 0, 10]
    assert {edit.id for edit in found.edited} == {one.id for one in EDITED}
    assert (found.leaks_left_out.count, found.duplicates.count) == (5, 3)
    assert {(p.id, p.other) for p in found.leaks_left_out.pairs} == {
        (left.row.id, left.other) for left in HEAD.left if left.reason == "question_also_in_test"
    }
    assert [(p.id, p.other, p.similarity) for p in found.duplicates.pairs] == [
        (f"row-{700 + n:05d}", f"row-{n:05d}", 0.93) for n in range(3)
    ]
    assert found.personal_data
    assert found.personal_data.ids == [one.id for one in PERSONAL]
    assert [(kind.name, kind.before, kind.after) for kind in found.personal_data.kinds] == [("masked: email", 0, 4)]
    assert found.quarantine
    assert [one.id for one in found.quarantine.new] == ["row-00800"]
    assert (found.leaks.count, found.seen.count, found.moved_count, found.notes) == (0, 0, 0, [])


def test_rows_that_came_in_are_counted_beside_those_that_stayed(found: DataDiff) -> None:
    ingested = found.rows[0]
    assert (ingested.name, ingested.before, ingested.after, ingested.added) == ("ingested", 400, 509, 109)
    assert [split.name for split in found.splits] == ["train", "valid", "test"]
    assert [(r.reason, r.before, r.after) for r in found.left_out] == [
        ("quarantine: letters", 0, 1), ("near_duplicate", 0, 3), ("question_also_in_test", 0, 5),
    ]  # fmt: skip
    assert [(t.split, t.before, t.after) for t in found.tokens] == [("train", 8000, 10000)]


def test_the_same_data_has_no_shift_of_anything(tmp_path: Path) -> None:
    found = diff(BASE, BASE, tmp_path)
    assert {(shift.effect, shift.verdict) for shift in found.shifts if shift.of == "all rows"} == {(0.0, "none")}


def test_the_same_data_gives_the_same_value(found: DataDiff, tmp_path: Path) -> None:
    assert diff(BASE, HEAD, tmp_path) == found


def test_another_balance_of_labels_is_a_large_shift_and_a_few_rows_are_too_few_to_tell(tmp_path: Path) -> None:
    one_label = Data([replace(one, label="roof") if number % 10 else one for number, one in enumerate(BASE.rows)])
    labels = next(shift for shift in diff(BASE, one_label, tmp_path / "a").shifts if shift.name == "label")
    assert labels.verdict == "large"
    assert labels.values[0].name == "roof"
    few = diff(Data(BASE.rows[:30]), Data(one_label.rows[:30]), tmp_path / "b").shifts
    assert {shift.verdict for shift in few} == {"too few rows to tell"}


def shift_of(found: DataDiff, name: str) -> Shift:
    return next(shift for shift in found.shifts if shift.name == name)


def test_values_are_shown_masked_and_none_of_free_text(tmp_path: Path) -> None:
    mailed = Data([replace(one, label="ada@firma.se" if n % 2 else one.label) for n, one in enumerate(BASE.rows)])
    labels = shift_of(diff(BASE, mailed, tmp_path / "a"), "label")
    assert "[EMAIL]" in {value.name for value in labels.values}
    assert "ada" not in str(labels.values)
    for name, label in (("b", "about flat {} of the house"), ("c", "flat " + 30 * "long " + "of desk")):
        told = Data([replace(one, label=label.format(n)) for n, one in enumerate(BASE.rows)])
        shown = shift_of(diff(Data([]), told, tmp_path / name), "label")
        assert (shown.rows, shown.values) == (400, [])


def test_more_values_than_are_compared_are_counted_and_said_not_to_be_computed(tmp_path: Path) -> None:
    many = Data([row(n, label=f"label {n}") for n in range(501)])
    found = diff(BASE, many, tmp_path)
    assert shift_of(found, "label").verdict == "not computed"
    assert (shift_of(found, "label").rows, shift_of(found, "label").effect) == (901, None)
    assert "the shift of label: 505 different values, more than 500" in found.notes


def test_slices_beyond_those_that_are_compared_are_named(tmp_path: Path) -> None:
    def sliced(wrong: str) -> Data:
        return Data([replace(one, slices={f"s{n:02d}": wrong if n == 9 else "x" for n in range(34)})
                     for one in BASE.rows])  # fmt: skip

    found = diff(sliced("x"), sliced("y"), tmp_path)
    assert shift_of(found, "slice s09").verdict == "large"
    assert shift_of(found, "2 more slices").verdict == "not computed"
    assert found.notes == ["slices beyond the first 32 by name: s32, s33"]


def test_longer_and_other_words_are_seen_by_every_measure_of_text(tmp_path: Path) -> None:
    other = Data([replace(one, text=f"kindly advise regarding {one.text} at your convenience") for one in BASE.rows])
    shifts = {shift.name: shift for shift in diff(BASE, other, tmp_path).shifts}
    for name, shift in shifts.items():
        about_text = name.startswith(("words", "length of the question"))
        assert shift.verdict == ("large" if about_text else "none"), name


def test_a_change_of_a_row_is_personal_data_only_where_some_was_found(tmp_path: Path) -> None:
    before = Data(BASE.rows, changes=[("row-00002", ["masked: email"])])
    after = [
        ("row-00000", ["stripped: html", "repaired: encoding"]),
        ("row-00001", ["stripped: html", "found: phone x3"]),
        ("row-00002", ["tagged: email x2"]),
    ]
    met = diff(before, Data(BASE.rows, changes=after), tmp_path).personal_data
    assert met
    assert (met.new_rows, met.ids) == (1, ["row-00001"])
    assert [kind.name for kind in met.kinds] == ["found: phone", "masked: email", "tagged: email"]


def test_a_leak_that_was_not_left_out_names_both_rows(tmp_path: Path) -> None:
    parted = splits(BASE.rows)
    question = f"  {(parted['test'][0].text or '').upper().replace(' ', '  ')} "
    copy = replace(parted["train"][0], text=question)
    changed = Data([copy if one.id == copy.id else one for one in BASE.rows])
    found = diff(BASE, changed, tmp_path)
    assert [(p.id, p.other, p.kind) for p in found.leaks.pairs] == [(parted["test"][0].id, copy.id, "in train")]
    (tmp_path / "again").mkdir()
    assert diff(changed, Data([*changed.rows, row(900)]), tmp_path / "again").leaks.count == 0, "it is not new"


def test_a_new_test_row_that_the_base_was_trained_on_is_found_exactly_and_nearly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever asked for a stage's memory, and not for the comparison's own, would fail.
    monkeypatch.setenv(MEMORY_VARIABLE, "everything")
    parted = splits(BASE.rows)
    exact, near = parted["test"][0], parted["test"][1]
    long = " ".join(f"word{n}" for n in range(40))
    trained = [replace(parted["train"][0], text=f"{long} end"), parted["train"][1]]
    before = [{trained[0].id: trained[0]}.get(one.id, one) for one in BASE.rows]
    tested = {
        exact.id: replace(exact, text=parted["train"][1].text),
        near.id: replace(near, text=f"{long} start"),
    }
    gone = {one.id for one in trained}
    after = [tested.get(one.id, one) for one in before if one.id not in gone]
    found = diff(Data(before), Data(after), tmp_path)
    pairs = {p.id: p for p in found.seen.pairs}
    assert set(pairs) == {exact.id, near.id}
    assert (pairs[exact.id].other, pairs[exact.id].similarity) == (trained[1].id, 1.0)
    assert pairs[near.id].other == trained[0].id
    assert 0.9 <= (pairs[near.id].similarity or 0) < 1
    assert found.leaks.count == 0


def test_questions_of_other_signs_are_others_and_empty_ones_equal_nothing(tmp_path: Path) -> None:
    parted = splits(BASE.rows)
    asked = [("What is C++?", "What is C#?"), ("\U0001f600", "\U0001f680"), ("की", "का"), (" ", "\t"),
             ("\uff21 flat", "a  FLAT")]  # fmt: skip
    texts = {
        parted[name][n].id: pair[side] for n, pair in enumerate(asked) for side, name in ((0, "test"), (1, "train"))
    }
    found = diff(Data([]), Data([replace(one, text=texts.get(one.id, one.text)) for one in BASE.rows]), tmp_path)
    assert [(p.id, p.other) for p in found.leaks.pairs] == [(parted["test"][4].id, parted["train"][4].id)]


def test_new_rows_without_a_question_were_not_trained_on(tmp_path: Path) -> None:
    parted = splits(BASE.rows)
    blank = {parted["train"][0].id: " ", parted["test"][0].id: "", parted["test"][1].id: "\n"}
    before, after = (
        Data([replace(one, text=blank[one.id]) if one.id in texts else one for one in BASE.rows])
        for texts in ([parted["train"][0].id], blank)
    )
    assert diff(before, after, tmp_path).seen.count == 0


def test_what_an_older_base_does_not_have_is_said(tmp_path: Path) -> None:
    base, head = side(BASE, tmp_path / "base"), side(HEAD, tmp_path / "head")
    for name in ("dropped", "changes"):
        (tmp_path / f"base/prepared/{name}.parquet").unlink()
    found = compare(base, head, tmp_path / "work")
    assert "the base's data/prepared has no dropped.parquet, changes.parquet" in found.notes[0]
    assert found.duplicates.count == 3


def test_without_a_base_everything_is_new(tmp_path: Path) -> None:
    found = compare(NOTHING, side(BASE, tmp_path / "head"), tmp_path / "work", first=True)
    assert (found.base, found.total("added"), found.total("before")) == (None, 400, 0)
    assert {shift.verdict for shift in found.shifts} == {"too few rows to tell"}
    assert found.sources[0].change == "added"


def test_a_side_without_any_rows_is_no_crash(tmp_path: Path) -> None:
    found = compare(side(BASE, tmp_path / "base"), NOTHING, tmp_path / "work")
    assert found.total("removed") == 400
    assert "the head locks no data/ingested" in found.notes[0]


def test_conversations_are_compared_too(tmp_path: Path) -> None:
    def chat(number: int, answer: str) -> Left | object:
        said = ({"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": answer})
        return row(number, text=None, label=None, messages=said)

    before = Data([chat(n, "Go to the roof.") for n in range(60)])  # type: ignore[misc]
    after = Data([chat(n, "Go to the cellar.") for n in range(60)])  # type: ignore[misc]
    found = diff(before, after, tmp_path)
    assert found.total("edited") == 60
    edit = found.edited[0].fields[0]
    assert edit.field == "answer"
    assert [(w.side, w.text) for w in edit.words if w.side != "both"] == [("before", "roof"), ("after", "cellar")]


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

    def chat(number: int, asked: str) -> Row:
        said = (prompt, {"role": "user", "content": asked}, {"role": "assistant", "content": f"desk {number}"})
        return row(number, text=None, label=None, messages=said)

    def asked(number: int) -> str:
        return " ".join(f"w{number}x{word}" for word in range(5))

    rows = [chat(n, asked(n)) for n in range(0, 80, 2)]
    before = prepared(rows, tmp_path / "base")
    repeated = read_parquet(tmp_path / "base/prepared/train.parquet").to_pylist()[0]
    tested = {one["group"] for one in read_parquet(tmp_path / "base/prepared/test.parquet").to_pylist()}
    new = [replace(chat(n, asked(n)), group=sorted(tested)[0]) for n in range(100, 110)]
    copy = replace(chat(200, repeated["messages"][1]["content"].upper()), group=sorted(tested)[0])
    kept = [one for one in rows if one.id != repeated["id"]]
    found = compare(before, prepared([*kept, *new, copy], tmp_path / "head"), tmp_path / "work")
    assert (found.total("added"), found.leaks_left_out.count, found.leaks.count) == (11, 0, 0)
    assert [(p.id, p.other) for p in found.seen.pairs] == [(copy.id, repeated["id"])]


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
    found = compare(before, prepared(after, tmp_path / "head"), tmp_path / "work")
    assert [found.total(what) for what in ("added", "removed", "edited")] == [100, 0, 10]
    assert [(p.id, p.other) for p in found.leaks_left_out.pairs] == [
        (leak.id, one["id"]) for leak, one in zip(leaks, kept["test"], strict=False)
    ]
    assert [(p.id, p.other) for p in found.duplicates.pairs] == [
        (copy.id, one["id"]) for copy, one in zip(copies, kept["train"][20:], strict=False)
    ]
    assert found.personal_data
    assert found.personal_data.ids == [one.id for one in personal]
    assert (found.leaks.count, found.seen.count) == (0, 0)


def test_rejected_answers_are_compared_and_an_older_base_has_none(tmp_path: Path) -> None:
    def preferring(number: int, other: str) -> Row:
        return row(number, rejected=f"{other} of house {number}")

    old, new = (Data([preferring(n, other) for n in range(60)]) for other in ("the cellar", "a long way up the roof"))
    found = diff(old, new, tmp_path / "a")
    assert (found.total("edited"), {edit.field for one in found.edited for edit in one.fields}) == (60, {"rejected"})
    assert shift_of(found, "length of the rejected answer, characters").verdict == "large"
    assert shift_of(found, "words, by frequency").verdict != "none"
    added = diff(Data(old.rows[:59]), old, tmp_path / "b").added[0]
    assert (added.answer, added.rejected) == ("water", "the cellar of house 59")

    base, head = side(Data([row(n) for n in range(60)]), tmp_path / "c/base"), side(new, tmp_path / "c/head")
    for path in (tmp_path / "c/base").rglob("*.parquet"):
        table = read_parquet(path)
        if "rejected" in table.column_names:
            write_parquet(path, table.drop_columns(["rejected"]))
    assert compare(base, head, tmp_path / "c/work").total("edited") == 60
    same = compare(base, side(Data([row(n) for n in range(60)]), tmp_path / "c/same"), tmp_path / "c/more")
    assert (same.rows[0].edited, same.total("edited")) == (0, 0)


def test_raw_text_is_compared_and_a_label_that_comes_is_an_edit(tmp_path: Path) -> None:
    raw, labelled = Data([row(n, label=None) for n in range(60)]), Data([row(n) for n in range(60)])
    assert diff(raw, raw, tmp_path / "a").total("edited") == 0
    found = diff(raw, labelled, tmp_path / "b")
    assert found.total("edited") == 60
    assert {edit.field for one in found.edited for edit in one.fields} == {"answer"}
