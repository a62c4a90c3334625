from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.profile import profile_of
from tunegate.data.checks.suggestions import suggest
from tunegate.data.checks.suite_runner import run_suite
from tunegate.data.checks.suites import load_suite
from tunegate.data.rows import Row
from tunegate.files import write_json

Make = Callable[..., Row]
Store = Callable[[list[Row]], Path]
SUGGESTED = {
    "expect_table_row_count_to_be_between": {"min_value": 10},
    "expect_column_unique_value_count_to_be_between": {"column": "label", "min_value": 2},
    "expect_conversation_to_be_well_formed": {"column": "messages", "template": "chatml.jinja"},
    "expect_column_values_to_be_between": {"column": "turns", "max_value": 4},
    "expect_text_to_have_no_control_tokens": {"column": "text", "tokens": ["<|im_end|>", "<|im_start|>"]},
}


def rows(row: Make, count: int, *, longer: int = 1, source: str = "s") -> list[Row]:
    talk = ({"role": "user", "content": "What?"}, {"role": "assistant", "content": "So."}) * 2
    made = []
    for n in range(count):
        slices = {"language": "sv" if n % 2 else "en"} | ({"desk": "roof"} if n % 4 else {})
        kind: dict[str, Any] = {"text": f"Question {n:02d}?" * longer, "label": ("roof", "heat")[n % 2]}
        if n % 5 == 0:
            kind = {"text": None, "label": None, "messages": talk}
        made.append(row(f"{source}{n}", slices=slices, source=source, **kind))
    return made


def failed(suite: dict[str, Any], path: Path, templates: Path, folder: Path) -> list[str]:
    write_json(folder / "mine.json", suite)
    checked = run_suite(load_suite(folder, "mine"), path, "mine.json", templates=templates, memory=2**28)
    return [outcome.expectation.type for outcome in checked.outcomes if not outcome.success]


def test_rows_that_were_seen_pass_and_so_do_half_as_many_that_are_twice_as_long(
    row: Make, stored: Store, templates: Path, tmp_path: Path
) -> None:
    suite = suggest(profile_of(stored(rows(row, 20))), "mine", templates)
    repeats = ["expect_compound_columns_to_be_unique"]
    assert failed(suite, stored(rows(row, 20)), templates, tmp_path) == repeats
    assert failed(suite, stored(rows(row, 11, longer=2)), templates, tmp_path) == repeats


def test_what_was_seen_becomes_bounds_with_head_room_and_a_reason(row: Make, stored: Store, templates: Path) -> None:
    suite = suggest(profile_of(stored(rows(row, 20))), "mine", templates)
    found = {e["type"]: e["kwargs"] for e in suite["expectations"]}
    assert {kind: found[kind] for kind in SUGGESTED} == SUGGESTED
    assert all("Seen: " in e["description"] or "tokens" in e["kwargs"] for e in suite["expectations"])
    slices = [e["kwargs"] for e in suite["expectations"] if e["kwargs"].get("column", "").startswith("slices.")]
    assert slices == [
        {"column": "slices.desk", "mostly": 0.37},
        {"column": "slices.desk", "value_set": ["roof"]},
        {"column": "slices.language"},
        {"column": "slices.language", "value_set": ["en", "sv"]},
    ]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"label": "rof"}, "expect_column_values_to_be_in_set"),
        ({"text": "long " * 50}, "expect_column_value_lengths_to_be_between"),
        ({"text": "a <|im_start|> b"}, "expect_text_to_have_no_control_tokens"),
        ({"slices": {}}, "expect_column_values_to_not_be_null"),
    ],
)
def test_a_row_that_is_unlike_the_others_fails(
    change: dict[str, Any], kind: str, row: Make, stored: Store, templates: Path, tmp_path: Path
) -> None:
    suite = suggest(profile_of(stored(rows(row, 20))), "mine", templates)
    other = row("other", **({"label": "roof", "slices": {"language": "sv"}} | change))
    assert kind in failed(suite, stored([*rows(row, 20), other]), templates, tmp_path)


def test_a_suite_for_one_source_says_nothing_of_the_others(
    row: Make, stored: Store, templates: Path, tmp_path: Path
) -> None:
    both = [*rows(row, 20), *rows(row, 3, longer=9, source="t")]
    suite = suggest(profile_of(stored(both), "s"), "mine", templates)
    assert failed(suite, stored(both), templates, tmp_path) == ["expect_compound_columns_to_be_unique"]


def test_many_labels_are_not_listed_and_no_template_asks_for_no_tokens(
    row: Make, stored: Store, tmp_path: Path
) -> None:
    path = stored([row(str(n), label=f"label {n}") for n in range(10)])
    kinds = [e["type"] for e in suggest(profile_of(path), "mine", tmp_path / "nothing")["expectations"]]
    assert "expect_column_values_to_be_in_set" not in kinds
    assert "expect_text_to_have_no_control_tokens" not in kinds
    assert "expect_conversation_to_be_well_formed" not in kinds


@pytest.mark.parametrize(("broken", "severity"), [(0, "warning"), (2, "info")])
def test_malformed_conversations_are_counted_and_move_nothing(
    broken: int, severity: str, row: Make, stored: Store, templates: Path
) -> None:
    talk = ({"role": "assistant", "content": "So."}, {"role": "assistant", "content": "So."})
    bad = [row(f"bad{n}", text=None, label=None, messages=talk) for n in range(broken)]
    suite = suggest(profile_of(stored([*rows(row, 20), *bad])), "mine", templates)
    (found,) = [e for e in suite["expectations"] if e["type"] == "expect_conversation_to_be_well_formed"]
    assert found["severity"] == severity
    assert (f"{broken} are not well formed" in found["description"]) is bool(broken)


RAW = {"label": None}


@pytest.mark.parametrize(
    ("kinds", "always", "sometimes"),
    [
        ([RAW], ["text"], []),
        ([RAW, {}], ["text"], ["answer"]),
        ([{"rejected": "no"}], ["text", "answer", "rejected"], []),
        ([{}, {"rejected": "no"}], ["text", "answer"], ["rejected"]),
    ],
)
def test_rows_with_fewer_or_more_texts_than_others_pass_what_is_suggested_for_them(
    row: Make,
    stored: Store,
    templates: Path,
    tmp_path: Path,
    kinds: list[dict[str, Any]],
    always: list[str],
    sometimes: list[str],
) -> None:
    made = [row(f"r{n}", text=f"Question {n:02d}?", **kinds[n % len(kinds)]) for n in range(20)]
    suite = suggest(profile_of(stored(made)), "mine", templates)
    assert failed(suite, stored(made), templates, tmp_path) == []
    assert failed(suite, stored(made[:11]), templates, tmp_path) == []
    asked = [e["kwargs"]["column"] for e in suite["expectations"] if e["type"] == "expect_column_values_to_not_be_null"]
    assert asked == always[1:]
    assert {e["kwargs"]["column"] for e in suite["expectations"] if "lengths" in e["type"]} == {*always, *sometimes}


def test_a_row_without_an_answer_fails_where_all_had_one(
    row: Make, stored: Store, templates: Path, tmp_path: Path
) -> None:
    suite = suggest(profile_of(stored(rows(row, 20))), "mine", templates)
    found = failed(suite, stored([*rows(row, 20), row("open", label=None)]), templates, tmp_path)
    assert "expect_column_values_to_not_be_null" in found
