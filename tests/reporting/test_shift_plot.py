from data_change import shift

from tunegate.reporting.shift_plot import shift_plot


def test_the_drawing_says_in_words_what_it_shows() -> None:
    text = shift_plot(shift(name="<label>"))
    assert 'aria-label="&lt;label&gt;: 0.20, interval 0.15 to 0.25, small"' in text
    assert text == shift_plot(shift(name="<label>"))


def test_a_larger_effect_lies_further_right_and_no_effect_at_the_left_end() -> None:
    places = [float(shift_plot(shift(effect=e, low=e, high=e)).split('cx="')[1].split('"')[0]) for e in (0, 0.2, 1)]
    assert places == sorted(places)
    assert (places[0], places[2]) == (6.0, 214.0)


def test_without_numbers_nothing_is_drawn() -> None:
    assert shift_plot(shift(effect=None, low=None, high=None)) == ""
