import pytest

from tunegate.data.comparison.words import word_diff


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("the roof leaks", "the old roof leaks!"),
        ("", "new"),
        ("gone", ""),
        ("a\n b", "a b"),
        ("x " * 5000, "y " * 5000),
    ],
)
def test_the_runs_of_a_side_joined_are_its_text(before: str, after: str) -> None:
    found = word_diff(before, after)
    assert "".join(part.text for part in found if part.side != "after") == before
    assert "".join(part.text for part in found if part.side != "before") == after


def test_only_what_changed_is_told_apart() -> None:
    found = [(part.side, part.text) for part in word_diff("call the desk today", "call the roof desk tomorrow")]
    assert [text for side, text in found if side == "before"] == ["today"]
    assert "".join(text for side, text in found if side == "after").split() == ["roof", "tomorrow"]
