import pytest

from tunegate.reporting.svg import Scale, short_name, ticks


def test_a_scale_maps_its_ends_to_its_ends() -> None:
    x = Scale(-1.0, 3.0, 10.0, 50.0)
    assert [x(value) for value in (-1, 1, 3)] == [10, 30, 50]


@pytest.mark.parametrize(("high", "last"), [(0.0, 1.0), (9.1, 10.0), (160.0, 200.0), (0.004, 0.004)])
def test_ticks_are_round_and_reach_the_top(high: float, last: float) -> None:
    found = ticks(0, high, 5)
    assert (found[0], pytest.approx(found[-1])) == (0, last)


def test_a_long_name_is_cut_next_to_a_drawing() -> None:
    assert (short_name("roof"), len(short_name("x" * 99))) == ("roof", 34)
