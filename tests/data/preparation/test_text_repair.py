from collections.abc import Callable

import pytest

from tunegate.data.preparation.text_repair import comparable, repair_row, repair_text
from tunegate.data.rows import Row


@pytest.mark.parametrize(
    ("broken", "mended", "repairs"),
    [
        ("Vad Ã¤r bygglov?", "Vad är bygglov?", ["encoding"]),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd", ["line_ends"]),
        ("a\x00b\x1b[31mc\u200bd\ufeff", "abcd", ["control_characters"]),
        ("a\u030a", "å", ["unicode_form"]),
        ("  a\u00a0b \n c\t\n", "a b\n c", ["white_space"]),
        ("\ufeff Ã¤ \r\n", "ä", ["encoding", "line_ends", "control_characters", "white_space"]),
    ],
)
def test_damage_is_mended_and_named(broken: str, mended: str, repairs: list[str]) -> None:
    assert repair_text(broken) == (mended, repairs)


@pytest.mark.parametrize(
    "sound",
    [
        "Vad är bygglov?",
        "“quoted” it's ﬁne",
        "a  b",
        "if x:\n    y\n\n\tz",
        "👩\u200d🔧",
        "\u0645\u06cc\u200c\u062e",
        "&amp; <b>",
        "½ ² Ⅳ",
    ],
)
def test_what_is_no_damage_stays(sound: str) -> None:
    assert repair_text(sound) == (sound, [])


@pytest.mark.parametrize("text", ["Ã¤\x00 \r\n", "a\u030a\u00a0", "\u200b \u200b", "ÃƒÂ¤"])
def test_repairing_twice_changes_nothing_more(text: str) -> None:
    assert repair_text(repair_text(text)[0])[1] == []


def test_a_row_is_mended_in_text_label_and_messages(row: Callable[..., Row]) -> None:
    mended, repairs = repair_row(row("1", text="Ã¤?", label=" x "))
    assert (mended.text, mended.label, repairs) == ("ä?", "x", ["encoding", "white_space"])
    messages = ({"role": "user", "content": " a?"}, {"role": "assistant", "content": "b "})
    mended, repairs = repair_row(row("1", text=None, label=None, messages=messages))
    assert mended.messages is not None
    assert [message["content"] for message in mended.messages] == ["a?", "b"]
    assert repairs == ["white_space"]


def test_texts_are_compared_without_case_width_and_white_space() -> None:
    assert comparable(" \uff37hat\n IS  ﬁt? ") == comparable("what is fit?")
    assert comparable("a?") != comparable("a!")


def test_a_control_character_inside_of_a_broken_encoding_hides_nothing() -> None:
    text, done = repair_text("v\u00c3\x00\u00a4rme")
    assert (text, sorted(done)) == ("värme", ["control_characters", "encoding"])
    assert repair_text(text) == (text, [])
