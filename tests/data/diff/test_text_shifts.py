from dataclasses import replace
from pathlib import Path

import pytest
from data_change import BASE, Data, compared, row

from tunegate.data.diff.result import Count, Shift
from tunegate.data.diff.text_shifts import text_shifts


def found(folder: Path, before: Data, after: Data) -> list[Shift]:
    with compared(folder, before, after) as (connection, *_):
        return text_shifts(connection)


def test_other_words_in_every_row_are_a_large_shift_by_every_measure(tmp_path: Path) -> None:
    other = Data([replace(one, text=f"kindly advise regarding {one.text} at your convenience") for one in BASE.rows])
    frequency, classifier, new = found(tmp_path, BASE, other)
    assert {shift.verdict for shift in (frequency, classifier, new)} == {"large"}
    assert [shift.of for shift in (frequency, classifier, new)] == ["all rows", "all rows", "new rows"]
    assert (frequency.rows, classifier.rows, new.rows) == (800, 800, 800)
    assert Count(name="kindly", before=0, after=400) in frequency.values


def test_the_same_rows_are_no_shift_and_have_no_new_rows(tmp_path: Path) -> None:
    frequency, classifier, new = found(tmp_path, BASE, BASE)
    assert (frequency.effect, frequency.values, classifier.verdict) == (0.0, [], "none")
    assert (new.verdict, new.rows) == ("too few rows to tell", 400)


def test_a_few_unlike_rows_are_seen_among_the_new_ones_only(tmp_path: Path) -> None:
    unlike = [row(n, f"lorem ipsum dolor sit amet {n}") for n in range(500, 560)]
    _, classifier, new = found(tmp_path, BASE, Data([*BASE.rows, *unlike]))
    assert (classifier.verdict, new.verdict) != ("large", "none")
    assert new.effect is not None
    assert classifier.effect is not None
    assert new.effect > classifier.effect + 0.3


def test_words_are_shown_only_if_they_are_letters_in_many_rows(tmp_path: Path) -> None:
    after = [
        replace(one, text=f"{one.text} number 4711 {'secretname' if n < 4 else ''}") for n, one in enumerate(BASE.rows)
    ]
    shown = {value.name for value in found(tmp_path, BASE, Data(after))[0].values}
    assert "number" in shown
    assert not {"4711", "secretname"} & shown


@pytest.mark.parametrize("empty_side", [0, 1])
def test_a_side_without_rows_has_no_words_to_compare(tmp_path: Path, empty_side: int) -> None:
    sides = [Data([]), BASE] if empty_side == 0 else [BASE, Data([])]
    assert found(tmp_path, *sides) == []
