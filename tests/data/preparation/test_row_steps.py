from collections.abc import Callable
from typing import Any

from tunegate.data.rows import Row, rows_of
from tunegate.params import PersonalData
from tunegate.tables import read_parquet

Make = Callable[..., Row]
TOKEN = "ghp_" + "0aB1cD2eF3" * 4


def test_html_is_taken_out_before_the_text_is_repaired(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("a", text="<p>Who&nbsp;pays?</p>")], strip_html=True)
    assert outcome.texts == {"a": "Who pays?"}
    assert outcome.changes == {"a": ["stripped: html", "repaired: white_space"]}


def test_html_stays_unless_asked(row: Make, prepared: Callable[..., Any]) -> None:
    assert prepared([row("a", text="<p>Who?</p>")]).texts == {"a": "<p>Who?</p>"}


def test_a_row_with_a_secret_is_dropped_and_the_secret_is_in_no_file(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("a", text=f"My token is {TOKEN}, why?"), row("b")], secrets="drop")
    assert outcome.dropped == {"a": ("secret", "found: github_token", None)}
    left = rows_of(read_parquet(outcome.folder / "dropped.parquet"))[0]
    assert left.text == "My token is [SECRET], why?"
    assert outcome.ledger["reasons"] == {"secret": 1}


def test_a_row_dropped_for_personal_data_is_masked_where_it_is_written_down(
    row: Make, prepared: Callable[..., Any]
) -> None:
    text = "Write to jane.roe@acme-roofs.com or to jane.roe@acme-roofs.com?"
    outcome = prepared([row("a", text=text), row("b")], personal_data=PersonalData(action="drop"))
    assert outcome.dropped == {"a": ("personal_data", "found: email x2", None)}
    assert rows_of(read_parquet(outcome.folder / "dropped.parquet"))[0].text == "Write to [EMAIL] or to [EMAIL]?"


def test_masked_rows_stay_and_are_counted_by_kind(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row("a", text=f"{TOKEN} of jane.roe@acme-roofs.com?"), row("b", text="joe@acme-roofs.com?")]
    outcome = prepared(rows, secrets="mask", personal_data=PersonalData(action="mask"))
    assert outcome.texts == {"a": "[SECRET] of [EMAIL]?", "b": "[EMAIL]?"}
    assert outcome.changes["a"] == ["masked: github_token", "masked: email"]
    assert (outcome.ledger["notes"]["masked: email"], outcome.ledger["notes"]["masked: github_token"]) == (2, 1)


def test_a_row_that_is_empty_after_its_repair_is_masked_where_it_is_written_down(
    row: Make, prepared: Callable[..., Any]
) -> None:
    label = f"ask jane.roe@acme-roofs.com for {TOKEN}"
    masking = {"secrets": "drop", "personal_data": PersonalData(action="mask")}
    outcome = prepared([row("a", text="\u200b", label=label), row("b")], **masking)
    assert outcome.dropped["a"][0] == "empty_after_repair"
    assert rows_of(read_parquet(outcome.folder / "dropped.parquet"))[0].label == "ask [EMAIL] for [SECRET]"


def test_a_rejected_answer_is_mended_and_masked_like_any_other_text(row: Make, prepared: Callable[..., Any]) -> None:
    talk = ({"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Nobody."})
    texts = {"text": None, "label": None, "messages": talk}
    rows = [
        row("a", **texts, rejected="<b>Vad Ã¤r</b> det?"),
        row("b", **texts, rejected="Ask ada@firma.se"),
        row("c", **texts, rejected=f"Use {TOKEN}"),
        row("d", **texts, rejected="\u200b"),
        row("e", label="roof", rejected="ada@firma.se"),
        row("f", label="roof", rejected="ask ada@firma.se"),
    ]
    masked = {"personal_data": PersonalData(action="mask"), "secrets": "mask", "deduplicate": False}
    outcome = prepared(rows, strip_html=True, **masked)
    found = {one.id: one.rejected for one in outcome.splits["train"]}
    assert found == {
        "a": "Vad är det?",
        "b": "Ask [EMAIL]",
        "c": "Use [SECRET]",
        "e": "ada@firma.se",
        "f": "ask [EMAIL]",
    }
    assert outcome.dropped == {"d": ("empty_after_repair", None, None)}
    assert outcome.changes["b"] == ["masked: email"]


def test_raw_text_that_is_mended_is_not_taken_for_a_row_that_lost_its_answer(
    row: Make, prepared: Callable[..., Any]
) -> None:
    rows = [row("a", text="  So it is. ", label=None), row("b", text="\u200b", label=None)]
    outcome = prepared(rows)
    assert outcome.texts == {"a": "So it is."}
    assert outcome.dropped == {"b": ("empty_after_repair", None, None)}
