from typing import Any

import pyarrow as pa
import pytest
from miniature import predictions

from tunegate.evaluation.examples import TEST_ROW, is_correct, sha256_of_test_set


@pytest.mark.parametrize(
    ("answer", "ignore_case", "expected"),
    [("roof", True, True), (" Roof\n", True, True), ("Roof", False, False), ("roofs", True, False), ("", True, False)],
)
def test_an_answer_is_correct_when_it_is_the_reference(answer: str, ignore_case: bool, expected: bool) -> None:
    assert is_correct(answer, "roof", ignore_case=ignore_case) == expected


@pytest.mark.parametrize("column", TEST_ROW)
def test_a_row_that_differs_in_any_way_makes_another_test_set(column: str) -> None:
    table = predictions([True] * 4)
    other: Any = [("language", "fi")] if column == "slices" else "other"
    values = pa.array([other, *table[column].to_pylist()[1:]], table.schema.field(column).type)
    changed = table.set_column(table.column_names.index(column), table.schema.field(column), values)
    assert sha256_of_test_set(changed) != sha256_of_test_set(table)


def test_neither_order_nor_answers_make_another_test_set() -> None:
    table = predictions([True] * 4)
    assert sha256_of_test_set(predictions([False] * 4).take([2, 0, 3, 1])) == sha256_of_test_set(table)
