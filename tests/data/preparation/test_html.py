import pytest

from tunegate.data.preparation.html import strip_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hi <b>there</b></p>", "Hi there"),
        ("a &amp; b &lt; c &#228;", "a & b < c ä"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("one<br><br/>two", "one\n\ntwo"),
        ("seen<script>alert('x')</script><style>p {}</style><!-- note -->", "seen"),
        ("<head><title>t</title></head><body>seen</body>", "seen"),
        ("before <script>never closed", "before never closed"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("one<hr>two</p>three", "one\ntwo\nthree"),
        ("a<template>b<template>c</template>d</template>e", "ae"),
    ],
)
def test_html_goes_and_what_a_reader_sees_stays(html: str, text: str) -> None:
    assert strip_html(html) == text


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "if a <b then c", "a <!-- b", "I <3 it", "R&D, 3 & 4", " two\n\n\n lines "]
)
def test_what_is_not_html_stays_as_it_is(text: str) -> None:
    assert strip_html(text) == text


def test_what_follows_a_tag_that_nothing_closes_is_kept() -> None:
    assert strip_html("In C++ I wrote vector<template> and then <b>more</b>") == "In C++ I wrote vector and then more"
    assert strip_html("<script>alert(1)</script>Seen") == "Seen"
    assert strip_html("one <head> two <script>alert(1)</script> <p>three</p> four") == "one  two  \nthree\n four"
    assert strip_html("a <script> b <style>gone</style> <i>c</i> <script> d") == "a  b  c  d"
