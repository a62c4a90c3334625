from collections.abc import Callable
from typing import Any

import pytest

from tunegate.data.rows import Row
from tunegate.errors import InputError

Make = Callable[..., Row]


def test_a_class_with_one_row_is_refused_with_its_count(row: Make, prepared: Callable[..., Any]) -> None:
    with pytest.raises(InputError) as caught:
        prepared([row("1"), row("2"), row("3", label="lonely")], min_rows_per_label=2)
    assert caught.value.place == "params.yaml: prepare.min_rows_per_label"
    assert caught.value.problem == "1 of 2 labels have fewer than 2 rows: 'lonely' (1)"
    assert caught.value.remedy.startswith("add rows, merge the label")


def test_a_duplicate_does_not_count_as_a_second_row_of_its_class(row: Make, prepared: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"'x' \(1\)"):
        prepared([row("1", text="a?"), row("2", text="a?")], min_rows_per_label=2)


def test_conversations_have_no_classes(row: Make, prepared: Callable[..., Any]) -> None:
    messages = ({"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"})
    outcome = prepared([row("1", text=None, label=None, messages=messages)], min_rows_per_label=5)
    assert outcome.ledger["notes"]["labels"] == 0
    assert "label_evenness" not in outcome.ledger["notes"]


def test_labels_that_cannot_be_learned_are_counted(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}") for n in range(60)]
    tested = prepared(rows, test_share=0.2).splits["test"][0].id
    rows = [row(one.id, label="unseen") if one.id == tested else one for one in rows]
    assert prepared(rows, test_share=0.2).ledger["notes"]["labels_not_in_train"] == 1


def test_how_evenly_rows_are_spread_over_labels_is_told(row: Make, prepared: Callable[..., Any]) -> None:
    even = [row(f"r{n}", label="xy"[n % 2]) for n in range(40)]
    notes = prepared(even).ledger["notes"]
    assert (notes["label_evenness"], notes["label_rows_least"], notes["label_rows_most"]) == (1.0, 20, 20)
    skewed = prepared([row(f"r{n}", label="x" if n else "y") for n in range(40)]).ledger
    assert skewed["notes"]["label_evenness"] == pytest.approx(0.1687, abs=1e-4)
    assert skewed["details"]["labels"] == {
        "x": {"train": 39, "valid": 0, "test": 0},
        "y": {"train": 1, "valid": 0, "test": 0},
    }


def test_labels_that_are_told_alike_are_counted_together(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("1", label="joe@acme-roofs.com"), row("2", label="jane@acme-roofs.com")])
    assert outcome.ledger["details"]["labels"] == {"[EMAIL]": {"train": 2, "valid": 0, "test": 0}}


def test_answers_that_are_no_classes_are_not_told(row: Make, prepared: Callable[..., Any]) -> None:
    rows = [row(f"r{n}", label=f"answer {n}") for n in range(20)]
    assert prepared(rows).ledger["details"]["labels"] == {}
    again = [row(f"s{n}", label=f"answer {n}") for n in range(20)]
    assert len(prepared(rows + again).ledger["details"]["labels"]) == 20


def test_a_label_is_told_without_personal_data_and_short(row: Make, prepared: Callable[..., Any]) -> None:
    labels = ["jane.roe@acme-roofs.com", "a long answer " * 20]
    outcome = prepared([row(str(number), label=label) for number, label in enumerate(labels)])
    told = outcome.ledger["details"]["labels"]
    assert sorted(map(len, told)) == [7, 61]
    assert "[EMAIL]" in told


def test_rows_without_a_label_need_no_company(row: Make, prepared: Callable[..., Any]) -> None:
    outcome = prepared([row("1", label=None), row("2"), row("3")], min_rows_per_label=2)
    assert (outcome.ledger["notes"]["labels"], len(outcome.where)) == (1, 3)
    assert outcome.ledger["details"] == {"labels": {"x": {"train": 2, "valid": 0, "test": 0}}}
