"""How much of the table an expectation must see at once: a row, two numbers, or whole columns.

Types are known by name; one that is not named here gets whole columns, which is always right and takes most memory.
"""

from typing import Literal

from tunegate.data.checks.suites import Expectation

Scope = Literal["rows", "shape", "digests", "values"]
"""`rows`: some rows at a time. `shape`: names of columns and number of rows. `digests`: whole columns, in which a
number may stand for each value. `values`: whole columns as they are."""

_JUDGED_ALONE = frozenset(
    {
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_be_null",
        "expect_column_values_to_match_json_schema",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_conversation_to_be_well_formed",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
        "expect_text_to_have_no_control_tokens",
    }
)
_COMPARED_FOR_EQUALITY = frozenset(
    {
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
    }
)
_MAY_BE_ALL_NULL = frozenset(
    {
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_to_exist",
        "expect_column_values_to_be_null",
        "expect_column_values_to_not_be_null",
    }
)


def scope_of(expectation: Expectation) -> Scope:
    """How much of the table the expectation must see at once."""
    if expectation.type in _JUDGED_ALONE:
        return "rows"
    if expectation.type in _COMPARED_FOR_EQUALITY:
        return "digests"
    about_shape = expectation.type == "expect_column_to_exist" or expectation.type.startswith("expect_table_")
    return "shape" if about_shape and not expectation.condition_columns else "values"


def judges_values(expectation: Expectation) -> bool:
    """Whether the expectation would check nothing, and so must be refused, on a column that is null in every row."""
    return scope_of(expectation) != "shape" and expectation.type not in _MAY_BE_ALL_NULL
