from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.data.checks.running import Outcome, run_suite, write_docs
from tunegate.data.checks.suites import Suite
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.files import to_json

Make = Callable[..., Row]
LENGTHS = "expect_column_value_lengths_to_be_between"
ROWS = "expect_table_row_count_to_be_between"


def suite_of(*expectations: tuple[str, dict[str, Any], str]) -> Suite:
    listed = [{"type": kind, "kwargs": kwargs, "severity": severity} for kind, kwargs, severity in expectations]
    return Suite.model_validate_json(to_json({"name": "mine", "expectations": listed}))


def run(rows: list[Row], *expectations: tuple[str, dict[str, Any], str]) -> list[Outcome]:
    return run_suite(suite_of(*expectations), rows, "mine.json")


def test_failing_rows_are_named_in_the_order_of_the_rows(row: Make) -> None:
    rows = [row("z", text="?"), row("b"), row("a", text="!")]
    (outcome,) = run(rows, (LENGTHS, {"column": "text", "min_value": 3}, "warning"))
    assert (outcome.success, outcome.failing, outcome.severity) == (False, ("z", "a"), "warning")


def test_outcomes_come_in_the_order_of_the_suite_even_with_two_of_a_kind(row: Make) -> None:
    outcomes = run(
        [row("1", slices={"desk": "roof"}), row("2")],
        (ROWS, {"min_value": 5}, "info"),
        (LENGTHS, {"column": "text", "max_value": 3}, "info"),
        ("expect_column_values_to_not_be_null", {"column": "slices.desk"}, "critical"),
        (LENGTHS, {"column": "text", "max_value": 30}, "info"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["source", "label"]}, "warning"),
    )
    assert [(o.type, o.success, o.failing) for o in outcomes] == [
        (ROWS, False, ()),
        (LENGTHS, False, ("1", "2")),
        ("expect_column_values_to_not_be_null", False, ("2",)),
        (LENGTHS, True, ()),
        ("expect_compound_columns_to_be_unique", False, ("1", "2")),
    ]
    assert outcomes[0].observed == 2


def test_equal_rows_give_equal_results_without_ids_and_times(row: Make) -> None:
    expectation = (LENGTHS, {"column": "text", "min_value": 20}, "info")
    one, other = ([o.to_json() for o in run([row("1")], expectation)] for _ in range(2))
    assert to_json(one) == to_json(other)
    assert set(one[0]) == {"type", "kwargs", "severity", "success", "observed", "failed_rows", "failing"}


def test_a_result_lists_no_more_than_the_first_failing_rows(row: Make) -> None:
    (outcome,) = run([row(f"r{n}") for n in range(30)], (LENGTHS, {"column": "text", "max_value": 1}, "info"))
    result = outcome.to_json()
    assert (result["failed_rows"], result["failing"][-1], len(result["failing"])) == (30, "r19", 20)


@pytest.mark.parametrize(
    ("kind", "kwargs", "severity", "place", "problem"),
    [
        (LENGTHS, {"column": "txt", "max_value": 1}, "info", ".kwargs", "no column 'txt'; did you mean 'text'?"),
        (
            "expect_compound_columns_to_be_unique",
            {"column_list": ["id", "slices.lang"]},
            "info",
            ".kwargs",
            "'slices.lang'",
        ),
        (
            "expect_column_values_not_null",
            {"column": "text"},
            "info",
            ".type",
            "did you mean 'expect_column_values_to_not_be_null'?",
        ),
        (LENGTHS, {"column": "text"}, "info", ".kwargs", "min_value and max_value cannot both be None"),
        (LENGTHS, {"column": "text", "max_value": 1, "max": 2}, "info", ".kwargs", "max: extra fields not permitted"),
        (ROWS, {"min_value": 1}, "warning", ".severity", "judges the table as a whole"),
        ("expect_column_mean_to_be_between", {"column": "text", "min_value": 1}, "info", "", "cannot be evaluated"),
    ],
)
def test_a_suite_that_cannot_be_run_is_an_error(
    row: Make, kind: str, kwargs: dict[str, Any], severity: str, place: str, problem: str
) -> None:
    with pytest.raises(InputError) as caught:
        run([row("1")], (kind, kwargs, severity))
    assert caught.value.place == f"mine.json: expectations[0]{place}"
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_asking_for_a_column_that_is_missing_is_an_answer_not_an_error(row: Make) -> None:
    (outcome,) = run([row("1")], ("expect_column_to_exist", {"column": "slices.language"}, "critical"))
    assert not outcome.success


def test_nothing_is_said_while_checking(row: Make, capfd: pytest.CaptureFixture[str]) -> None:
    run([row("1")], (LENGTHS, {"column": "text", "max_value": 1}, "info"))
    assert capfd.readouterr() == ("", "")


def test_data_docs_are_a_page_in_the_folder(row: Make, tmp_path: Path) -> None:
    page = write_docs(
        suite_of((LENGTHS, {"column": "text", "max_value": 1}, "info")), [row("1")], "mine.json", tmp_path
    )
    assert page == tmp_path / "index.html"
    assert "<html" in page.read_text().lower()
    assert list((tmp_path / "validations").rglob("*.html"))
