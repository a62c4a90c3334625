from typing import Any

from tunegate.reporting.row_flow import PARTS, SourceFlow, source_flows


def outcome(source: str, rows: int, tokens: int | None, *, split: str = "", reason: str = "") -> dict[str, Any]:
    return {"source": source, "rows": rows, "tokens": tokens, "split": split or None, "reason": reason or None}


def flow(*outcomes: dict[str, Any]) -> SourceFlow:
    (only,) = source_flows({"outcomes": outcomes})
    return only


def test_a_ledger_without_row_outcomes_has_no_flow() -> None:
    assert (source_flows({}), source_flows({"outcomes": []})) == ([], [])


def test_the_shares_of_a_source_are_of_all_its_rows_those_left_out_included() -> None:
    faq = flow(outcome("faq", 5, 50, split="train"), outcome("faq", 3, 30, split="test", reason="duplicate"))
    assert [part.name for part in faq.parts] == list(PARTS)
    assert [(part.rows, part.share) for part in faq.parts] == [(5, 0.625), (0, 0), (0, 0), (3, 0.375)]
    assert faq.tokens == "50 of 80"


def test_reasons_are_in_words_the_most_frequent_first_and_none_without_rows() -> None:
    reasons = {"over_limit": 1000, "duplicate": 2000, "cut": 0}
    faq = flow(*(outcome("faq", rows, 1, reason=reason) for reason, rows in reasons.items()))
    assert faq.parts[-1].description == "left out: 3,000 rows, 3 tokens (2,000 duplicate, 1,000 over limit)"


def test_sources_come_by_name_and_all_together_last() -> None:
    flows = source_flows({"outcomes": [outcome("b", 1, None, split="valid"), outcome("a", 0, 0, split="train")]})
    assert [(each.source, each.rows, each.tokens) for each in flows] == [("a", 0, "0 of 0")] + [
        (name, 1, "0 of 0") for name in ("b", "all")
    ]
    assert [part.share for part in flows[0].parts] == [0] * 4
