from collections.abc import Callable
from pathlib import Path

import pytest

from tunegate.data.checks import profile as profile_module
from tunegate.data.checks.profile import profile_of
from tunegate.data.rows import Row
from tunegate.errors import InputError

Make = Callable[..., Row]
Store = Callable[[list[Row]], Path]


@pytest.fixture
def path(row: Make, stored: Store) -> Path:
    talk = ({"role": "user", "content": "Hå?"}, {"role": "assistant", "content": "yes"}) * 2
    return stored(
        [
            row("1", text="aa", label="x", slices={"language": "sv"}),
            row("2", text="aa", label="x"),
            row("3", text="aa", label="y", slices={"language": "en"}),
            row("4", text="x", label="aa", source="t"),
            row("5", text=None, label=None, messages=talk, source="t"),
        ]
    )


def test_rows_are_counted_by_what_they_are_like(path: Path) -> None:
    found = profile_of(path)
    assert (found.rows, found.talks, found.turns, found.repeated) == (5, 1, 2, 2)
    assert [found.lengths["text"].at(share) for share in (0, 0.5, 1)] == [1, 2, 3]
    assert found.values == {"label": {"x": 2, "y": 1, "aa": 1}, "slices.language": {"sv": 1, "en": 1}}
    assert found.count("label") == 4


def test_the_rows_of_one_source_are_looked_at_alone(path: Path) -> None:
    found = profile_of(path, "t")
    assert (found.rows, found.talks, found.repeated) == (2, 1, 0)
    assert found.values == {"label": {"aa": 1}, "slices.language": {}}


def test_a_column_of_many_values_is_no_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_module, "MANY_VALUES", 2)
    assert profile_of(path).values["label"] is None


def test_a_source_that_is_not_there_is_named_with_those_that_are(path: Path) -> None:
    with pytest.raises(InputError) as caught:
        profile_of(path, "S2")
    assert caught.value.problem == "no rows of source 'S2'; did you mean 's'?"
    assert caught.value.remedy == "the sources are s, t"


def test_texts_that_rows_lack_have_no_length_and_rows_that_reject_something_else_repeat_nothing(
    row: Make, stored: Store
) -> None:
    rows = [row("1", text="aa", label=None), row("2", text="aa", label=None), row("3", text="aa")]
    rows += [row("4", text="aa", rejected="yy"), row("5", text="aa", rejected="z")]
    found = profile_of(stored(rows))
    assert {name: len(lengths) for name, lengths in found.lengths.items()} == {"text": 5, "answer": 3, "rejected": 2}
    assert [found.lengths["rejected"].at(share) for share in (0, 1)] == [1, 2]
    assert found.repeated == 2
