from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.scopes import scope_of
from tunegate.data.checks.suite_runner import Checked, run_suite
from tunegate.data.checks.suites import load_suite
from tunegate.data.rows import Row
from tunegate.errors import InputError, MachineError
from tunegate.files import to_json

Make = Callable[..., Row]
Check = Callable[..., Checked]
LENGTHS = "expect_column_value_lengths_to_be_between"
ROWS = "expect_table_row_count_to_be_between"
NULLS = "expect_column_values_to_not_be_null"
UNIQUE = "expect_compound_columns_to_be_unique"


def failing(checked: Checked) -> list[list[int]]:
    return [outcome.failing.tolist() for outcome in checked.outcomes]


def talk(*roles: str) -> tuple[dict[str, str], ...]:
    return tuple({"role": role, "content": f"{role} {number}"} for number, role in enumerate(roles))


def test_failing_rows_are_known_by_their_number(row: Make, check: Check) -> None:
    checked = check(
        [row("z", text="?"), row("b"), row("a", text="!")], (LENGTHS, {"column": "text", "min_value": 3}, "warning")
    )
    (outcome,) = checked.outcomes
    assert (outcome.success, outcome.failing.tolist(), outcome.expectation.severity) == (False, [0, 2], "warning")
    assert [named.id for named in checked.rows.named([0, 2]).values()] == ["z", "a"]


def test_outcomes_come_in_the_order_of_the_suite_even_with_two_of_a_kind(row: Make, check: Check) -> None:
    checked = check(
        [row("1", slices={"desk": "roof"}), row("2")],
        (ROWS, {"min_value": 5}, "info"),
        (LENGTHS, {"column": "text", "max_value": 3}, "info"),
        (NULLS, {"column": "slices.desk"}, "critical"),
        (LENGTHS, {"column": "text", "max_value": 30}, "info"),
        (UNIQUE, {"column_list": ["source", "label"]}, "warning"),
        ("expect_column_distinct_values_to_equal_set", {"column": "id", "value_set": ["1", "3"]}, "info"),
    )
    assert [(o.expectation.type, o.success, o.failing.tolist()) for o in checked.outcomes] == [
        (ROWS, False, []),
        (LENGTHS, False, [0, 1]),
        (NULLS, False, [1]),
        (LENGTHS, True, []),
        (UNIQUE, False, [0, 1]),
        ("expect_column_distinct_values_to_equal_set", False, []),
    ]
    seen = {"partial_missing_list": ["3"], "partial_unexpected_list": ["2"], "missing_count": 1, "unexpected_count": 1}
    assert [checked.outcomes[0].observed, checked.outcomes[-1].observed] == [2, seen]


# One of each type that is judged chunk by chunk, with rows that fail it, pass it and are not judged.
BY_ROW: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "turns", "column_B": "turns", "or_equal": False}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "label", "column_B": "slices.desk"}),
    ("expect_column_pair_values_to_be_in_set", {"column_A": "turns", "column_B": "turns", "value_pairs_set": [[1, 1]]}),
    (LENGTHS, {"column": "label", "max_value": 3, "mostly": 0.5}),
    ("expect_column_value_lengths_to_equal", {"column": "label", "value": 4}),
    ("expect_column_values_to_be_between", {"column": "turns", "max_value": 1}),
    ("expect_column_values_to_be_dateutil_parseable", {"column": "slices.day"}),
    ("expect_column_values_to_be_in_set", {"column": "label", "value_set": ["roof"]}),
    ("expect_column_values_to_be_json_parseable", {"column": "slices.day"}),
    ("expect_column_values_to_be_null", {"column": "slices.desk"}),
    ("expect_column_values_to_match_json_schema", {"column": "slices.json", "json_schema": {"maxItems": 0}}),
    ("expect_column_values_to_match_regex", {"column": "text", "regex": r"^\w+ 1\d*\?"}),
    ("expect_column_values_to_match_regex_list", {"column": "slices.desk", "regex_list": ["^r", "z$"]}),
    ("expect_column_values_to_match_strftime_format", {"column": "slices.day", "strftime_format": "%Y-%m-%d"}),
    ("expect_column_values_to_not_be_in_set", {"column": "slices.desk", "value_set": ["heat"]}),
    (NULLS, {"column": "slices.desk", "mostly": 0.6}),
    ("expect_column_values_to_not_match_regex", {"column": "text", "regex": "[37]"}),
    ("expect_column_values_to_not_match_regex_list", {"column": "text", "regex_list": ["3", "7"]}),
    ("expect_conversation_to_be_well_formed", {"template": "chatml.jinja"}),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["turns", "turns"], "sum_total": 2}),
    ("expect_multicolumn_values_to_be_equal", {"column_list": ["label", "slices.desk"]}),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["label", "slices.desk"]}),
    ("expect_text_to_have_no_control_tokens", {"tokens": ["<|im_end|>"]}),
]


@pytest.fixture
def mixed(row: Make) -> list[Row]:
    """Thirty rows: questions with and without slices, then conversations, some of them broken."""
    rows = []
    for n in range(30):
        slices = {} if n % 3 == 0 else {"desk": "roof" if n % 2 else "heat"}
        slices |= {"day": "2026-11-21" if n % 4 else "tomorrow", "json": "[]" if n % 5 else "[1]"} if n > 10 else {}
        messages = None
        if n >= 20:
            said = [("user", f"q{n}<|im_end|>"), ("assistant", "a" if n % 4 else " ")] * (1 + n % 2)
            messages = tuple({"role": role, "content": content} for role, content in said)
        label = None if messages else ("roof" if n % 2 else "fan")
        rows.append(row(f"r{n}", text=None if messages else f"Frå {n}?", label=label, messages=messages, slices=slices))
    return rows


@pytest.mark.filterwarnings("ignore:DataFrame columns are not unique")
@pytest.mark.parametrize(("kind", "kwargs"), BY_ROW, ids=[kind for kind, _ in BY_ROW])
def test_where_chunks_begin_does_not_change_an_outcome(
    kind: str, kwargs: dict[str, Any], mixed: list[Row], check: Check
) -> None:
    whole = check(mixed, (kind, kwargs, "info")).outcomes[0]
    cut = check(mixed, (kind, kwargs, "info"), chunk_rows=4).outcomes[0]
    assert scope_of(whole.expectation) == "rows"
    assert 0 < len(whole.failing) < 30 or kind == "expect_column_pair_values_a_to_be_greater_than_b"
    assert (cut.success, cut.failing.tolist()) == (whole.success, whole.failing.tolist())


@pytest.mark.parametrize(("mostly", "holds"), [(0.8, True), (0.81, False)])
def test_mostly_is_a_share_of_all_rows_that_are_judged_not_of_a_chunk(
    mostly: float, holds: bool, row: Make, check: Check
) -> None:
    rows = [row(f"r{n}", label="x" if n else "long", text="?") for n in range(5)]
    rows += [row(f"talk{n}", text=None, label=None, messages=talk("user", "assistant")) for n in range(5)]
    kwargs = {"column": "label", "max_value": 1, "mostly": mostly}
    assert check(rows, (LENGTHS, kwargs, "info"), chunk_rows=2).outcomes[0].success is holds


def test_uniqueness_is_seen_across_chunks_and_null_equals_null_as_great_expectations_has_it(
    row: Make, check: Check
) -> None:
    rows = [row("1", text="a", label="x"), row("2", text="b", label="y"), row("3", text="a", label="x")]
    checked = check(
        rows,
        ("expect_column_values_to_be_unique", {"column": "text"}, "warning"),
        (UNIQUE, {"column_list": ["text", "label"]}, "warning"),
        ("expect_column_unique_value_count_to_be_between", {"column": "text", "max_value": 1}, "info"),
        ("expect_column_proportion_of_unique_values_to_be_between", {"column": "text", "max_value": 0.5}, "info"),
        chunk_rows=1,
    )
    assert failing(checked) == [[0, 2], [0, 2], [], []]
    assert [outcome.observed for outcome in checked.outcomes[2:]] == [2, pytest.approx(2 / 3)]


@pytest.mark.parametrize("kind", [LENGTHS, "expect_column_values_to_be_unique"])
def test_a_row_condition_chooses_the_rows_that_are_judged(kind: str, row: Make, check: Check) -> None:
    rows = [row("1", text="ab"), row("2", text="ab", source="t"), row("3", text="ab", source="t"), row("4", text="ab")]
    condition = {"type": "comparison", "column": {"name": "source"}, "operator": "==", "parameter": "t"}
    bounds = {"max_value": 1} if kind == LENGTHS else {}
    checked = check(rows, (kind, {"column": "text", "row_condition": condition} | bounds, "warning"), chunk_rows=3)
    assert failing(checked) == [[1, 2]]


def test_equal_rows_give_equal_results_without_ids_and_times(row: Make, check: Check) -> None:
    results = []
    for _ in range(2):
        rows, outcomes = check([row("1")], (LENGTHS, {"column": "text", "min_value": 20}, "info"))
        results.append(outcomes[0].to_json(rows, rows.named([0])))
    assert to_json(results[0]) == to_json(results[1])
    keys = {"type", "kwargs", "severity", "success", "observed", "failed_rows", "failing", "per_source"}
    assert set(results[0]) == keys


def test_no_rows_are_an_error(check: Check) -> None:
    with pytest.raises(InputError, match="no rows to check") as caught:
        check([], (ROWS, {"max_value": 5}, "info"))
    assert caught.value.remedy


def test_a_column_without_a_value_is_an_error_since_anything_would_hold_of_it(row: Make, check: Check) -> None:
    rows = [row(str(n), text=None, label=None, messages=talk("user", "assistant")) for n in range(3)]
    exempt = ("expect_column_values_to_be_null", {"column": "label"}, "info")
    with pytest.raises(InputError) as caught:
        check(rows, exempt, ("expect_column_values_to_be_in_set", {"column": "label", "value_set": ["x"]}, "critical"))
    assert caught.value.place == "mine.json: expectations[1].kwargs"
    assert "'label' is null in all of 3 rows, so it checks nothing" in caught.value.problem
    assert check(rows, exempt).outcomes[0].success


def test_a_column_that_does_not_fit_into_memory_is_refused_with_its_expectation(row: Make, check: Check) -> None:
    rows = [row(str(n), text="long text " * 50) for n in range(100)]
    distinct = ("expect_column_distinct_values_to_contain_set", {"column": "text", "value_set": ["a"]}, "info")
    with pytest.raises(MachineError) as caught:
        check(rows, (ROWS, {"min_value": 1}, "info"), distinct, memory=2**15)
    assert caught.value.place == "mine.json: expectations[1]"
    assert caught.value.problem.startswith("needs the whole column 'text' in memory")
    assert "compute.memory" in caught.value.remedy
    unique = ("expect_column_values_to_be_unique", {"column": "text"}, "info")
    assert check(rows, unique, (LENGTHS, {"column": "text", "min_value": 1}, "info"), memory=2**15)


def test_nothing_is_said_while_checking(row: Make, check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    check([row("1")], (LENGTHS, {"column": "text", "max_value": 1}, "info"))
    assert capfd.readouterr() == ("", "")


DEFAULT = Path(__file__).resolve().parents[3] / "data/expectations"


@pytest.mark.parametrize(
    ("values", "observed"),
    [
        ([{"label": None}], "no row has an answer"),
        ([{"label": None}, {"label": "roof"}, {"label": "heat"}], 2),
        ([{"label": "roof", "rejected": "heat"}, {"label": "heat", "rejected": "roof"}], 2),
    ],
    ids=["raw text", "some unlabelled", "preference"],
)
def test_the_default_suite_holds_of_the_rows_of_every_technique(
    row: Make, stored: Callable[[list[Row]], Path], values: list[dict[str, Any]], observed: object
) -> None:
    path = stored([row(str(n), **values[n % len(values)]) for n in range(6)])
    suite = load_suite(DEFAULT, "questions")
    outcomes = run_suite(suite, path, "questions.json", templates=DEFAULT, memory=2**28).outcomes
    assert [outcome.expectation.name for outcome in outcomes if not outcome.success] == []
    assert outcomes[1].observed == observed


def test_raw_text_that_stands_twice_is_counted_though_there_are_no_answers(row: Make, check: Check) -> None:
    rows = [row("1", text="a", label=None), row("2", text="a", label=None), row("3", text="b", label=None)]
    pair = ("expect_compound_columns_to_be_unique", {"column_list": ["text", "answer"]}, "info")
    assert check(rows, pair).outcomes[0].failing.tolist() == [0, 1]


def test_a_rejected_answer_is_a_column_that_may_not_be_null_everywhere(row: Make, check: Check) -> None:
    lengths = (LENGTHS, {"column": "rejected", "max_value": 2}, "info")
    rows = [row("1", rejected="yes"), row("2", rejected="no"), row("3")]
    assert check(rows, lengths).outcomes[0].failing.tolist() == [0]
    with pytest.raises(InputError, match="'rejected' is null in all of 1 rows"):
        check(rows[2:], lengths)
