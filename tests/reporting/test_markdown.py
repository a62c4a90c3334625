import re

import pytest

from tunegate.reporting.markdown import code, escape, prose, prose_html

GAP = "\N{ZERO WIDTH SPACE}"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a | b", "a \\| b"),
        ("*b* _i_ `c` ~ s", "\\*b\\* \\_i\\_ \\`c\\` \\~ s"),
        ("[l](u)", "\\[l\\](u)"),
        ("one\n\n## two\r\nthree", "one ## two three"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("back\\slash", "back\\\\slash"),
        ("plain text, 5 % of it: so what?", "plain text, 5 % of it: so what?"),
    ],
)
def test_marks_are_escaped_and_lines_joined(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@pytest.mark.parametrize(
    "text", ["@everyone", "a@b.example", "#12", "owner/name#12", "!7", "$3", "&4", "~label", "%5", ":+1:"]
)
def test_nobody_is_called_and_nothing_is_referred_to(text: str) -> None:
    assert re.search(rf"[@#!$&~%:](?:amp;)?{GAP}", escape(text).replace("\\", ""))


@pytest.mark.parametrize("text", ["http://x.example", "https://x.example", "ftp://x", "www.x.example", "WWW.x.example"])
def test_an_address_does_not_become_a_link(text: str) -> None:
    assert not re.search(r"\w://\w|www\.\w", escape(text), re.IGNORECASE)
    assert escape(text).replace(GAP, "") == text


def test_marks_that_turn_the_direction_of_text_are_shown_as_foreign() -> None:
    assert escape("abc\u202edef\u2066") == "abc\N{REPLACEMENT CHARACTER}def\N{REPLACEMENT CHARACTER}"


def test_code_outlasts_backticks_and_a_pipe_is_not_code() -> None:
    assert (code("params.yaml"), code("a`b``c"), code("")) == ("`params.yaml`", "``` a`b``c ```", "`  `")
    assert code("a|b\\|c") == "a\\|b\\\\\\|c"


def test_a_command_in_a_sentence_stays_code_and_nothing_else_does() -> None:
    text = "run `tunegate noise --seeds 3`, not `evil | x`, said <b>"
    assert prose(text) == "run `tunegate noise --seeds 3`, not \\`evil \\| x\\`, said &lt;b&gt;"
    assert prose_html(text) == "run <code>tunegate noise --seeds 3</code>, not `evil | x`, said &lt;b&gt;"
