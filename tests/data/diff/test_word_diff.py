import pytest

from tunegate.data.diff.word_diff import cut_words, word_diff


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


def test_a_change_in_a_text_of_any_length_is_that_change_alone() -> None:
    long = "word and " * 5000
    found = word_diff(f"{long}desk {long}", f"{long}roof {long}")
    assert [(part.side, part.text) for part in found if part.side != "both"] == [("before", "desk"), ("after", "roof")]


def test_what_is_cut_keeps_the_changes_and_their_neighbours() -> None:
    long = "".join(f"w{n} " for n in range(1000))
    found = cut_words(word_diff(f"{long}desk {long}old", f"{long}roof {long}new"), 200)
    assert [part.text for part in found if part.side != "both"] == ["desk", "roof", "old", "new"]
    assert [part.text.count("…") for part in found if part.side == "both"] == [1, 1]
    assert max(len(part.text) for part in found) <= 161
    many = cut_words(word_diff("a b " * 150, "a c " * 150), 200)
    assert sum(len(part.text) for part in many) < 500
    assert many[-1].text == "…"
