from tunegate.reporting.numbers import compare, difference, duration, headline, ratio, signed, size, tone_of


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


def test_a_difference_has_its_sign_and_its_tone() -> None:
    assert [signed("accuracy", value) for value in (0.05, -0.05, 0.0001)] == ["+5.0", "\N{MINUS SIGN}5.0", "±0.0"]
    assert [tone_of("nll", value) for value in (0.05, -0.05, 0.0001)] == ["worse", "better", "same"]


def test_seconds_bytes_and_ratios_are_for_people() -> None:
    assert [duration(s) for s in (0.0841, 12.34, 252, 11_100)] == ["84 ms", "12.3 s", "4 min 12 s", "3 h 5 min"]
    assert [size(b) for b in (12, 270_885_568, 3e9)] == ["12 B", "271 MB", "3 GB"]
    assert [ratio(*pair) for pair in ((2, 3), (4, 3), (1, 1), (0, 1))] == ["+50 %", "\N{MINUS SIGN}25 %", "±0 %", ""]
    assert [difference(*pair) for pair in ((1, 3), (3, 1), (1, 1))] == ["+2", "\N{MINUS SIGN}2", ""]
