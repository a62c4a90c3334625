import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tunegate.evaluation.examples import Answer, Example
from tunegate.evaluation.metrics import metrics_of
from tunegate.params import load_params
from tunegate.reporting.report_page import Measured, render_report, view_of
from tunegate.repository.lineage import Parts, digest, lineage_of

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
LINEAGE = lineage_of(Parts(**{name: digest(name) for name in Parts.model_fields}))
LEDGER: dict[str, Any] = {
    "rows": {"in": 6, "out": 4},
    "stages": [
        {
            "stage": "prepare",
            "rows": {"in": 6, "out": 4},
            "reasons": {"duplicate": 2},
            "per_source": {"faq": {"in": 5, "out": 3}, "mail": {"in": 1, "out": 1}},
            "notes": {"trained_share": 0.123456789},
        }
    ],
}
EVIL = "<script src='http://evil.example/x.js'></script>"


def example(name: str, reference: str, base: str, tuned: str, *, labelled: bool = True) -> Example:
    answers = [Answer(text, text == reference, 1.0, 0.1) for text in (base, tuned)]
    label = reference if labelled else None
    return Example(name, f"What of {name}? {EVIL}", reference, label, {"language": "en", "kind": name}, *answers)


PIECES = [{"text": "user: is the <roof> mine?", "trained": False}, {"text": "roof & house", "trained": True}]
PREVIEW = {"row <1>": PIECES}


def measured(*examples: Example) -> Measured:
    rows = examples or (
        example("1", "roads", EVIL, "roads"),
        example("2", "roads", "roads", "water"),
        example("3", "water & sewage", "no", "nothing like it"),
    )
    metrics = metrics_of(rows, lineage=LINEAGE.key, test_set="t", min_slice_rows=2, ignore_case=True)
    points = [{"step": 1.0, "loss": 3.0}, {"step": 2.0, "loss": 2.0, "valid_loss": 2.5}]
    return Measured(PARAMS, LINEAGE, metrics, rows, points, LEDGER, PREVIEW)


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def read(name: str, base: float, tuned: float) -> Example:
    """A row of raw text, of which nothing is asked."""
    answers = [Answer("", False, nll, 0.1) for nll in (base, tuned)]
    return Example(name, "", f"Text {name}", None, {"source": "news"}, *answers)


def test_raw_text_is_neither_right_nor_wrong_but_more_or_less_expected() -> None:
    data = measured(read("1", 4.0, 2.0), read("2", 3.0, 3.5), read("3", 3.0, 3.0))
    view = view_of(data)
    assert sum(view.outcomes.values()) == 0
    assert [(group.title, group.total) for group in view.examples] == [("Less expected", 1), ("More expected", 2)]
    # The longer bar fills its place: there is no perplexity that would be all of it.
    assert view.base_share == 1
    assert view.tuned_share == pytest.approx(view_of(data).slices["source"][0].tuned_share)
    assert 0 < view.tuned_share < 1
    text = render_report(data)
    assert "wrong both times" not in text
    assert "3.500 nats per token" in text


def test_nothing_is_fetched_from_elsewhere() -> None:
    text = render_report(measured())
    elements = Elements(text).elements
    assert len(elements) > 100
    assert not [tag for tag, _ in elements if tag in ("script", "link", "img", "iframe", "object", "embed")]
    assert not [a for _, attributes in elements for a in attributes if a in ("src", "href", "xlink:href", "srcset")]
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text


def test_text_from_the_data_is_escaped() -> None:
    text = render_report(measured())
    assert EVIL not in text
    assert "&lt;script src=" in text
    assert "<title>water &amp; sewage answered as (other): 1 of 1</title>" in text


def test_equal_input_gives_equal_bytes() -> None:
    assert render_report(measured()) == render_report(measured())


def test_the_table_shows_base_tuned_and_change() -> None:
    (accuracy, *_) = view_of(measured()).comparisons
    assert (accuracy.label, accuracy.base, accuracy.tuned, accuracy.change, accuracy.tone) == (
        "Accuracy",
        "33.3 %",
        "33.3 %",
        "±0.0",
        "same",
    )


def test_examples_are_grouped_by_outcome_and_capped() -> None:
    rows = [example(f"{n:02d}", "roads", "no", "roads") for n in range(20)]
    groups = {group.key: group for group in view_of(measured(*rows)).examples}
    assert (groups["fixed"].total, groups["broken"].total) == (20, 0)
    assert [e.id for e in groups["fixed"].shown] == [f"{n:02d}" for n in range(12)]
    assert "The first 12 by row id." in render_report(measured(*rows))


def test_a_long_answer_is_cut() -> None:
    row = dataclasses.replace(example("1", "a", "b", "c"), base=Answer("x" * 5000, False, 1.0, 0.1))
    (shown,) = next(group.shown for group in view_of(measured(row)).examples if group.key == "wrong")
    assert len(shown.base.text) == 280


def test_rows_without_labels_give_a_report_without_a_matrix() -> None:
    rows = [example("1", "a long text", "no", "a long text", labelled=False)]
    view = view_of(measured(*rows))
    assert (view.headline.label, view.matrix) == ("Exact match", "")
    assert 'id="confusion"' not in render_report(measured(*rows))


def test_the_ledger_says_why_rows_are_missing() -> None:
    (stage,) = view_of(measured()).ledger
    assert (stage.rows_in, stage.rows_out, stage.left_out) == (6, 4, [("duplicate", 2)])
    assert stage.notes == [("faq", "5 → 3"), ("mail", "1 → 1"), ("trained share", "0.123457")]


def outcome(source: str, rows: int, tokens: int | None, **parts: str) -> dict[str, object]:
    ends = {"stage": "tokenize", "split": None, "reason": None}
    return {"source": source, "rows": rows, "tokens": tokens} | ends | parts


def test_the_flow_of_each_source_is_shown_and_drawn_and_its_names_are_escaped() -> None:
    outcomes = [
        outcome("<b>", 3, 30, split="train"),
        outcome("<b>", 1, 10, split="test"),
        outcome("<b>", 4, None, stage="ingest", reason="over_limit"),
        outcome("<b>", 0, 5, reason="cut"),
        outcome("a", 2, 20, split="valid"),
    ]
    stage = LEDGER["stages"][0] | {"tokens": {"in": 1065, "out": 60}}
    data = dataclasses.replace(measured(), ledger=LEDGER | {"stages": [stage], "outcomes": outcomes})
    first, second, every = view_of(data).flows
    assert [part.rows for part in first.parts] == [3, 0, 1, 4]
    assert (first.source, first.rows, first.tokens) == ("<b>", 8, "40 of 45")
    assert first.parts[3].description == "left out: 4 rows, 5 tokens (4 over limit)"
    assert (second.source, every.source, every.rows, every.tokens) == ("a", "all", 10, "60 of 65")
    text = render_report(data)
    assert "&lt;b&gt;" in text
    assert 'class="left-out" style="width:50.0%"' in text
    assert "6 → 4 rows, 1,065 → 60 tokens" in text


def test_a_report_without_row_outcomes_has_no_flow() -> None:
    assert view_of(measured()).flows == []
    assert "tokens kept" not in render_report(measured())


def test_a_slice_with_few_rows_says_so() -> None:
    view = view_of(measured())
    assert [row.headline for row in view.slices["kind"]] == [None, None, None]
    assert "too few rows" in render_report(measured())


@pytest.mark.parametrize("points", [[], [{"step": 1.0, "loss": 0.0}]])
def test_a_training_of_no_or_one_step_is_shown(points: list[dict[str, float]]) -> None:
    assert render_report(dataclasses.replace(measured(), trajectory=points))


def test_the_report_shows_what_is_trained_on() -> None:
    page = render_report(measured())
    assert "user: is the &lt;roof&gt; mine?<mark>roof &amp; house</mark>" in page
    assert "<code>row &lt;1&gt;</code>" in page
