from tunegate.reporting.numbers import compare, headline


def test_shares_are_percent_and_a_lower_nll_is_better() -> None:
    found = compare({"nll": 4.0, "accuracy": 0.0}, {"nll": 1.5, "accuracy": 0.5125})
    assert [(i.name, i.base, i.tuned, i.change, i.tone) for i in found] == [
        ("accuracy", "0.0 %", "51.2 %", "+51.2", "better"),
        ("nll", "4.000", "1.500", "\N{MINUS SIGN}2.500", "better"),
    ]


def test_worse_is_called_worse_and_a_change_that_prints_as_nothing_is_none() -> None:
    assert [i.tone for i in compare({"nll": 1.0, "accuracy": 0.5}, {"nll": 1.1, "accuracy": 0.4})] == ["worse", "worse"]
    (same,) = compare({"accuracy": 0.5}, {"accuracy": 0.50001})
    assert (same.change, same.tone) == ("±0.0", "same")


def test_exact_match_stands_in_where_there_is_no_accuracy() -> None:
    assert headline({"nll": 1.0, "exact_match": 0.5}) == "exact_match"
