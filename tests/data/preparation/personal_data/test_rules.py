import re
from types import ModuleType
from typing import Any

import pytest

from tunegate.data.preparation import secrets
from tunegate.data.preparation.personal_data import phones, rules
from tunegate.data.preparation.personal_data.rules import find

REGIONS = ("SE", "GB", "US")


def kinds(text: str) -> list[str]:
    return [span.kind for span in find(text, REGIONS)]


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        ("SE45 5000 0000 0583 9825 7466", "SE46 5000 0000 0583 9825 7466", "iban"),
        ("4539 1488 0343 6467", "4539 1488 0343 6468", "credit_card"),
        ("811228-9874", "811228-9875", "national_id"),
        ("701063-2391", "701099-2399", "national_id"),
        ("219-09-9999", "000-09-9999", "national_id"),
        ("AB 123456 C", "QQ 123456 C", "national_id"),
        ("81.2.69.142", "81.2.69.256", "ip_address"),
    ],
    ids=["iban", "card", "personnummer", "coordination", "ssn", "nino", "address"],
)
def test_a_number_counts_only_when_its_check_digits_or_parts_are_right(right: str, wrong: str, kind: str) -> None:
    assert kinds(f"see {right} there") == [kind]
    assert kind not in kinds(f"see {wrong} there")


def test_what_is_reserved_for_documents_fiction_and_tests_is_nobodys() -> None:
    for text in ("a@example.com", "a@mail.example.org", "a@host.test", "212-555-0143", "+46 70 174 06 05"):
        assert not find(f"write to {text} now", REGIONS), text
    for text in ("4242 4242 4242 4242", "192.0.2.7", "10.1.2.3", "2001:db8::1", "ZZ32 5000 0000 0583 9825 7466"):
        assert not find(f"write to {text} now", REGIONS), text


def test_ten_digits_are_a_person_only_after_a_word_that_says_so() -> None:
    assert kinds("personnummer 8112289874") == ["national_id"]
    assert kinds("artikel 8112289874") == []


def test_four_numbers_after_the_word_version_are_no_address() -> None:
    assert kinds("from 10.2.30.4 to version 81.2.69.142") == []
    assert kinds("server 8.8.4.4") == ["ip_address"]
    assert kinds("as in step 8.8.4.4") == []


def test_spans_say_where_and_never_overlap() -> None:
    text = "IBAN SE45 5000 0000 0583 9825 7466, call 070-123 45 67"
    spans = find(text, REGIONS)
    assert [text[span.start : span.end] for span in spans] == ["SE45 5000 0000 0583 9825 7466", "070-123 45 67"]
    assert spans[0].end <= spans[1].start


def test_nothing_is_found_inside_of_what_a_value_was_replaced_by() -> None:
    assert kinds("call [PHONE_12345678] or [EMAIL]") == []
    assert kinds("call [PHONE_12345678] or 070-123 45 67") == ["phone"]


@pytest.mark.parametrize("module", [rules, phones, secrets], ids=lambda module: module.__name__)
def test_no_pattern_that_searches_a_text_repeats_without_bound(module: ModuleType) -> None:
    """What repeats without bound can start anywhere and end anywhere: a long line would take the square of its time."""
    on_short_texts = ("_CODE", "_PLACEHOLDER", "_GROUP")  # a value or a number that was found before
    patterns = {name: value for name, value in vars(module).items() if isinstance(value, re.Pattern)}
    assert len(patterns) >= 6
    for name, pattern in patterns.items():
        assert name in on_short_texts or not unbounded(re._parser.parse(pattern.pattern, pattern.flags)), name


def unbounded(node: Any) -> bool:
    """Whether a pattern, parsed, has a repetition without an upper bound."""
    if isinstance(node, tuple) and len(node) == 3 and node[1] is re._constants.MAXREPEAT:
        return True
    return isinstance(node, tuple | list | re._parser.SubPattern) and any(unbounded(part) for part in node)


def test_a_pattern_without_bound_is_told() -> None:
    assert unbounded(re._parser.parse(r"a(?:b|[cd]+)")) and not unbounded(re._parser.parse(r"a(?:b|[c+]{1,9})?"))
