import pytest

from tunegate.models.augmentation.perturbations import (
    generator,
    in_template,
    mistyped,
    with_deleted_words,
    with_swapped_words,
)

TEXT = "the  roof leaks\nabove room 12, badly"


def test_letters_are_mistyped_and_digits_and_spaces_are_not() -> None:
    for number in range(30):
        changed = mistyped(TEXT, 0.1, generator("row", str(number)))
        assert changed != TEXT
        assert abs(len(changed) - len(TEXT)) <= 3
        assert [sign for sign in changed if not sign.isalpha()] == [sign for sign in TEXT if not sign.isalpha()]


def test_words_are_swapped_and_none_is_lost() -> None:
    for number in range(20):
        changed = with_swapped_words(TEXT, 0.1, generator("row", str(number)))
        assert changed != TEXT
        assert sorted(changed.split()) == sorted(TEXT.split())
        assert [sign for sign in changed if sign.isspace()] == [sign for sign in TEXT if sign.isspace()]


@pytest.mark.parametrize(("share", "left"), [(0.1, 6), (0.5, 3), (1.0, 1)])
def test_a_share_of_the_words_is_deleted_and_never_all(share: float, left: int) -> None:
    changed = with_deleted_words(TEXT, share, generator("row"))
    words = TEXT.split()
    assert len(changed.split()) == left
    assert [word for word in words if word in changed.split()] == changed.split()


@pytest.mark.parametrize("text", ["", " ", "12", "!"])
def test_a_text_with_nothing_to_change_stays_as_it_is(text: str) -> None:
    for change in (mistyped, with_swapped_words, with_deleted_words):
        assert change(text, 0.5, generator("row")) == text


def test_a_row_s_copies_stand_in_other_templates_until_there_are_none() -> None:
    templates = ["Hi, {text}", "{text}!", "Q: {text} {x}"]
    changed = [in_template("a{text}", templates, number, generator("row")) for number in range(4)]
    assert sorted(changed[:3]) == ["Hi, a{text}", "Q: a{text} {x}", "a{text}!"]
    assert changed[3] == changed[0]


def test_what_is_random_depends_on_the_names_alone() -> None:
    assert mistyped(TEXT, 0.3, generator("a", "1")) == mistyped(TEXT, 0.3, generator("a", "1"))
    assert mistyped(TEXT, 0.3, generator("a", "1")) != mistyped(TEXT, 0.3, generator("a", "2"))
    assert generator("a", "b").integers(1 << 30) != generator("ab").integers(1 << 30)
