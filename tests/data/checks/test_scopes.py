from typing import Any

import pytest

from tunegate.data.checks import scopes
from tunegate.data.checks.engine import make_expectations
from tunegate.data.checks.scopes import judges_values, scope_of
from tunegate.data.checks.suites import Expectation

CONDITION = {"type": "nullity", "column": {"name": "label"}, "is_null": False}


def of(kind: str, **kwargs: Any) -> Expectation:
    return Expectation(type=kind, kwargs=kwargs)


@pytest.mark.parametrize(
    ("expectation", "scope"),
    [
        (of("expect_column_values_to_be_in_set", column="label"), "rows"),
        (of("expect_column_values_to_be_unique", column="text"), "digests"),
        (of("expect_column_values_to_be_increasing", column="turns"), "values"),
        (of("expect_column_values_to_not_be_outliers", column="turns"), "values"),
        (of("expect_column_mean_to_be_between", column="turns"), "values"),
        (of("expect_something_nobody_knows", column="turns"), "values"),
        (of("expect_table_row_count_to_be_between"), "shape"),
        (of("expect_table_row_count_to_be_between", row_condition=CONDITION), "values"),
        (of("expect_column_to_exist", column="slices.desk"), "shape"),
    ],
)
def test_an_expectation_is_given_what_it_must_see(expectation: Expectation, scope: str) -> None:
    assert scope_of(expectation) == scope


@pytest.mark.parametrize("kind", ["expect_column_to_exist", "expect_column_values_to_be_null", "expect_table_a"])
def test_an_expectation_about_nulls_or_the_shape_may_be_asked_of_an_empty_column(kind: str) -> None:
    assert not judges_values(of(kind, column="text"))
    assert judges_values(of("expect_column_values_to_be_unique", column="text"))


def test_every_type_that_is_known_by_name_exists(suite_of: Any, templates: Any) -> None:
    from great_expectations.expectations import registry

    make_expectations(suite_of(("expect_column_to_exist", {"column": "id"}, "info")), "mine.json", templates)
    named = scopes._JUDGED_ALONE | scopes._COMPARED_FOR_EQUALITY | scopes._MAY_BE_ALL_NULL
    assert named <= set(registry.list_registered_expectation_implementations())
