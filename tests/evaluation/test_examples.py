import pytest

from tunegate.evaluation.examples import is_correct


@pytest.mark.parametrize(
    ("answer", "ignore_case", "expected"),
    [("roof", True, True), (" Roof\n", True, True), ("Roof", False, False), ("roofs", True, False), ("", True, False)],
)
def test_an_answer_is_correct_when_it_is_the_reference(answer: str, ignore_case: bool, expected: bool) -> None:
    assert is_correct(answer, "roof", ignore_case=ignore_case) == expected
