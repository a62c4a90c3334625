from tunegate.data.comparison.showing import MOST_CHARACTERS, shown


def test_personal_data_and_secrets_are_masked_before_a_text_is_cut() -> None:
    address = "x" * (MOST_CHARACTERS - 16) + " ada.lovelace@firma.se"
    assert "ada" not in shown(address)
    assert shown("write to ada@firma.se") == "write to [EMAIL]"
    token = "ghp_" + "a1B2" * 9
    assert token not in shown(f"use {token} for it")


def test_a_text_that_a_spreadsheet_would_compute_begins_with_a_quotation_mark() -> None:
    for text in ("=1+1", "+1", "-1", "@x", "\tx"):
        assert shown(text) == f"'{text}"
    assert shown("1 = 1") == "1 = 1"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert len(shown("x " * 5000)) == MOST_CHARACTERS
    assert shown("x " * 5000).endswith("…")
