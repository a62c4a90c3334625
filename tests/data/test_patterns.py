import pytest

from tunegate.data.patterns import pattern_fault


@pytest.mark.parametrize(
    "pattern",
    [
        r"\w[\s\S]*\w",
        r"[\w.+-]+@[\w-]+\.\w+",
        r"(?:[\p{L}\p{N}][^\p{L}\p{N}]*){3}",
        r"(?:\w+,)+",
        r"(?:,\d+)*$",
        r"((a+),)+",
        r"^(?:[^,]*,)*x",
        r"(?:foo|bar)+",
        r"(?:(?:ab)+c)+",
        r"(?:[a-z]++)+",
        r"(ab){2,}",
        r"(a?){3}",
    ],
)
def test_a_pattern_with_one_way_to_match_is_accepted(pattern: str) -> None:
    assert pattern_fault(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"((a+))+$",
        r"(\w+\s?)*$",
        r"(?:\w+\s)+x",
        r"(.*)*x",
        r"(\d{2,5})*x",
        r"(a|aa)+$",
        r"(?:[ab]c|ac)*d",
        r"(a?a?)*b",
        r"(?=(a+)+)b",
        r"x(?i:(y+)+)z",
        r"(?:(a+)+|b)c",
    ],
)
def test_a_pattern_that_repeats_what_already_repeats_is_refused(pattern: str) -> None:
    fault = pattern_fault(pattern)
    assert fault is not None
    assert "repeats what already repeats" in fault.problem
    assert fault.remedy


@pytest.mark.parametrize("pattern", ["([a-z", "*a", r"\p{Nonsense}", "(?<n>a"])
def test_what_is_no_regular_expression_is_refused_with_the_reason(pattern: str) -> None:
    fault = pattern_fault(pattern)
    assert fault is not None
    assert fault.problem.startswith(f"not a regular expression: {pattern!r}: ")
