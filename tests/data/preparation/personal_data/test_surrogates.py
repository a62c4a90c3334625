import re

import pytest

from tunegate.data.preparation.personal_data.rules import Span, find, iban_remainder
from tunegate.data.preparation.personal_data.surrogates import INVENTED, surrogate

KEY = b"k" * 40
WRITTEN = {
    "email": "anna{n}@firm.se",
    "phone": "call +46 70 123 {n:02d} 67",
    "ip_address": "81.2.69.{n}",
    "national_id": "219-09-{n:04d}",
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_surrogate_is_nobodys_and_so_not_found_again(kind: str) -> None:
    for number in range(10, 90):
        text = WRITTEN[kind].format(n=number)
        (span,) = find(text)
        assert span.kind == kind
        made = surrogate(span, text[span.start : span.end], KEY)
        assert not find(f"call, log in as or write to {made} now"), made


def test_an_international_number_stays_one_and_a_national_one_stays_one() -> None:
    span = Span(0, 1, "phone", "+46 701234567")
    assert surrogate(span, "+46 70 123 45 67", KEY).startswith("+46 ")
    assert surrogate(span, "070-123 45 67", KEY).startswith("0")
    assert surrogate(Span(0, 1, "phone", "+49 30901820"), "+49 30 901820", KEY).startswith("+1 ")


def test_area_codes_are_none_of_the_short_numbers() -> None:
    made = {surrogate(Span(0, 1, "phone", f"+1 {n}"), "2", KEY) for n in range(3000)}
    assert all(re.fullmatch(r"[2-9][0-8]\d-555-01\d\d", number) and number[1:3] != "11" for number in made)
    assert len(made) > 2900


def test_numbers_keep_their_shape_and_right_check_digits_under_a_country_that_is_none() -> None:
    (span,) = find("SE45 5000 0000 0583 9825 7466")
    made = surrogate(span, "SE45 5000 0000 0583 9825 7466", KEY)
    assert re.fullmatch(r"ZZ\d\d( \d{4}){5}", made)
    assert iban_remainder(made.replace(" ", "")) == 1
    (span,) = find("4539-1488-0343-6467")
    assert re.fullmatch(r"9999(-\d{4}){3}", surrogate(span, "4539-1488-0343-6467", KEY))
    (span,) = find("19811228-9874")
    assert re.fullmatch(r"19\d\d1[3-9]\d\d-\d{4}", surrogate(span, "19811228-9874", KEY))
    (span,) = find("AB 12 34 56 C")
    assert re.fullmatch(r"QQ \d\d \d\d \d\d [A-D]", surrogate(span, "AB 12 34 56 C", KEY))


def test_an_invented_name_is_told_from_real_ones() -> None:
    for kind, name, words in (("person", "john peterson", 2), ("person", "john", 1), ("organization", "acme inc", 1)):
        made = surrogate(Span(0, 1, kind, name), name, KEY).split()
        assert len(made) == words
        assert all(INVENTED.fullmatch(word) for word in made)
    assert not INVENTED.search("John Peterson of Norfolk, Calvin, Selda and Felix")
