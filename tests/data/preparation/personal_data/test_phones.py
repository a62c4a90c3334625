import pytest

from tunegate.data.preparation.personal_data.phones import phones_in


def found(text: str) -> list[str]:
    return [f"+{phone.country} {phone.national}" for phone in phones_in(text)]


@pytest.mark.parametrize(
    "text", ["070-123 45 67", "0701234567", "+46701234567", "+46 (0)70-123 45 67", "0046 70 123 45 67", "(070) 1234567"]
)
def test_all_writings_of_a_number_have_one_form(text: str) -> None:
    assert found(f"Hej {text}, tack") == ["+46 701234567"]


def test_a_short_neighbour_is_not_part_of_a_number() -> None:
    text = "rum 12 070-123 45 67 2 gånger"
    assert [text[phone.start : phone.end] for phone in phones_in(text)] == ["070-123 45 67"]


def test_digits_without_a_form_count_only_after_a_word_that_announces_them() -> None:
    assert found("Call 12345678.") == ["+ 12345678"]
    assert found("We laid 12345678.") == []


def test_the_nearer_word_decides() -> None:
    assert found("Call about order 0701234567") == []
    assert found("About the order call 0701234567") == ["+46 701234567"]


def test_a_word_of_the_sentence_before_says_nothing() -> None:
    assert found("Please call us. It weighs 12345678 in all") == []


@pytest.mark.parametrize("text", ["070 120 000 kr", "call 2024-05-01", "call 12 05 2025", "+15 000 000", "01-02-2024"])
def test_amounts_and_dates_are_no_numbers(text: str) -> None:
    assert found(text) == []


def test_a_country_has_numbers_of_its_own_length() -> None:
    assert found("+1 212 736 5000") == ["+1 2127365000"]
    assert found("+1 212 736 500") == []
    assert found("+47 22 12 34 56") == ["+47 22123456"]


def test_numbers_for_fiction_are_not_found() -> None:
    assert found("call 212-555-0143 or +44 7700 900123") == []


def test_a_number_among_many_others_is_found_up_to_eighteen_digits() -> None:
    assert found("7 " * 40 + "ring 070-123 45 67, " + "12 " * 40) == ["+46 701234567"]
    assert found("call 00 999 123456789012") == ["+999 123456789012"]
    assert found("call 00 999 12345678901234") == []
