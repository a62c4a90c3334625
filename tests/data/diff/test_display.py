from tunegate.data.diff.display import MOST_CHARACTERS, shown, shown_edit


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


def changes(before: str, after: str) -> list[tuple[str, str]]:
    return [(part.side, part.text) for part in shown_edit(before, after) if part.side != "both"]


def test_an_edit_far_into_a_long_text_is_shown_with_what_stands_around_it() -> None:
    for times in (1_000, 20_000):
        long = "".join(f"w{n} " for n in range(times // 2))
        found = shown_edit(f"{long}call the desk. {long}", f"{long}call the roof. {long}")
        assert [part.text for part in found if part.side != "both"] == ["desk", "roof"]
        assert sum(len(part.text) for part in found) < MOST_CHARACTERS
        assert found[0].text.startswith("…")
        assert found[0].text.endswith("call the ")


def test_an_edit_is_masked_as_a_whole_and_two_masked_values_are_said_to_differ() -> None:
    assert changes("write to ada@firma.se today", "write to ada@firma.se now") == [
        ("before", "today"),
        ("after", "now"),
    ]
    (same, said) = shown_edit("write to ada@firma.se", "write to eva@firma.se")
    assert same.text == "write to [EMAIL]"
    assert "differs in what is masked" in said.text
    far = "x " * 50_000
    assert "after 60,000 characters" in shown_edit(f"{far}desk", f"{far}roof")[-1].text
