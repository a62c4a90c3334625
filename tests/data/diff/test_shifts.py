from dataclasses import replace
from pathlib import Path

from data_change import BASE, Data, compared, row

from tunegate.data.diff.result import Count, Length, Shift
from tunegate.data.diff.shifts import DELTA, MOST_SLICES, MOST_VALUES, W, effect_fields, shifts
from tunegate.statistics.effect_sizes import UNKNOWN, Effect

LABELS = Data([replace(one, label="roof") if number % 10 else one for number, one in enumerate(BASE.rows)])


def found(folder: Path, before: Data, after: Data) -> tuple[dict[str, Shift], list[str]]:
    with compared(folder, before, after) as (connection, *_):
        every, notes = shifts(connection)
    return {shift.name: shift for shift in every}, notes


def test_another_balance_of_labels_is_a_large_shift_of_labels_alone(tmp_path: Path) -> None:
    by_name, notes = found(tmp_path, BASE, LABELS)
    labels = by_name.pop("label")
    assert (labels.verdict, labels.rows, labels.measure, (labels.small, labels.large)) == ("large", 800, "Cohen's w", W)
    assert labels.values[0] == Count(name="roof", before=100, after=380)
    assert {shift.verdict for shift in by_name.values()} == {"none"}
    assert notes == []


def test_few_rows_are_too_few_to_tell(tmp_path: Path) -> None:
    by_name, _ = found(tmp_path, Data(BASE.rows[:30]), Data(LABELS.rows[:30]))
    assert {shift.verdict for shift in by_name.values()} == {"too few rows to tell"}


def test_values_are_shown_masked_and_none_of_free_text(tmp_path: Path) -> None:
    mailed = Data([replace(one, label="ada@firma.se" if n % 2 else one.label) for n, one in enumerate(BASE.rows)])
    labels = found(tmp_path / "a", BASE, mailed)[0]["label"]
    assert "[EMAIL]" in {value.name for value in labels.values}
    assert "ada" not in str(labels.values)
    for name, label in (("b", "about flat {} of the house"), ("c", "flat " + 30 * "long " + "of desk")):
        free = Data([replace(one, label=label.format(n)) for n, one in enumerate(BASE.rows)])
        shown = found(tmp_path / name, Data([]), free)[0]["label"]
        assert (shown.rows, shown.values) == (400, [])


def test_a_column_with_too_many_values_is_reported_as_not_computed(tmp_path: Path) -> None:
    many = Data([row(n, label=f"label {n}") for n in range(MOST_VALUES + 1)])
    by_name, notes = found(tmp_path, BASE, many)
    assert (by_name["label"].verdict, by_name["label"].rows, by_name["label"].effect) == ("not computed", 901, None)
    assert len(notes) == 1
    assert "label: 505 different values" in notes[0]


def test_slices_beyond_those_that_are_compared_are_named(tmp_path: Path) -> None:
    def sliced(odd: str) -> Data:
        return Data([replace(one, slices={f"s{n:02d}": odd if n == 9 else "x" for n in range(MOST_SLICES + 2)})
                     for one in BASE.rows])  # fmt: skip

    by_name, notes = found(tmp_path, sliced("x"), sliced("y"))
    assert (by_name["slice s09"].verdict, by_name["2 more slices"].verdict) == ("large", "not computed")
    assert len([name for name in by_name if name.startswith("slice ")]) == MOST_SLICES
    assert [note.endswith("s32, s33") for note in notes] == [True]


def test_a_slice_whose_name_is_a_quotation_mark_is_only_a_name(tmp_path: Path) -> None:
    data = Data([replace(one, slices={"it's": "x"}) for one in BASE.rows])
    assert found(tmp_path, data, data)[0]["slice it's"].verdict == "none"


def test_longer_questions_are_a_shift_with_their_median_and_tail(tmp_path: Path) -> None:
    before = Data([row(n, "x" * (10 + n % 10)) for n in range(200)])
    after = Data([row(n, "x" * (30 + n % 10)) for n in range(200)])
    by_name, _ = found(tmp_path, before, after)
    question = by_name["length of the question, characters"]
    assert (question.verdict, question.effect, question.measure) == ("large", 1.0, "Cliff's delta")
    assert question.length == Length(median=(14, 34), p95=(19, 39))
    assert "length of the answer, characters" not in by_name, "a label is not an answer"


def test_the_fields_of_a_shift_are_those_of_its_effect() -> None:
    assert effect_fields(Effect(0.2, 0.15, 0.25), DELTA) == {
        "effect": 0.2, "low": 0.15, "high": 0.25, "small": 0.147, "large": 0.33, "verdict": "small",
    }  # fmt: skip
    assert effect_fields(UNKNOWN, W)["verdict"] == "too few rows to tell"
