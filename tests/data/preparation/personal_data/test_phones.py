import pytest

from tunegate.data.preparation.personal_data.phones import phones_in

REGIONS = ("SE", "GB", "US")


def found(text: str, *regions: str) -> list[str]:
    return [phone.number for phone in phones_in(text, regions or REGIONS)]


@pytest.mark.parametrize(
    "text", ["070-123 45 67", "0701234567", "+46701234567", "+46 (0)70-123 45 67", "0046 70 123 45 67", "(070) 1234567"]
)
def test_all_writings_of_a_number_have_one_form(text: str) -> None:
    assert found(f"Hej {text}, tack") == ["+46701234567"]


def test_a_short_neighbour_is_not_part_of_a_number() -> None:
    text = "rum 12 070-123 45 67 2 gånger"
    assert [text[phone.start : phone.end] for phone in phones_in(text, REGIONS)] == ["070-123 45 67"]


def test_digits_without_a_form_count_only_after_a_word_that_announces_them() -> None:
    assert found("Call 12345678.", "US") == ["12345678"]
    assert found("We laid 12345678.") == []


def test_the_nearer_word_decides() -> None:
    assert found("Call about order 0701234567") == []
    assert found("About the order call 0701234567") == ["+46701234567"]


def test_a_word_of_the_sentence_before_says_nothing() -> None:
    assert found("Please call us. It weighs 12345678 in all") == []


@pytest.mark.parametrize("text", ["070 120 000 kr", "call 2024-05-01", "call 12 05 2025", "+15 000 000", "01-02-2024"])
def test_amounts_and_dates_are_no_numbers(text: str) -> None:
    assert found(text) == []


def test_a_country_has_numbers_of_its_own_length() -> None:
    assert found("+1 212 736 5000") == ["+12127365000"]
    assert found("+1 212 736 500") == []
    assert found("+47 22 12 34 56") == ["+4722123456"]


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("01 42 68 53 00", "FR", "+33142685300"),
        ("030 901820", "DE", "+4930901820"),
        ("22 12 34 56", "NO", "+4722123456"),
        ("020 7123 4567", "GB", "+442071234567"),
    ],
)
def test_a_national_number_is_of_a_region_that_is_given(text: str, region: str, number: str) -> None:
    assert found(f"Hej {text}, tack", region) == [number]
    assert found(f"Hej {text}, tack", "SE") == []
    assert found(f"Hej {text}, tack", "SE", region) == [number]


def test_numbers_for_fiction_are_not_found() -> None:
    assert found("call 212-555-0143 or +44 7700 900123") == []


def test_a_number_among_many_others_is_found() -> None:
    assert found("7 " * 40 + "ring 070-123 45 67, " + "12 " * 40) == ["+46701234567"]


def test_without_a_region_only_international_numbers_are_found() -> None:
    assert [phone.number for phone in phones_in("070-123 45 67 or +46 70 123 45 68", ())] == ["+46701234568"]
