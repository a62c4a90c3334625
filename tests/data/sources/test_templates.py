import datetime
import decimal

import pytest

from tunegate.data.sources.templates import as_language, as_text, check_regex, check_template, columns_of

STOCKHOLM = datetime.timezone(datetime.timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (7, "7"),
        (0.5, "0.5"),
        (True, "true"),
        (decimal.Decimal("1E+2"), "100"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 0, 30, tzinfo=STOCKHOLM), "2026-01-01T23:30:00Z"),
        (None, None),
        ("", None),
        (float("nan"), None),
    ],
)
def test_a_cell_becomes_a_text_and_a_time_is_in_utc(value: object, text: str | None) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["a"], r"must hold a text or a number \(got list\)"),
        (b"a", r"must hold a text or a number \(got bytes\)"),
        (datetime.datetime(2026, 1, 2), r"holds a time without a time zone \(got 2026-01-02 00:00:00\)"),
    ],
)
def test_a_cell_that_is_no_text_is_refused_with_what_it_is(value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        as_text(value)


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [
        ("SV", "sv"),
        ("sv_se", "sv-SE"),
        ("zh-HANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("English", None),
        ("", None),
    ],
)
def test_a_language_tag_has_one_form(tag: str, canonical: str | None) -> None:
    assert as_language(tag) == canonical


def test_a_template_names_its_columns() -> None:
    assert columns_of("{a}-{b} {{c}}") == ["a", "b"]


@pytest.mark.parametrize("template", ["", " ", "{", "}", "{}", "{a:>5}", "{a!r}"])
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        check_template(template)


@pytest.mark.parametrize("pattern", ["(", "desk", "(a)(b)"])
def test_a_regex_without_its_one_group_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        check_regex(pattern)


def test_a_regex_that_one_row_could_keep_busy_for_hours_is_refused() -> None:
    assert check_regex("^/desks/((?:[a-z]+/)+)$")
    with pytest.raises(ValueError, match="repeats nothing that repeats already"):
        check_regex("^((?:a+)+)$")
